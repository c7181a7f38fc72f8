"""Accounts behind the exchange: cash is conserved, positions net on Kalshi and stay apart on Polymarket."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from streams.market.errors import Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan, FaultRule, SettlementPlan
from streams.sandbox.core.model import CloseMarket, DetermineMarket, SettleMarket
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence.snapshot import apply_state, exchange_state, reopen_books
from tests.engine.quoted import CONTRACT, NOW, exchange, listing, request


def test_a_kalshi_buy_costs_price_and_fee() -> None:
    made = exchange(Venue.KALSHI)
    record = made.order_entry.place(request("o", "yes", "buy", 5_100, 10), NOW)
    # 10 x 0.51 = 5.10; fee 0.07 x 10 x 0.51 x 0.49 = 0.17493 -> 0.1750
    assert (record.taker_cash_e6, record.taker_fees_e6) == (5_100_000, 175_000)
    assert made.state.accounts.accounts["me"].cash_e6 == 1_000_000_000 - 5_275_000


def test_buying_no_against_yes_nets_on_kalshi() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.order_entry.place(request("b", "no", "buy", 4_900, 4), NOW)
    position = made.state.accounts.accounts["me"].positions["M"]
    assert (position.yes_e6, position.no_e6) == (6 * CONTRACT, 0)


def test_polymarket_keeps_both_tokens() -> None:
    made = exchange(Venue.POLYMARKET)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.order_entry.place(request("b", "no", "buy", 4_900, 4), NOW)
    position = made.state.accounts.accounts["me"].positions["M"]
    assert (position.yes_e6, position.no_e6) == (10 * CONTRACT, 4 * CONTRACT)


def test_what_is_not_held_cannot_be_sold_and_what_is_not_there_cannot_be_spent() -> None:
    made = exchange(Venue.POLYMARKET)
    with pytest.raises(Refused, match="insufficient_balance"):
        made.order_entry.place(request("a", "yes", "sell", 4_900, 1), NOW)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 5_000_000}
    with pytest.raises(Refused, match="insufficient_balance"):
        made.order_entry.place(request("b", "yes", "buy", 5_100, 10), NOW)
    assert made.state.orders == {}


def test_resting_orders_reserve_cash() -> None:
    made = exchange(Venue.KALSHI)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 50_000_000}
    made.order_entry.place(request("a", "yes", "buy", 4_000, 100, "gtc"), NOW)
    assert made.transfers.reserved_e6("me") == 40_000_000
    with pytest.raises(Refused, match="insufficient_balance"):
        made.order_entry.place(request("b", "yes", "buy", 4_000, 50, "gtc"), NOW)


def test_a_position_is_paid_once_when_it_settles() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    before = made.state.accounts.accounts["me"].cash_e6
    for act in (CloseMarket(MarketRef(Venue.KALSHI, "M")), DetermineMarket(MarketRef(Venue.KALSHI, "M"), 10_000, "yes"),
                SettleMarket(MarketRef(Venue.KALSHI, "M")), SettleMarket(MarketRef(Venue.KALSHI, "M"))):  # fmt: skip
        made.apply(act, NOW)
    assert made.state.accounts.accounts["me"].cash_e6 == before + 10 * CONTRACT
    assert made.state.accounts.escrow_e6["M"] == 0
    assert made.state.markets["M"].status == "settled"


def test_trades_settle_later_on_polymarket_and_a_failed_one_is_taken_back() -> None:
    plan = FaultPlan(settlement=SettlementPlan(100, 200, Decimal(1)))
    made = exchange(Venue.POLYMARKET, plan)
    before = made.state.accounts.accounts["me"].cash_e6
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    trade = next(iter(made.state.trades.values()))
    statuses = [trade.status]
    for at in (100, 200):
        made.tick(NOW + at)
        statuses.append(trade.status)
    assert statuses == ["MATCHED", "RETRYING", "FAILED"]
    assert made.state.accounts.accounts["me"].cash_e6 == before
    assert made.state.accounts.accounts["me"].positions["M"].yes_e6 == 0


def test_makers_fade_before_an_immediate_order_when_the_plan_says_so() -> None:
    partial = FaultPlan([FaultRule("partial_fill", fraction=Decimal("0.4"))])
    assert (
        exchange(Venue.KALSHI, partial).order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW).filled_e6
        == 4 * CONTRACT
    )
    faded = exchange(Venue.KALSHI, FaultPlan([FaultRule("fade")]))
    assert faded.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW).filled_e6 == 0


def test_an_exchange_comes_back_from_its_state() -> None:
    made = exchange(Venue.POLYMARKET)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.order_entry.place(request("c", "yes", "buy", 4_000, 10, "gtc"), NOW)
    state = orjson.loads(orjson.dumps(exchange_state(made)))
    fresh = Exchange(Venue.POLYMARKET, FaultPlan(), 1)
    fresh.apply(listing(Venue.POLYMARKET), NOW)
    apply_state(fresh, state)
    assert reopen_books(fresh, state["house"], NOW) == 0
    assert orjson.loads(orjson.dumps(exchange_state(fresh))) == state
    assert fresh.state.markets["M"].book.levels("bid") == made.state.markets["M"].book.levels("bid")
