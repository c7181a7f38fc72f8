"""Numbers of account reads: what is none is refused, what no table holds too, and what is only shown costs itself."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from streams.market.errors import MalformedFrame
from streams.venues.common.decimals import wire_size_e6
from streams.venues.common.responses import read
from streams.venues.common.times import at_ms, at_seconds
from streams.venues.kalshi.types.catalogue import parse_series
from streams.venues.kalshi.types.exchange import parse_status
from streams.venues.kalshi.types.listings import parse_market
from streams.venues.kalshi.types.orders import parse_fill
from streams.venues.kalshi.types.portfolio import parse_balance, parse_settlement
from streams.venues.polymarket.clob.account import balance_of
from streams.venues.polymarket.clob.market_data import book_of
from streams.venues.polymarket.clob.orders import parse_trade
from streams.venues.polymarket.data.portfolio import parse_activity, parse_position

NO_AMOUNTS = [
    True, "", " ", "1_000", "１２", "0x10", "1e999999", "NaN", float("nan"), float("inf"), 1e300, 2**63, -(2**70),
    "9" * 5_000, [], {}, ["1"], "twelve", b"1",
]  # fmt: skip
SETTLEMENT = {
    "ticker": "M", "market_result": "yes", "yes_count_fp": "1.00", "no_count_fp": "0.00", "fee_cost": "0.01",
    "yes_total_cost_dollars": "0.40", "no_total_cost_dollars": "0.00", "revenue": 100, "value": 100,
}  # fmt: skip
REDEMPTION = {"type": "REDEEM", "condition_id": "0x1", "token_id": "2", "usdc_size": 5, "size": 5, "timestamp": 1}
POSITION = {"condition_id": "0x1", "token_id": "2", "current_size": 5}
FILL = {
    "fill_id": "f", "order_id": "o", "ticker": "M", "outcome_side": "yes", "yes_price_dollars": "0.40",
    "count_fp": "1.00", "fee_cost": "0.01", "is_taker": True,
}  # fmt: skip
TRADE = {
    "id": "t", "status": "MATCHED", "market": "m", "asset_id": "1", "side": "BUY", "price": "0.4", "size": "5",
    "taker_order_id": "0x1", "trader_side": "TAKER", "maker_orders": [],
}  # fmt: skip


@pytest.mark.parametrize("value", NO_AMOUNTS)
@pytest.mark.parametrize(
    ("parse", "document", "name"),
    [
        (parse_balance, {"balance": 1}, "balance"),
        (parse_settlement, SETTLEMENT, "revenue"),
        (parse_settlement, SETTLEMENT, "value"),
        (balance_of, {"balance": "1"}, "balance"),
        (parse_activity, REDEMPTION, "usdc_size"),
        (parse_activity, REDEMPTION, "timestamp"),
        (parse_position, POSITION, "current_size"),
    ],
)
def test_what_is_no_amount_is_refused(
    parse: Callable[[Any], object], document: dict[str, Any], name: str, value: object
) -> None:
    assert read(document, parse)
    with pytest.raises(MalformedFrame):
        read({**document, name: value}, parse)


def test_amounts_are_exact_however_they_are_written() -> None:
    assert [parse_balance({"balance": value}).cash_e6 for value in (12, "12", 12.5, 1e2, "-3")] == [
        120_000, 120_000, 125_000, 1_000_000, -30_000,
    ]  # fmt: skip
    assert balance_of({"balance": "12000000"}).balance_e6 == 12_000_000


def test_a_redemption_that_does_not_say_what_it_paid_is_not_one_of_nothing() -> None:
    for size in ({}, {"usdc_size": None}):
        row = {name: value for name, value in REDEMPTION.items() if name != "usdc_size"} | size
        with pytest.raises(MalformedFrame):
            read(row, parse_activity)
    assert parse_activity({**REDEMPTION, "usdc_size": 0}).cash_e6 == 0


@pytest.mark.parametrize("value", [*NO_AMOUNTS, None, 10**15, -1])
def test_what_is_only_shown_costs_itself(value: object) -> None:
    balance = read({"balance": 100, "portfolio_value": value, "updated_ts": value}, parse_balance)
    assert (balance.cash_e6, balance.updated_at) == (1_000_000, None)
    assert read({"balance": "7", "allowances": {"0x1": value}}, balance_of).balance_e6 == 7
    assert read({"balance": "7", "allowances": value, "allowance": "1"}, balance_of).balance_e6 == 7
    assert read({**FILL, "ts_ms": value}, parse_fill).size_e6 == 1_000_000
    assert read({**TRADE, "match_time": value}, lambda row: parse_trade(row, "k", "w")).fills[0].size_e6 == 5_000_000
    book = read({"asset_id": "1", "market": "m", "bids": [], "asks": [], "hash": value}, book_of)
    assert book.venue_hash is None or isinstance(value, str)


@pytest.mark.parametrize("value", [True, "x", 2.5, [], {}, 2**63, "9" * 5_000])
def test_a_shard_that_is_no_number_is_not_known(value: object) -> None:
    assert read({"ticker": "S", "exchange_index": value}, parse_series).exchange_index is None
    market = {"ticker": "M", "event_ticker": "E", "status": "active", "exchange_index": value}
    assert parse_market(market).terms.exchange_index is None
    shard = {"exchange_index": value, "exchange_active": True, "trading_active": True}
    status = {"exchange_active": True, "trading_active": True, "exchange_index_statuses": [shard]}
    assert read(status, parse_status).has_unreadable_shards


def test_an_unlimited_allowance_is_read() -> None:
    assert balance_of({"balance": "1", "allowances": {"0x1": str(2**256 - 1)}}).allowances_e6 == {"0x1": 2**256 - 1}


@pytest.mark.parametrize("value", ["²", "٣", "9" * 5_000, -1, 4_102_444_800_000, 1.5, True, None, [], "x"])
def test_a_time_that_is_none_is_none(value: object) -> None:
    assert at_seconds(value) is None
    if value != 4_102_444_800_000:
        assert at_ms(value) is None


def test_times_in_numbers_and_texts() -> None:
    assert at_seconds(1_700_000_000) == at_seconds("1700000000") == at_ms(1_700_000_000_000) == at_ms("1700000000000")


def test_what_is_remembered_of_sizes_is_full_within_minutes() -> None:
    """A feed brings some hundred new sizes a second: 20,000 of them fill the memory, 100,000 more do not grow it."""
    tracemalloc.start()
    try:
        for number in range(20_000):
            wire_size_e6(f"{number}.25")
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20_000, 120_000):
            wire_size_e6(f"{number}.25")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000
