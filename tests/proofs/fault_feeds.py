"""Books under faults: what the recorder believes of each book, held against the exchange's own.

The recorder's session and pipeline follow a sandbox exchange that lives in this process; rows go nowhere. Makers move
the book all the time. Once they stop and what is under way has arrived, a book is either equal to the exchange's or
marked stale: a live book that differs is *wrong*. The fault ends with the changes, and two more frames come after it,
as from any market that lives: without a next frame no sequence number can tell that one is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson

from streams.market.identity import Side, Venue
from streams.recorder.books import MarketBook
from streams.recorder.connection_rows import ConnectionRows
from streams.recorder.pipeline import Pipeline
from streams.recorder.session import Session
from streams.recorder.sources import PARSERS, FeedSource
from streams.sandbox.core.faults import FaultPlan, FaultRule
from streams.sandbox.core.profile import ZERO, Profile
from streams.storage.segments import Record, RecordKind
from streams.storage.store.wanted import WantedMarket
from streams.venues.common.feed import Feed, RawFrame
from streams.venues.kalshi.stream.feed import KalshiFeed
from streams.venues.polymarket.stream.feed import PolymarketFeed
from tests.fixtures.sandbox_world import CONDITION, TICKER, World, sandbox_world

CHANGES = 300
NEVER_SILENT_S = 60.0
SETTLE_S = 30.0
VERIFY_S = 1.0


@dataclass(frozen=True, slots=True)
class FeedCase:
    """One fault of a venue's market socket."""

    what: str
    venue: Venue
    rules: tuple[FaultRule, ...] = ()
    behaviour: Profile = ZERO
    silence_s: float = NEVER_SILENT_S


@dataclass(slots=True)
class FeedOutcome:
    """What one run of a case came to.

    Attributes:
        wrong: A live book that differs from the exchange's after all has arrived.
        was_stale: How often the book was marked stale on the way.
        healed_s: From the last change until the book was live and right.
    """

    end: str = ""
    wrong: list[str] = field(default_factory=list)
    was_stale: int = 0
    connections: int = 0
    fired: int = 0
    healed_s: float = 0.0


class _Sink:
    """Stands where the recorder's sink does: nothing is written."""

    is_full = False

    def call(self, _job: Callable[..., None]) -> None:
        """Leave a small write out."""


class _Writer:
    """Stands where the recorder's segment writer does: records go to the pipeline, requests to the session."""

    is_full = False
    is_losing = False

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.session: Session | None = None

    def write_control(self, kind: RecordKind, venue: Venue | None, connection: int, body: dict[str, Any]) -> None:
        """Take something that is no frame."""
        self._consume(kind, venue, connection, time.time_ns(), orjson.dumps(body))
        self._pass_on()

    def write_frames(self, venue: Venue, connection: int, batch: Sequence[RawFrame]) -> None:
        """Take frames as received."""
        for raw, received_ns in batch:
            self._consume(RecordKind.FRAME, venue, connection, received_ns, raw)
        self._pass_on()

    def _consume(self, kind: int, venue: Venue | None, connection: int, received_ns: int, body: bytes) -> None:
        self._pipeline.consume(Record(0, 0, kind, venue, connection, received_ns, body))

    def _pass_on(self) -> None:
        self._pipeline.take()
        session = self.session
        requests, self._pipeline.requests = self._pipeline.requests, []
        reconnects, self._pipeline.reconnects = self._pipeline.reconnects, []
        if session is None:
            return
        for _connection, market_id in requests:
            session.request_resync(market_id)
        if reconnects:
            session.request_reconnect()


async def run_case(case: FeedCase, seed: int) -> FeedOutcome:
    """Run one case once, in exchanges of its own."""
    plan = FaultPlan([replace(rule) for rule in case.rules], seed=seed)
    async with sandbox_world(plan, case.behaviour) as world:
        pipeline = Pipeline(PARSERS)
        pipeline.begin(1, 0)
        numbers = itertools.count(1)
        stop = asyncio.Event()
        session = _session(world, case, pipeline, numbers)
        running = asyncio.create_task(session.run(stop))
        outcome = FeedOutcome()
        try:
            await _until(lambda: _is_live(pipeline), 60.0)
            for act in _acts(case.venue, world, random.Random(seed)):
                act()
                await asyncio.sleep(0.002)
            outcome.fired = sum(rule.fired for rule in plan.rules)
            plan.rules.clear()
            world.quote(case.venue, "last", "bid", 300, 1)
            world.pull(case.venue, "last")
            took_s = await _settle(world, case.venue, pipeline)
            book = _book(pipeline)
            if book is None or not book.is_live:
                outcome.end = f"stale ({book.cause if book else 'no connection'})"
            elif _equals(world, case.venue, book):
                outcome.end = "live and right"
            else:
                outcome.end = "live and different"
                outcome.wrong.append("a live book differs from the exchange's")
            outcome.healed_s = took_s
        finally:
            stop.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(running, 60.0)
    outcome.connections = next(numbers) - 1
    outcome.was_stale = pipeline.counters["gaps"] + pipeline.counters["unexplained"] - 1  # the last is our own stop
    return outcome


