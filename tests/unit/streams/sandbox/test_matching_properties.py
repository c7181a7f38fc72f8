"""A thousand random sequences: money and contracts are conserved, priority is kept, both faces serve the engine.

`make proof-engine` runs many more.
"""

from __future__ import annotations

import pytest

from streams.market.identity import Venue
from streams.sandbox.core.matching import MatchingEngine
from tests.engine.campaign import attempt
from tests.engine.wires import wires_of

LENGTH = 40
SEQUENCES = 500
WITH_WIRES = 50
"""So many of them are also read over REST and folded from the socket's frames, which takes longer."""


@pytest.mark.parametrize("venue", list(Venue))
@pytest.mark.parametrize("first", range(0, SEQUENCES, 100))
def test_every_sequence_of_events_leaves_the_exchange_whole(venue: Venue, first: int) -> None:
    failures = [found for seed in range(first, first + 100) if (found := attempt(venue, seed, LENGTH)) is not None]
    assert not failures, str(failures[0])


@pytest.mark.parametrize("venue", list(Venue))
def test_the_face_serves_what_the_engine_holds(venue: Venue) -> None:
    wires = wires_of(venue)
    failures = [found for seed in range(WITH_WIRES) if (found := attempt(venue, seed, LENGTH, wires)) is not None]
    assert not failures, str(failures[0])


def test_an_engine_that_breaks_priority_is_found_out_by_a_short_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    reduce = MatchingEngine.reduce

    def reduce_and_lose_the_place(engine: MatchingEngine, order_id: str, to_e6: int) -> None:
        reduce(engine, order_id, to_e6)
        order = engine.orders[order_id]
        level = engine.books[order.market_id].side(order.side)[order.price_e4]
        level.orders[order_id] = level.orders.pop(order_id)

    monkeypatch.setattr(MatchingEngine, "reduce", reduce_and_lose_the_place)
    found = next(found for seed in range(200) if (found := attempt(Venue.KALSHI, seed, LENGTH)) is not None)
    assert "the queue is the reference's" in found.error
    assert len(found.steps) <= 5
