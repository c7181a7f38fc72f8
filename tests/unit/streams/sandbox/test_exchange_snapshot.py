"""What an exchange remembers: late reads, restarts from the journal, and markets that are forgotten."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import DetermineMarket, ListMarket, SettleMarket
from streams.sandbox.core.profile import ZERO
from streams.sandbox.core.records import Amendment, ListedMarket, Listener
from streams.sandbox.exchange.exchange import KEPT_TRADED_MS, KEPT_UNTRADED_MS, Exchange
from streams.sandbox.exchange.persistence.snapshot import (
    apply_state,
    exchange_state,
    listing_state,
    reopen_books,
    restore_listing,
    take_changes,
)
from tests.engine.quoted import CONTRACT, NOW, exchange, listing, request
from tests.engine.steps import sequence
from tests.engine.world import World

LAG = 400


def written(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


def resumed(made: Exchange, snapshot: Any, tail: list[Any]) -> Exchange:
    fresh = Exchange(made.state.venue, FaultPlan(), 1)
    for name in ("me", "you"):
        fresh.state.accounts.open_account(name, 1_000 * CONTRACT)
    for listed in made.state.markets.values():
        restore_listing(fresh, written(listing_state(listed)))
    for state in (snapshot, *tail):
        apply_state(fresh, state)
    reopen_books(fresh, snapshot["house"], NOW + 1)
    return fresh


# -- late reads -------------------------------------------------------------------------------------------------------


def test_reads_lie_behind_writes() -> None:
    made = exchange(Venue.KALSHI, profile=replace(ZERO, read_lag_ms=LAG))
    made.tick(NOW - LAG)
    made.order_entry.place(request("a", "yes", "buy", 4_000, 10, "gtc"), NOW)
    assert made.replica.order("a", NOW + LAG - 1) is None
    assert made.replica.orders("me", NOW + LAG - 1) == []
    made.order_entry.cancel("me", "a", NOW + 1_000)
    for at, status in ((NOW + LAG, "resting"), (NOW + 1_000 + LAG - 1, "resting"), (NOW + 1_000 + LAG, "canceled")):
        seen = made.replica.order("a", at)
        assert seen is not None
        assert seen.status == status
    made.order_entry.place(request("b", "yes", "buy", 5_100, 10), NOW + 3_000)
    before, after = NOW + 3_000 + LAG - 1, NOW + 3_000 + LAG
    assert (made.replica.account("me", before).cash_e6, len(made.replica.trades("me", before))) == (1_000 * CONTRACT, 0)
    assert made.replica.account("me", after).position("M").yes_e6 == 10 * CONTRACT
    assert len(made.replica.trades("me", after)) == 1


@pytest.mark.parametrize("venue", list(Venue))
@pytest.mark.parametrize("seed", range(15))
def test_late_reads_are_the_state_of_that_moment(venue: Venue, seed: int) -> None:
    names = {name: name for name in ("me", "you", "other")}
    world = World(venue, names)
    world.exchange.state.profile = replace(ZERO, read_lag_ms=LAG)
    world.exchange.replica.prepare(world.now)
    truth: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
    for step in sequence(venue, seed, 50):
        if step.kind in ("restart", "redeem", "allocation"):
            continue
        world.run(step)
        accounts = {name: asdict(world.exchange.state.accounts.accounts[name]) for name in names}
        records = {name: (t.status, t.filled_e6, t.remaining_e6) for name, t in world.exchange.state.orders.items()}
        truth.append((world.now, accounts, deepcopy(records)))
        then = [state for state in truth if state[0] <= world.now - LAG]
        if not then:
            continue
        _, accounts, records = then[-1]
        for name in names:
            seen = asdict(world.exchange.replica.account(name, world.now))
            assert _held(seen) == _held(accounts[name])
            found = {
                t.order_id: (t.status, t.filled_e6, t.remaining_e6)
                for t in world.exchange.replica.orders(name, world.now)
            }
            own = {n: v for n, v in records.items() if world.exchange.state.orders[n].request.account_id == name}
            assert found == own


def _held(account: dict[str, Any]) -> Any:
    positions = {m: (p["yes_e6"], p["no_e6"]) for m, p in account["positions"].items() if p["yes_e6"] or p["no_e6"]}
    return account["cash_by_shard_e6"], positions


# -- restarts ---------------------------------------------------------------------------------------------------------


def test_everything_new_comes_back_from_a_snapshot_and_its_tail() -> None:
    made = exchange(Venue.KALSHI)
    take_changes(made)
    snapshot = written(exchange_state(made))
    made.order_entry.place(request("a", "yes", "buy", 4_000, 10, "gtc", cancel_on_pause=True), NOW)
    made.order_entry.place(request("b", "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.order_entry.amend("me", "a", Amendment(4_000, 12 * CONTRACT, "renamed"), NOW)
    made.order_entry.hold(request("held", "yes", "buy", 4_100, 1, "gtc"), NOW + 500, NOW)
    made.transfers.transfer("me", 1, 2, CONTRACT, NOW)
    made.transfers.set_allocation("you", {0: 100})
    made.lifecycle.change_close("M", NOW + 5_000, NOW)
    made.status.change("restarting", NOW, until_ms=NOW + 90, then="post_only")
    made.state.saved["groups"] = {"g": 1}
    made.state.changes.saved = True
    fresh = resumed(made, snapshot, [written(take_changes(made))])
    assert written(exchange_state(fresh)) == written(exchange_state(made))
    assert list(fresh.state.markets["M"].book.bids[4_000].orders) == ["b", "a"]
    assert (fresh.state.mode, fresh.state.mode_until_ms, fresh.state.mode_then) == ("restarting", NOW + 90, "post_only")
    assert fresh.state.saved == {"groups": {"g": 1}}
    fresh.tick(NOW + 100)
    fresh.tick(NOW + 200_000)
    assert fresh.state.orders["held"].status == "resting"


def test_house_positions_and_escrow_follow_from_the_others_after_a_restart() -> None:
    made = exchange(Venue.POLYMARKET)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.inventory.split("you", "M", 5 * CONTRACT, NOW)
    fresh = resumed(made, written(exchange_state(made)), [])
    assert fresh.state.accounts.escrow_e6["M"] == made.state.accounts.escrow_e6["M"] == 15 * CONTRACT
    assert fresh.state.accounts.accounts["house"].position("M").no_e6 == 10 * CONTRACT
    assert fresh.state.accounts.total_e6() == 2_000 * CONTRACT
    ref = MarketRef(Venue.POLYMARKET, "M")
    fresh.apply(DetermineMarket(ref, 0, "no"), NOW)
    fresh.apply(SettleMarket(ref), NOW)
    assert fresh.state.accounts.escrow_e6["M"] == 0


def test_no_id_is_given_twice_after_a_restart() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 1), NOW)
    fresh = resumed(made, written(exchange_state(made)), [])
    fresh.order_entry.place(request("b", "yes", "buy", 5_100, 1), NOW)
    assert len(fresh.state.trades) == 2
    assert [trade.number for trade in fresh.state.trades.values()] == [1, 2]


# -- forgetting -------------------------------------------------------------------------------------------------------


class _Ear(Listener):
    def __init__(self) -> None:
        self.gone: list[str] = []

    def on_evicted(self, listed: ListedMarket) -> None:
        self.gone.append(listed.market_id)


def short_lived(number: int) -> ListMarket:
    act = listing(Venue.KALSHI)
    ends = act.market.open_time + timedelta(hours=1)
    return ListMarket(act.event, replace(act.market, market_id=f"S{number}", close_time=ends))


def settled(traded: bool) -> tuple[Exchange, _Ear]:
    made, ear = exchange(Venue.KALSHI), _Ear()
    made.state.listeners.append(ear)
    made.apply(short_lived(1), NOW)
    if traded:
        made.order_entry.place(replace(request("a", "yes", "buy", 4_000, 10, "gtc"), market_id="S1"), NOW)
    ref = MarketRef(Venue.KALSHI, "S1")
    made.apply(DetermineMarket(ref, 0, "no"), NOW)
    made.apply(SettleMarket(ref), NOW)
    return made, ear


def test_a_short_market_nobody_traded_is_forgotten_an_hour_after_it_was_settled() -> None:
    made, ear = settled(traded=False)
    made.tick(NOW + KEPT_UNTRADED_MS - 1)
    assert "S1" in made.state.markets
    made.tick(NOW + KEPT_UNTRADED_MS + 60_000)
    assert (list(made.state.markets), ear.gone) == (["M"], ["S1"])
    made.apply(short_lived(2), NOW)
    assert made.state.markets["S2"].number == 3


def test_one_that_was_traded_stays_for_a_week_and_takes_its_orders_along() -> None:
    made, _ = settled(traded=True)
    made.tick(NOW + KEPT_TRADED_MS - 1)
    assert "a" in made.state.orders
    made.tick(NOW + KEPT_TRADED_MS + 60_000)
    assert (list(made.state.markets), made.state.orders) == (["M"], {})


@pytest.mark.parametrize("is_in_snapshot", [True, False])
def test_a_forgotten_market_stays_forgotten_after_a_restart(is_in_snapshot: bool) -> None:
    made, _ = settled(traded=True)
    listings = [written(listing_state(listed)) for listed in made.state.markets.values()]
    take_changes(made)
    snapshot, tail = written(exchange_state(made)), []
    made.tick(NOW + KEPT_TRADED_MS + 60_000)
    if is_in_snapshot:
        snapshot = written(exchange_state(made))
    else:
        tail = [written(take_changes(made))]
    fresh = Exchange(Venue.KALSHI, FaultPlan(), 1)
    for state in listings:
        restore_listing(fresh, state)
    for state in (snapshot, *tail):
        apply_state(fresh, state)
    reopen_books(fresh, snapshot["house"], NOW)
    assert (list(fresh.state.markets), fresh.state.orders) == (["M"], {})
    assert fresh.lifecycle.list_market(short_lived(3), NOW).number == 3
