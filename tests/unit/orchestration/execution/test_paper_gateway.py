"""A paper order leaves, is on its way, and meets the book at its arrival; no time comes from this machine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.venues.gateway import (
    HeldBack,
    OrderAnswer,
    OrderKey,
    OrderReading,
    OrderSpec,
    PreparedOrder,
)
from orchestration.execution.venues.paper import Matching, PaperGateway, PaperSources, books_read_at
from orchestration.execution.venues.paper_matching import (
    LevelKey,
    PaperMatch,
    PaperReject,
    PaperState,
    gone_levels,
    paper_profile,
)
from streams.market.errors import Refused, Unavailable
from streams.market.events import BookSnapshot, Levels
from streams.market.fees import KalshiFeeSchedule
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import LevelTaken, RefusalReason, Target

ONE = 1_000_000
START = datetime(2026, 11, 30, tzinfo=UTC)
TARGET = Target(Venue.KALSHI, "K", MarketTerms(), KalshiFeeSchedule())


class World:
    """A venue whose book changes at given times, a clock that only waiting moves, and an account in memory."""

    venue = Venue.KALSHI
    buys_spend_dollars = False

    def __init__(self, books: Mapping[int, Levels], delay_ms: int = 0) -> None:
        self.now = START
        self.cash_e6 = 100 * ONE
        self.taken: list[LevelTaken] = []
        self.arrived: list[datetime] = []
        self.is_open = True
        self._books = books
        self._delay_ms = delay_ms
        profile = paper_profile("realistic", fade_probability_e6=0, fade_e4=0)
        sources = PaperSources(
            books_read_at(self, lambda: self.now, self.sleep),  # type: ignore[arg-type]
            self.delay_ms,
            lambda: (100,),
            random.Random(7),
            lambda: self.now,
        )
        self.paper = PaperGateway(self, self, profile, sources)  # type: ignore[arg-type]

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def delay_ms(self, _: Target) -> int:
        return self._delay_ms

    async def books(self, _: Any) -> dict[str, BookSnapshot]:
        passed = (self.now - START) / timedelta(milliseconds=1)
        since = [at for at in self._books if at <= passed]
        return {"K": BookSnapshot(Venue.KALSHI, "K", [], list(self._books[max(since)]))} if since else {}

    # -- the account --

    def gone(self, _: str) -> Mapping[LevelKey, LevelTaken]:
        return gone_levels(self.taken)

    def cash_by_shard(self) -> Mapping[int | None, int]:
        return {0: self.cash_e6, 1: ONE}

    def fill(self, _: str, spec: OrderSpec, arrived_at: datetime, match: Matching) -> PaperMatch | PaperReject | None:
        if not self.is_open:
            return None
        self.arrived.append(arrived_at)
        result = match(PaperState(self.cash_e6, 0, 0, self.gone(spec.target.market_id), follows_fill=False))
        if isinstance(result, PaperMatch):
            self.taken += [fill.level for fill in result.fills]
        return result

    def reading(self, client_order_id: str) -> OrderReading:
        return OrderReading(bool(self.arrived), status=client_order_id)


def order(world: World, size_e6: int = 10 * ONE) -> PreparedOrder:
    return world.paper.prepare(OrderSpec(TARGET, "yes", "buy", 5_000, size_e6))


def send(world: World, prepared: PreparedOrder | None = None) -> OrderAnswer:
    return asyncio.run(world.paper.send(prepared or order(world)))


def test_an_order_meets_the_book_after_its_way_and_the_markets_delay() -> None:
    late = World({0: [(5_000, 10 * ONE)], 200: [(5_000, 3 * ONE)], 201: []}, delay_ms=150)
    send(late)
    assert late.arrived == [START + timedelta(milliseconds=200)]
    assert late.taken == [LevelTaken("ask", 5_000, 3 * ONE, 3 * ONE)]


def test_its_draws_stand_in_its_request_before_it_leaves() -> None:
    world = World({0: []})
    request = order(world).request
    assert request["latency_ms"] == 50
    assert 0 <= request["fade_draw"] < 1_000_000
    assert order(World({0: []})).request == request
    assert order(World({0: []})).client_order_id == order(World({0: []})).client_order_id


def test_the_last_check_is_made_before_it_is_on_its_way() -> None:
    world = World({0: [(5_000, 10 * ONE)]})

    def keep_back() -> None:
        raise HeldBack(Refusal(RefusalReason.KILLED))

    prepared = order(world)
    with pytest.raises(HeldBack):
        send(world, PreparedOrder(prepared.client_order_id, prepared.request, keep_back))
    assert (world.now, world.taken, world.arrived) == (START, [], [])
    send(world)
    assert len(world.taken) == 1


def test_what_it_took_is_missing_from_the_books_that_are_decided_on() -> None:
    world = World({0: [(5_000, 10 * ONE), (5_100, 5 * ONE)]})
    send(world, order(world, 4 * ONE))
    assert asyncio.run(world.paper.books([TARGET]))["K"].asks == [(5_000, 6 * ONE), (5_100, 5 * ONE)]


def test_what_the_venue_would_refuse_is_an_error_and_takes_nothing() -> None:
    world = World({0: [(5_000, 10 * ONE)]})
    world.cash_e6 = 0
    with pytest.raises(Refused, match="insufficient_balance") as refused:
        send(world)
    assert (refused.value.code, world.taken) == ("insufficient_balance", [])


def test_an_order_that_was_given_up_on_its_way_is_refused() -> None:
    world = World({0: [(5_000, 10 * ONE)]})
    world.is_open = False
    with pytest.raises(Refused, match="given up"):
        send(world)


def test_a_book_that_cannot_be_read_at_arrival_fills_nothing() -> None:
    world = World({0: [(5_000, 10 * ONE)]})

    async def away(_: Any) -> dict[str, BookSnapshot]:
        raise Unavailable("maintenance")

    world.books = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        send(world)
    assert world.arrived == []


def test_cash_is_that_of_all_exchange_shards_and_an_order_is_known_by_its_rows() -> None:
    world = World({0: []})
    assert asyncio.run(world.paper.cash_e6()) == 101 * ONE
    assert asyncio.run(world.paper.cash_by_shard()) == {0: 100 * ONE, 1: ONE}
    key = OrderKey("other-process", None, TARGET, "yes", "buy", START)
    assert not asyncio.run(world.paper.read(key)).is_found
    send(world)
    assert asyncio.run(world.paper.read(key)).status == "other-process"
