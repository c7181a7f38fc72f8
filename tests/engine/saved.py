"""Both exchanges of a sandbox as they are saved to a folder and resumed from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import ListMarket, PlaceOrder
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence.saved_state import SavedState
from streams.sandbox.exchange.persistence.snapshot import (
    apply_state,
    exchange_state,
    reopen_books,
    restore_listing,
)
from tests.engine.quoted import CONTRACT, NOW, exchange, listing, request

Exchanges = dict[Venue, Exchange]
FLOW = {"quotes": [1, 2]}


def quoted() -> Exchanges:
    """Both exchanges, with orders of two accounts."""
    made = {venue: exchange(venue) for venue in Venue}
    for each in made.values():
        each.order_entry.place(request("b", "yes", "buy", 4_000, 10, "gtc"), NOW)
        each.order_entry.place(request("a", "yes", "buy", 5_100, 2), NOW)
        each.order_entry.place(request("c", "yes", "buy", 4_000, 7, "gtc", who="you"), NOW)
    return made


def list_more(made: Exchange, count: int) -> None:
    """List further markets, each with a quote."""
    act = listing(made.state.venue)
    for number in range(count):
        market = replace(act.market, market_id=f"N{number}", yes_token=f"1{number}", no_token=f"2{number}")
        made.apply(ListMarket(act.event, market), NOW)
        made.apply(
            PlaceOrder(MarketRef(made.state.venue, f"N{number}"), "maker", f"n{number}", "bid", 4_000, CONTRACT), NOW
        )


@contextmanager
def saving(folder: Path, made: Exchanges) -> Iterator[SavedState]:
    """What a sandbox saves, begun and with a first snapshot."""
    saved = SavedState(folder, made)
    try:
        assert saved.read() is None
        saved.begin("test", NOW, {}, NOW)
        saved.write_snapshot(FLOW, NOW)
        yield saved
    finally:
        saved.close()


@contextmanager
def resumed(folder: Path) -> Iterator[tuple[Exchanges, Any, SavedState]]:
    """Exchanges made from what a folder holds, what was read, and what goes on saving them."""
    made = {venue: Exchange(venue, FaultPlan(), 1) for venue in Venue}
    saved = SavedState(folder, made)
    try:
        found = saved.read()
        assert found is not None
        for state in found.listings:
            restore_listing(made[Venue(state["market"]["venue"])], state)
        for venue, state in found.states:
            apply_state(made[venue], state)
        for venue, each in made.items():
            reopen_books(each, found.house[venue], NOW)
        saved.begin(found.source, found.anchor_ms, found.flow, NOW)
        yield made, found, saved
    finally:
        saved.close()


def written(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


def states(made: Exchanges) -> dict[str, Any]:
    """Everything of both exchanges; quotes by their place in the queues."""
    found = {}
    for venue, each in made.items():
        state = written(exchange_state(each))
        state["house"].sort(key=lambda quote: quote[-1])
        found[venue.value] = state
    return found


def quotes(made: Exchange) -> set[str]:
    return {order.client_order_id for order in made.state.engine.orders.values() if order.is_house}
