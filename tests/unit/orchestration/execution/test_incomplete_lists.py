"""A list of the account with an item that cannot be read: what is found counts, what is not found is not absent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestration.execution.venues.gateway import OrderKey, OrderReading
from orchestration.execution.venues.kalshi import KalshiGateway, _value_e4
from streams.market.errors import IncompleteList
from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import MarketInfo, Target
from streams.venues.kalshi.types.portfolio import SettlementState
from tests.support.kalshi_stub import Stub, ask

SCHEDULE = {"fee_type": "quadratic", "fee_multiplier": "1"}
TARGET = Target(Venue.KALSHI, "M", MarketTerms(fee_schedule=SCHEDULE), from_json("kalshi", SCHEDULE))
ORDER = {
    "order_id": "o", "client_order_id": "c", "ticker": "M", "status": "canceled", "outcome_side": "yes",
    "yes_price_dollars": "0.4000", "initial_count_fp": "3.00", "fill_count_fp": "0.00", "remaining_count_fp": "0.00",
    "taker_fill_cost_dollars": "0", "maker_fill_cost_dollars": "0", "taker_fees_dollars": "0",
    "maker_fees_dollars": "0",
}  # fmt: skip


def reading(orders: list[Any]) -> OrderReading:
    key = OrderKey("c", None, TARGET, "yes", "buy", datetime.now(UTC))
    stub = Stub((200, {"orders": orders, "cursor": ""}), (200, {"fills": [], "cursor": ""}))
    found: OrderReading = ask(stub, lambda client: KalshiGateway(client).read(key))
    return found


def test_our_order_is_found_beside_one_that_cannot_be_read() -> None:
    assert reading([{"order_id": "x"}, ORDER]).is_final


@pytest.mark.parametrize("orders", [[None], [{"order_id": "x"}], [ORDER | {"client_order_id": "other"}, 7]])
def test_an_order_that_may_be_the_unreadable_one_is_not_absent(orders: list[Any]) -> None:
    with pytest.raises(IncompleteList):
        reading(orders)


def test_without_any_unreadable_item_it_is_absent() -> None:
    assert not reading([ORDER | {"client_order_id": "other"}]).is_found
    assert not reading([ORDER | {"ticker": "OTHER"}]).is_found


@pytest.mark.parametrize(
    ("result", "value", "expected"), [("yes", 99, 10_000), ("scalar", 37, 3_700), ("void", 37, None)]
)
def test_only_a_known_result_settles(result: str, value: int, expected: int | None) -> None:
    row = SettlementState("M", "E", result, 0, 0, 0, 0, 0, value * 100, 0, None, {})
    assert _value_e4(row, None) == expected


@pytest.mark.parametrize(("status", "final"), [("settled", 9_000), ("determined", None), ("unknown", None)])
def test_what_is_only_determined_is_not_final(status: str, final: int | None) -> None:
    assert MarketInfo(Venue.KALSHI, "M", TARGET.terms, status, None, None, 9_000).final_e4 == final