def _session(world: World, case: FeedCase, pipeline: Pipeline, numbers: Iterator[int]) -> Session:
    venue = case.venue

    def make() -> Feed:
        if venue is Venue.KALSHI:
            return KalshiFeed(world.endpoints, world.kalshi_credentials, silence_timeout_s=case.silence_s)
        return PolymarketFeed(world.endpoints, silence_timeout_s=case.silence_s)

    writer = _Writer(pipeline)
    session = Session(
        FeedSource(venue, str(venue), make, verify_within_s=None if venue is Venue.KALSHI else VERIFY_S),
        writer,  # type: ignore[arg-type]
        pipeline,
        ConnectionRows(_Sink(), venue, 0, "faults"),  # type: ignore[arg-type]
        numbers=numbers,
        silence_timeout_s=case.silence_s,
    )
    writer.session = session
    listed = world.exchanges[venue].state.markets[TICKER if venue is Venue.KALSHI else CONDITION].market
    wanted = WantedMarket(venue, listed.market_id, listed.event_id, listed.yes_token, listed.no_token, listed.event_id)
    session.follow([wanted])
    return session


def _acts(venue: Venue, world: World, chance: random.Random) -> Iterator[Callable[[], None]]:
    """Makers come and go on both sides, at and behind the best prices; now and then a best level is taken."""
    resting: list[str] = []
    for number in range(CHANGES):
        if resting and chance.random() < 0.45:
            key = resting.pop(chance.randrange(len(resting)))
            yield lambda key=key: world.pull(venue, key)  # type: ignore[misc]
            continue
        side: Side = "bid" if chance.random() < 0.5 else "ask"
        distance = chance.randrange(0, 3) if chance.random() < 0.5 else chance.randrange(3, 45)
        price = 4_900 - 100 * distance if side == "bid" else 5_100 + 100 * distance
        key = f"k{number}"
        resting.append(key)
        size = chance.randrange(1, 40)
        yield lambda key=key, side=side, price=price, size=size: world.quote(venue, key, side, price, size)  # type: ignore[misc]


def _book(pipeline: Pipeline) -> MarketBook | None:
    for connection in pipeline.connections.values():
        for state in connection.books.values():
            return state
    return None


def _is_live(pipeline: Pipeline) -> bool:
    book = _book(pipeline)
    return book is not None and book.is_live


def _equals(world: World, venue: Venue, book: MarketBook) -> bool:
    truth = world.exchanges[venue].state.engine.books[book.key.market_id]
    return book.book.bid_levels() == truth.levels("bid") and book.book.ask_levels() == truth.levels("ask")


async def _settle(world: World, venue: Venue, pipeline: Pipeline) -> float:
    """Wait until the book is live and right, at most `SETTLE_S`; returns the seconds that took."""
    begun = time.monotonic()

    def is_right() -> bool:
        book = _book(pipeline)
        return book is not None and book.is_live and _equals(world, venue, book)

    with contextlib.suppress(TimeoutError):
        await _until(is_right, SETTLE_S)
    return time.monotonic() - begun


async def _until(condition: Callable[[], bool], limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _both(what: str, *rules: FaultRule, behaviour: Profile = ZERO, silence_s: float = NEVER_SILENT_S) -> list[FeedCase]:
    return [
        FeedCase(what, venue, tuple(replace(rule, venue=venue) for rule in rules), behaviour, silence_s)
        for venue in Venue
    ]


_SOME = Decimal("0.03")
CASES: list[FeedCase] = [
    *_both("no fault"),
    *_both("frames dropped", FaultRule("dropped_frame", probability=_SOME)),
    *_both("frames late, in order", behaviour=replace(ZERO, feed_lag_ms=(20, 120))),
    *_both("frames late, some much", FaultRule("delayed_frame", probability=_SOME, ms=150)),
    *_both("frames twice", FaultRule("duplicated_frame", probability=_SOME)),
    *_both("frames out of order", FaultRule("reordered_frame", probability=_SOME)),
    *_both("socket silent, pings answered", FaultRule("silent_socket", ms=200, times=1), silence_s=0.6),
    FeedCase(
        "subscription ended by the channel",
        Venue.KALSHI,
        (FaultRule("channel_error", Venue.KALSHI, skip=50, times=2, channel="orderbook_delta"),),
    ),
    *_both("connection reset", FaultRule("disconnect", ms=200, times=2)),
    *(
        FeedCase(
            "connection reset, 502 at the next two tries",
            venue,
            (
                FaultRule("disconnect", venue, ms=200, times=1),
                FaultRule("server_error", venue, status=502, path=path, skip=1, times=2),
            ),
        )
        for venue, path in ((Venue.KALSHI, "/trade-api/ws"), (Venue.POLYMARKET, "/ws/market"))
    ),
    *_both(
        "dropped, twice and out of order",
        FaultRule("dropped_frame", probability=_SOME),
        FaultRule("duplicated_frame", probability=_SOME),
        FaultRule("reordered_frame", probability=_SOME),
    ),
]
