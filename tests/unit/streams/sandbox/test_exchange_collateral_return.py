"""Collateral returned across the markets of an event: cash, reservations, settlements, restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.market.errors import Refused
from streams.market.identity import MarketRef, Outcome, Venue
from streams.sandbox.core.accounts import Account
from streams.sandbox.core.collateral_return import Stake
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CatalogueEvent, DetermineMarket, ListMarket, PlaceOrder, SettleMarket
from streams.sandbox.core.profile import ZERO
from streams.sandbox.core.records import Amendment, OrderRequest
from streams.sandbox.exchange.exchange import SHORT_LIFE_MS, Exchange, evictable
from streams.sandbox.exchange.persistence.snapshot import (
    apply_state,
    exchange_state,
    listing_state,
    reopen_books,
    restore_listing,
    take_changes,
)
from tests.engine.collateral_return import guaranteed_e6, needed_e6
from tests.engine.quoted import CONTRACT, NOW, listing, request

FREE = {"fee_type": "quadratic", "fee_multiplier": "0"}


def venue(count: int = 3, *, is_exclusive: bool = True, strikes: tuple[str, ...] = (), cash: int = 100) -> Exchange:
    """Markets M0, M1, ... of one event on shard 0, without fees; "me" nets and has `cash` dollars there."""
    made = Exchange(Venue.KALSHI, FaultPlan(), 1, ZERO)
    event = CatalogueEvent(Venue.KALSHI, "E", "S", "Who wins?", is_exclusive=is_exclusive)
    plain = listing(Venue.KALSHI).market
    for number in range(count):
        strike = {"type": "greater", "floor": strikes[number]} if strikes else None
        market = replace(plain, market_id=f"M{number}", fee_schedule=FREE, strike=strike)
        made.apply(ListMarket(event, market), NOW)
    account = made.state.accounts.open_account("me", cash * CONTRACT)
    account.cash_by_shard_e6 = {0: cash * CONTRACT}
    account.allocation = {}
    made.transfers.set_collateral_return("me", is_on=True)
    return made


def order(name: str, market: str, outcome: Outcome, price: int, size: int, tif: str = "gtc") -> OrderRequest:
    """An order of "me" for an outcome at its own price."""
    yes_price = price if outcome == "yes" else 10_000 - price
    return replace(request(name, outcome, "buy", yes_price, size, tif), market_id=market)


def trade(made: Exchange, market: str, outcome: Outcome, price: int, size: int) -> None:
    """ "me" buys an outcome from a maker at a price of that outcome."""
    name = f"t{made.state.order_count}"
    side, yes_price = ("ask", price) if outcome == "yes" else ("bid", 10_000 - price)
    act = PlaceOrder(MarketRef(Venue.KALSHI, market), "maker", name, side, yes_price, size * CONTRACT)  # type: ignore[arg-type]
    made.apply(act, NOW)
    assert made.order_entry.place(order(name, market, outcome, price, size, "ioc"), NOW).filled_e6 == size * CONTRACT


def settle(made: Exchange, market: str, value_e4: int) -> None:
    result: Any = {0: "no", 10_000: "yes"}.get(value_e4, "scalar")
    made.apply(DetermineMarket(MarketRef(Venue.KALSHI, market), value_e4, result), NOW)
    made.apply(SettleMarket(MarketRef(Venue.KALSHI, market)), NOW)
    assert made.state.accounts.total_e6() == sum(one.deposited_e6 for one in made.state.accounts.accounts.values())


def me(made: Exchange) -> Account:
    return made.state.accounts.accounts["me"]


def cents(made: Exchange) -> int:
    """Cash of "me"."""
    return me(made).cash_e6 // 10_000


def refusal(made: Exchange, wanted: OrderRequest) -> str:
    with pytest.raises(Refused) as refused:
        made.order_entry.place(wanted, NOW)
    return refused.value.code


def test_no_of_two_exclusive_markets_takes_what_they_can_lose_together() -> None:
    made = venue(cash=1)
    trade(made, "M0", "no", 6_000, 1)
    assert cents(made) == 40
    assert refusal(made, order("dear", "M1", "no", 7_000, 3)) == "insufficient_balance"
    trade(made, "M1", "no", 7_000, 1)
    assert cents(made) == 70
    assert made.transfers.reserved_e6("me") == 0
    trade(made, "M2", "no", 9_000, 1)
    assert cents(made) == 80


def test_without_netting_every_market_is_collateralised_by_itself() -> None:
    made = venue()
    made.transfers.set_collateral_return("me", is_on=False)
    trade(made, "M0", "no", 6_000, 1)
    trade(made, "M1", "no", 7_000, 1)
    assert cents(made) == 10_000 - 130
    assert me(made).returned_e6 == {}


def test_a_contract_whose_dollar_was_returned_can_only_be_sold_by_paying_it_back() -> None:
    made = venue(cash=10)
    trade(made, "M0", "no", 9_000, 10)
    trade(made, "M1", "no", 9_000, 10)
    assert cents(made) == 200
    made.apply(PlaceOrder(MarketRef(Venue.KALSHI, "M1"), "maker", "ask", "ask", 5_000, 10 * CONTRACT), NOW)
    assert refusal(made, order("close", "M1", "yes", 5_000, 10, "ioc")) == "insufficient_balance"
    trade(made, "M1", "yes", 1_500, 10)
    assert (cents(made), me(made).returned_e6) == (50, {"E/0": 0})


def test_orders_of_an_event_hold_the_worst_of_what_they_can_take_together() -> None:
    made = venue()
    made.order_entry.place(order("a", "M0", "no", 6_000, 10), NOW)
    made.order_entry.place(order("b", "M1", "no", 7_000, 10), NOW)
    assert made.transfers.reserved_e6("me") == 7 * CONTRACT
    made.order_entry.place(order("c", "M2", "yes", 5_000, 10), NOW)
    assert made.transfers.reserved_e6("me") == 12 * CONTRACT
    made.order_entry.amend("me", "c", Amendment(4_000, 10 * CONTRACT), NOW)
    assert made.transfers.reserved_e6("me") == 11 * CONTRACT
    made.order_entry.cancel("me", "b", NOW)
    assert made.transfers.reserved_e6("me") == 10 * CONTRACT


@pytest.mark.parametrize(
    ("values", "final"),
    [
        ((10_000, 0, 0), 9_800),
        ((0, 10_000, 0), 9_800),
        ((0, 0, 0), 10_800),
        ((5_000, 5_000, 0), 9_800),
        ((2_500, 2_500, 2_500), 10_050),
        ((10_000, 10_000, 0), 8_800),
        ((5_000, 5_000, 5_000), 9_300),
        ((10_000, 10_000, 10_000), 7_800),
    ],
)
def test_whatever_the_results_the_books_come_out_exact(values: tuple[int, ...], final: int) -> None:
    made = venue()
    for market, price in (("M0", 6_000), ("M1", 7_000), ("M2", 9_000)):
        trade(made, market, "no", price, 10)
    assert cents(made) == 9_800
    for number, value in enumerate(values):
        settle(made, f"M{number}", value)
        assert cents(made) >= 0
    assert (cents(made), made.state.accounts.shortfall_e6, me(made).returned_e6) == (final, 0, {})
    assert sum(made.state.accounts.escrow_e6.values()) == 0


def test_what_a_second_winner_leaves_owed_is_taken_from_later_payouts_and_then_the_venues_loss() -> None:
    made = venue(cash=6)
    for market, price in (("M0", 6_000), ("M1", 7_000), ("M2", 9_000)):
        trade(made, market, "no", price, 10)
    made.order_entry.place(order("rests", "M2", "yes", 100, 1), NOW)
    settle(made, "M0", 10_000)
    assert (cents(made), made.state.orders["rests"].status) == (400, "resting")
    settle(made, "M1", 10_000)
    assert (made.state.orders["rests"].status, made.state.orders["rests"].reason) == ("canceled", "margin")
    assert (cents(made), me(made).returned_e6) == (0, {"E/0": 16 * CONTRACT})
    assert refusal(made, order("more", "M2", "no", 100, 1)) == "insufficient_balance"
    settle(made, "M2", 0)
    assert (cents(made), me(made).returned_e6, made.state.accounts.shortfall_e6) == (0, {}, 6 * CONTRACT)


@pytest.mark.parametrize(
    ("values", "final"),
    [((10_000, 10_000, 0), 107), ((8_000, 5_000, 2_000), 103), ((0, 0, 0), 97), ((0, 0, 10_000), 87)],
)
def test_on_a_ladder_yes_of_the_wide_market_pays_for_no_of_the_narrow_one(values: tuple[int, ...], final: int) -> None:
    made = venue(is_exclusive=False, strikes=("1", "2", "3"))
    trade(made, "M0", "yes", 6_000, 10)
    trade(made, "M2", "no", 7_000, 10)
    assert cents(made) == 9_700
    for number in (2, 0, 1):
        settle(made, f"M{number}", values[number])
    assert (cents(made), made.state.accounts.shortfall_e6) == (final * 100, 0)


def test_who_switches_netting_off_keeps_it_where_orders_and_returned_cash_counted_on_it() -> None:
    made = venue(cash=7)
    made.order_entry.place(order("a", "M0", "no", 6_000, 10), NOW)
    made.order_entry.place(order("b", "M1", "no", 7_000, 10), NOW)
    made.transfers.set_collateral_return("me", is_on=False)
    for market, price in (("M0", 4_000), ("M1", 3_000)):
        act = PlaceOrder(MarketRef(Venue.KALSHI, market), "maker", market, "bid", price, 10 * CONTRACT)
        made.apply(act, NOW)
        assert cents(made) >= 0
    assert (cents(made), made.transfers.reserved_e6("me")) == (400, 0)


def test_positions_from_before_are_netted_at_the_next_trade_of_their_event_or_on_demand() -> None:
    made, other = venue(), venue()
    for one in (made, other):
        one.transfers.set_collateral_return("me", is_on=False)
        trade(one, "M0", "no", 6_000, 10)
        trade(one, "M1", "no", 7_000, 10)
        one.transfers.set_collateral_return("me", is_on=True)
        assert cents(one) == 8_700
    trade(made, "M2", "yes", 100, 1)
    assert cents(made) == 9_699
    other.transfers.return_at_once("me", NOW)
    assert cents(other) == 9_700


def test_what_was_returned_survives_a_restart_by_snapshot_and_by_tail() -> None:
    made = venue()
    made.state.changes.listings.clear()
    before = orjson.dumps(exchange_state(made))
    take_changes(made)
    trade(made, "M0", "no", 6_000, 10)
    trade(made, "M1", "no", 7_000, 10)
    made.order_entry.place(order("rests", "M2", "no", 5_000, 10), NOW)
    tail = orjson.dumps(take_changes(made))
    for snapshot, records in ((orjson.dumps(exchange_state(made)), []), (before, [tail])):
        fresh = Exchange(Venue.KALSHI, FaultPlan(), 1, ZERO)
        for listed in made.state.markets.values():
            restore_listing(fresh, orjson.loads(orjson.dumps(listing_state(listed))))
        apply_state(fresh, orjson.loads(snapshot))
        for record in records:
            apply_state(fresh, orjson.loads(record))
        reopen_books(fresh, [], NOW)
        assert me(fresh) == me(made)
        assert me(fresh).returned_e6 == {"E/0": 10 * CONTRACT}
        assert fresh.transfers.reserved_e6("me") == made.transfers.reserved_e6("me")
        assert fresh.state.accounts.total_e6() == 100 * CONTRACT
        settle(fresh, "M0", 10_000)
        assert cents(fresh) == 9_700


_EVENTS = {kind: venue(is_exclusive=kind == "MECNET", strikes=("1", "2", "3")) for kind in ("MECNET", "DIRECNET")}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(("MECNET", "DIRECNET")),
    st.lists(st.tuples(st.sampled_from(("yes", "no")), st.integers(0, 9)), min_size=3, max_size=3),
    st.sampled_from((None, None, 0, 2_500, 10_000)),
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(("yes", "no")), st.integers(1, 9), st.integers(1, 99)), max_size=5
    ),
)
def test_orders_hold_what_the_worst_set_of_fills_takes(kind: str, held: Any, settled: int | None, wanted: Any) -> None:
    made = _EVENTS[kind]
    account, last = Account("any", is_netting=True), made.state.markets["M2"]
    last.status, last.settlement_e4 = ("open", None) if settled is None else ("settled", settled)
    for number, (outcome, contracts) in enumerate(held):
        account.position(f"M{number}").change(outcome, contracts * CONTRACT, 0)
    if settled is not None:
        account.positions.pop("M2")
        wanted = [row for row in wanted if row[0] != 2]
    group = made.state.collateral.group_for(account, "M0")
    assert group is not None
    returned = account.returned_e6[group.key] = made.state.collateral.guaranteed_e6(account, group)
    stakes = [Stake(f"M{n}", outcome, size * CONTRACT, size * price * 10_000) for n, outcome, size, price in wanted]
    fills = [(n, outcome, size * CONTRACT, size * price * 10_000) for n, outcome, size, price in wanted]
    holdings = [(account.held_e6(name, "yes"), account.held_e6(name, "no")) for name in ("M0", "M1", "M2")]
    assert returned == guaranteed_e6(kind, holdings, (None, None, settled))
    needed = needed_e6(kind, holdings, (None, None, settled), returned, fills)
    assert made.state.collateral.needed_e6(account, group, stakes) == needed


def test_a_settled_market_is_kept_while_its_event_still_nets() -> None:
    made = venue()
    for listed in made.state.markets.values():
        close = listed.market.close_time
        listed.market = replace(listed.market, open_time=close.replace(hour=(close.hour - 1) % 24))
    settle(made, "M0", 10_000)
    assert evictable(made.state, NOW + SHORT_LIFE_MS) == []
    settle(made, "M1", 0)
    settle(made, "M2", 0)
    assert evictable(made.state, NOW + SHORT_LIFE_MS) == ["M0", "M1", "M2"]
