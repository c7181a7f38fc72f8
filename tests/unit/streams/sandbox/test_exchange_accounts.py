"""Accounts behind the exchange: cash is conserved, positions net on Kalshi and stay apart on Polymarket."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.market.errors import Refused
from streams.market.identity import MarketRef, Outcome, Venue
from streams.sandbox.accounts import Action, Intent, buying
from streams.sandbox.exchange import Exchange
from streams.sandbox.faults import FaultPlan, FaultRule, SettlementPlan
from streams.sandbox.memory import apply_state, exchange_state, reopen_books
from streams.sandbox.model import (
    CatalogueEvent,
    CatalogueMarket,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.records import OrderRequest, Ticket

NOW = 1_795_000_000_000
START = datetime(2026, 11, 1, tzinfo=UTC)
KALSHI_FEES = {"fee_type": "quadratic", "fee_multiplier": "1"}
POLYMARKET_FEES = {"rate": "0.05", "exponent": "1", "taker_only": True}
CONTRACT = 1_000_000


def listing(venue: Venue) -> ListMarket:
    fees = KALSHI_FEES if venue is Venue.KALSHI else POLYMARKET_FEES
    market = CatalogueMarket(
        venue, "M", "E", "S", "Will it rain?", "Rules.", START + timedelta(days=60), START, fee_schedule=fees,
        yes_token="11", no_token="22", start_price_e4=5_000,
    )  # fmt: skip
    return ListMarket(CatalogueEvent(venue, "E", "S", "Rain"), market)


def exchange(venue: Venue, faults: FaultPlan | None = None) -> Exchange:
    made = Exchange(venue, faults or FaultPlan(), 1)
    made.apply(listing(venue), NOW)
    made.accounts.open_account("me", 1_000 * CONTRACT)
    made.accounts.open_account("you", 1_000 * CONTRACT)
    ref = MarketRef(venue, "M")
    for step in range(1, 5):
        made.apply(PlaceOrder(ref, "maker", f"b{step}", "bid", 5_000 - 100 * step, 50 * CONTRACT), NOW)
        made.apply(PlaceOrder(ref, "maker", f"a{step}", "ask", 5_000 + 100 * step, 50 * CONTRACT), NOW)
    return made


def request(
    name: str, outcome: Outcome, action: Action, price: int, size: int, tif: str = "ioc", who: str = "me"
) -> OrderRequest:
    side = "bid" if (outcome == "yes") == (action == "buy") else "ask"
    return OrderRequest(who, "M", name, Intent(outcome, action), side, price, size * CONTRACT, tif)  # type: ignore[arg-type]


def total_e6(made: Exchange) -> int:
    return made.accounts.total_e6()


def test_a_kalshi_buy_costs_price_and_fee() -> None:
    made = exchange(Venue.KALSHI)
    ticket = made.place(request("o", "yes", "buy", 5_100, 10), NOW)
    # 10 x 0.51 = 5.10; fee 0.07 x 10 x 0.51 x 0.49 = 0.17493 -> 0.1750
    assert (ticket.taker_cash_e6, ticket.taker_fees_e6) == (5_100_000, 175_000)
    assert made.accounts.accounts["me"].cash_e6 == 1_000_000_000 - 5_275_000


def test_buying_no_against_yes_nets_on_kalshi() -> None:
    made = exchange(Venue.KALSHI)
    made.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.place(request("b", "no", "buy", 4_900, 4), NOW)
    position = made.accounts.accounts["me"].positions["M"]
    assert (position.yes_e6, position.no_e6) == (6 * CONTRACT, 0)


def test_polymarket_keeps_both_tokens() -> None:
    made = exchange(Venue.POLYMARKET)
    made.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.place(request("b", "no", "buy", 4_900, 4), NOW)
    position = made.accounts.accounts["me"].positions["M"]
    assert (position.yes_e6, position.no_e6) == (10 * CONTRACT, 4 * CONTRACT)


def test_what_is_not_held_cannot_be_sold_and_what_is_not_there_cannot_be_spent() -> None:
    made = exchange(Venue.POLYMARKET)
    with pytest.raises(Refused, match="insufficient_balance"):
        made.place(request("a", "yes", "sell", 4_900, 1), NOW)
    made.accounts.accounts["me"].cash_by_shard_e6 = {0: 5_000_000}
    with pytest.raises(Refused, match="insufficient_balance"):
        made.place(request("b", "yes", "buy", 5_100, 10), NOW)
    assert made.tickets == {}


def test_resting_orders_reserve_cash() -> None:
    made = exchange(Venue.KALSHI)
    made.accounts.accounts["me"].cash_by_shard_e6 = {0: 50_000_000}
    made.place(request("a", "yes", "buy", 4_000, 100, "gtc"), NOW)
    assert made.reserved_e6("me") == 40_000_000
    with pytest.raises(Refused, match="insufficient_balance"):
        made.place(request("b", "yes", "buy", 4_000, 50, "gtc"), NOW)


def test_a_position_is_paid_once_when_it_settles() -> None:
    made = exchange(Venue.KALSHI)
    made.place(request("a", "yes", "buy", 5_100, 10), NOW)
    before = made.accounts.accounts["me"].cash_e6
    for act in (CloseMarket(MarketRef(Venue.KALSHI, "M")), DetermineMarket(MarketRef(Venue.KALSHI, "M"), 10_000, "yes"),
                SettleMarket(MarketRef(Venue.KALSHI, "M")), SettleMarket(MarketRef(Venue.KALSHI, "M"))):  # fmt: skip
        made.apply(act, NOW)
    assert made.accounts.accounts["me"].cash_e6 == before + 10 * CONTRACT
    assert made.accounts.escrow_e6["M"] == 0
    assert made.markets["M"].status == "settled"


def test_trades_settle_later_on_polymarket_and_a_failed_one_is_taken_back() -> None:
    plan = FaultPlan(settlement=SettlementPlan(100, 200, Decimal(1)))
    made = exchange(Venue.POLYMARKET, plan)
    before = made.accounts.accounts["me"].cash_e6
    made.place(request("a", "yes", "buy", 5_100, 10), NOW)
    trade = next(iter(made.trades.values()))
    statuses = [trade.status]
    for at in (100, 200):
        made.tick(NOW + at)
        statuses.append(trade.status)
    assert statuses == ["MATCHED", "RETRYING", "FAILED"]
    assert made.accounts.accounts["me"].cash_e6 == before
    assert made.accounts.accounts["me"].positions["M"].yes_e6 == 0


def test_makers_fade_before_an_immediate_order_when_the_plan_says_so() -> None:
    partial = FaultPlan([FaultRule("partial_fill", fraction=Decimal("0.4"))])
    assert exchange(Venue.KALSHI, partial).place(request("a", "yes", "buy", 5_100, 10), NOW).filled_e6 == 4 * CONTRACT
    faded = exchange(Venue.KALSHI, FaultPlan([FaultRule("fade")]))
    assert faded.place(request("a", "yes", "buy", 5_100, 10), NOW).filled_e6 == 0


def test_an_exchange_comes_back_from_its_state() -> None:
    made = exchange(Venue.POLYMARKET)
    made.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.place(request("c", "yes", "buy", 4_000, 10, "gtc"), NOW)
    state = exchange_state(made)
    fresh = Exchange(Venue.POLYMARKET, FaultPlan(), 1)
    fresh.apply(listing(Venue.POLYMARKET), NOW)
    apply_state(fresh, state)
    assert reopen_books(fresh, state["house"], NOW) == 0
    assert exchange_state(fresh) == state
    assert fresh.markets["M"].book.levels("bid") == made.markets["M"].book.levels("bid")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(Venue)),
    st.lists(
        st.tuples(
            st.sampled_from(["me", "you"]), st.sampled_from(["yes", "no"]), st.sampled_from(["buy", "sell"]),
            st.integers(40, 60), st.integers(1, 40), st.sampled_from(["gtc", "ioc", "fok"]), st.booleans(),
        ),
        max_size=25,
    ),
    st.sampled_from([0, 3_700, 10_000]),
)  # fmt: skip
def test_cash_and_contracts_are_conserved(venue: Venue, steps: list[tuple], settlement: int) -> None:  # type: ignore[type-arg]
    made = exchange(venue)
    start = total_e6(made)
    for number, (who, outcome, action, cents, size, tif, spends) in enumerate(steps):
        if venue is Venue.KALSHI:
            action = "buy"
        order = request(str(number), outcome, action, cents * 100, size, tif, who)
        if spends and tif != "gtc" and action == "buy" and venue is Venue.POLYMARKET:
            order = replace(order, spend_e6=size * 10_000)
        with suppress(Refused):
            made.place(order, NOW)
        assert total_e6(made) == start
        assert sum(p.yes_e6 - p.no_e6 for a in made.accounts.accounts.values() for p in a.positions.values()) == 0
        assert all(a.cash_e6 >= 0 for a in made.accounts.accounts.values() if not a.is_house)
    ref = MarketRef(venue, "M")
    made.apply(DetermineMarket(ref, settlement, "scalar"), NOW)
    made.apply(SettleMarket(ref), NOW)
    assert total_e6(made) == start
    assert 0 <= made.accounts.escrow_e6.get("M", 0) <= 10  # only what rounding payouts down left
    assert all(isinstance(ticket, Ticket) and ticket.status != "resting" for ticket in made.tickets.values())
    assert buying("bid") == Intent("yes", "buy")
