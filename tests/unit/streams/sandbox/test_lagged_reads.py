"""Late reads over a long run: what nobody can ask for any more is not kept, and open orders are found at once."""

from __future__ import annotations

from dataclasses import replace

import orjson

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.profile import ZERO
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence.snapshot import (
    apply_state,
    exchange_state,
    listing_state,
    reopen_books,
    restore_listing,
)
from tests.engine.quoted import NOW, exchange, request

LAG = 400


def test_copies_for_late_reads_are_dropped_though_nobody_reads() -> None:
    made = exchange(Venue.KALSHI, profile=replace(ZERO, read_lag_ms=LAG))
    for number in range(100):
        now = NOW + number * 100
        made.tick(now)
        made.order_entry.place(request(f"a{number}", "yes", "buy", 5_100, 1), now)
        made.order_entry.place(request(f"b{number}", "no", "buy", 4_900, 1), now)
    reads = made.replica
    assert len(reads._accounts._states["me"]) < 10
    assert len(reads._orders._states) < 20
    assert len(reads._changed) < 20


def test_an_order_that_ended_within_the_lag_is_still_read_as_open_and_a_fresh_one_not_yet() -> None:
    made = exchange(Venue.KALSHI, profile=replace(ZERO, read_lag_ms=LAG))
    for name in ("second", "first"):
        made.order_entry.place(request(name, "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.tick(NOW + 1_000)
    made.order_entry.cancel("me", "first", NOW + 1_000)
    made.order_entry.place(request("fresh", "yes", "buy", 4_000, 10, "gtc"), NOW + 1_000)
    seen = {at: [t.order_id for t in made.replica.open_orders("me", NOW + 1_000 + at)] for at in (LAG - 1, LAG)}
    assert seen == {LAG - 1: ["second", "first"], LAG: ["second", "fresh"]}
    assert made.replica.open_orders("you", NOW + 2_000) == []


def test_public_trades_of_outside_accounts_are_there_after_a_restart() -> None:
    made = exchange(Venue.KALSHI)
    for number in range(3):
        made.order_entry.place(request(f"a{number}", "no", "buy", 4_800, 1), NOW + number)
    fresh = Exchange(Venue.KALSHI, FaultPlan(), 1)
    restore_listing(fresh, orjson.loads(orjson.dumps(listing_state(made.state.markets["M"]))))
    state = orjson.loads(orjson.dumps(exchange_state(made)))
    apply_state(fresh, state)
    reopen_books(fresh, state["house"], NOW + 10)
    prints = [trade.trade_id for trade in made.state.public_trades]
    assert [trade.trade_id for trade in fresh.state.public_trades] == prints
    assert [trade.trade_id for trade in fresh.state.markets["M"].trades] == prints
    assert fresh.state.markets["M"].last_was_no
