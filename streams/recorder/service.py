"""The recorder of one recorder shard from start to stop: lease, replay, sessions, sink, heartbeat, drain."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import psycopg

from streams.logs import get_logger
from streams.market.errors import TransientError
from streams.market.identity import MarketRef
from streams.recorder.connection_rows import ConnectionRows
from streams.recorder.observer import Observer, ObserverGuard
from streams.recorder.pipeline import Pipeline
from streams.recorder.replay import replay_dead_segments
from streams.recorder.segment_writer import SegmentWriter
from streams.recorder.session import Session, by_venue
from streams.recorder.sink import Sink
from streams.recorder.sources import PARSERS, FeedSource, feed_sources
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.coverage import end_foreign_shards, end_unsubscribed
from streams.storage.database import Connection, connect, database_dsn
from streams.storage.hints import Hints
from streams.storage.outages import may_be_repeated
from streams.storage.partitions import ensure_partitions
from streams.storage.recording import end_killed_connections, unfinished_shards
from streams.storage.store.leases import Lease, LeaseLost, acquire, heartbeat, process_holder, release, release_dead
from streams.storage.store.wanted import WantedMarket, load_wanted, shard_of

_UNIVERSE_INTERVAL_S = 2.0
_HEARTBEAT_INTERVAL_S = 1.0
_LEASE_WAIT_S = 45.0
_RIDE_OUT_S = 150.0
_RELEASE_LIMIT_S = 5.0
_FIRST_SEGMENT_PAUSE_S = 0.1

T = TypeVar("T")
LoadUniverse = Callable[[Connection], list[WantedMarket]]


@dataclass(frozen=True, slots=True)
class RecorderRun:
    """Which of the `shards` recorder shards, from 0, a recorder records, and the orchestrator's id of its run."""

    shard: int
    shards: int
    run_id: str


@dataclass
class RecorderSummary:
    """What a recorder did from its start to its end."""

    shard: int
    run_id: str
    started_at: datetime
    ended_at: datetime | None = None
    replayed_frames: int = 0
    rows: int = 0
    attempts: int = 0
    counters: dict[str, int] = field(default_factory=dict)


def lease_name(shard: int) -> str:
    """Return the name of a recorder shard's lease."""
    return f"shard:{shard}"


async def record(
    settings: Settings,
    run: RecorderRun,
    observers: Sequence[Observer],
    stop: asyncio.Event,
    *,
    sources: Sequence[FeedSource] | None = None,
    universe: LoadUniverse | None = None,
) -> RecorderSummary:
    """Record a recorder shard until `stop` is set, then drain to Postgres.

    Args:
        settings: The settings of this home.
        run: Which recorder shard, and under which id.
        observers: Called with each quote; what they raise or how long they run is counted and delays nothing.
        stop: Ends the recording.
        sources: Where each venue's feed comes from; default by the settings.
        universe: Loads the markets to record, all recorder shards together; default `load_wanted`.

    Raises:
        LeaseLost: If another recorder holds the recorder shard now.
        TransientError: If the recorder shard stays leased at the start, or the warehouse is not there at the end.
        psycopg.Error: If it does not come at the start.
    """
    load = universe or (lambda connection: load_wanted(connection, settings.recorded_markets_max))
    recorder = _Recorder(settings, run, observers, load)
    return await recorder.run(feed_sources(settings) if sources is None else sources, stop)


class _Recorder:
    """Wires the parts of one run together; used once."""

    def __init__(self, settings: Settings, run: RecorderRun, observers: Sequence[Observer], load: LoadUniverse) -> None:
        self.settings = settings
        self.shard = run.shard
        self.shards = run.shards
        self.run_id = run.run_id
        self.load = load
        self.dsn = database_dsn(settings, Login.RECORDER)
        self.guard = ObserverGuard(observers)
        self.pipeline = Pipeline(PARSERS, self.guard)
        self.sink = Sink(self.dsn, self.shard, self.run_id, settings.home_dir / "segments", PARSERS)
        self.writer = SegmentWriter(
            self.pipeline,
            self.sink,
            segment_max_bytes=settings.segment_max_bytes,
            segment_max_age_s=settings.segment_max_age_s,
        )
        self.writer.after_drain = self._pass_on_requests
        self.sessions: list[Session] = []
        self.summary = RecorderSummary(self.shard, self.run_id, datetime.now(UTC))
        self.log = get_logger(shard=self.shard, run_id=self.run_id)
        self.loop_seen = time.monotonic()

    async def run(self, sources: Sequence[FeedSource], stop: asyncio.Event) -> RecorderSummary:
        lease = await self._acquire_lease(stop)
        if lease is None:
            return self.summary
        keeper = _Keeper(self, lease, asyncio.get_running_loop())
        try:
            keeper.start()
            await asyncio.to_thread(self._ride_out, self._clean_up_before)
            await self._record(sources, stop, keeper)
        finally:
            keeper.stop()
            self.guard.close()
            with suppress(psycopg.Error):  # what is not released expires
                self._ride_out(partial(release, lease=lease), _RELEASE_LIMIT_S)
        self.summary.ended_at = datetime.now(UTC)
        self.log.info("recorder stopped", **self.summary.counters)
        return self.summary

    def _ride_out(self, work: Callable[[Connection], T], limit_s: float = _RIDE_OUT_S) -> T:
        """Do something that may be repeated on a connection of its own, also when the database is away for a while."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                with connect(self.dsn, application="crossbook-recorder") as connection:
                    return work(connection)
            except psycopg.Error as error:
                if not may_be_repeated(error) or time.monotonic() > deadline:
                    raise
                self.log.warning("warehouse unreachable", error=str(error)[:300])
            time.sleep(_HEARTBEAT_INTERVAL_S)

    async def _acquire_lease(self, stop: asyncio.Event) -> Lease | None:
        deadline = time.monotonic() + _LEASE_WAIT_S
        while not stop.is_set():
            lease = await asyncio.to_thread(self._ride_out, self._try_lease)
            if lease is not None:
                return lease
            if time.monotonic() > deadline:
                raise TransientError(f"recorder shard {self.shard} is recorded by another process")
            await asyncio.sleep(0.5)
        return None

    def _try_lease(self, connection: Connection) -> Lease | None:
        name = lease_name(self.shard)
        release_dead(connection, name)
        return acquire(connection, name, process_holder(), self.run_id, self.settings.lease_ttl_s)

    def _clean_up_before(self, connection: Connection) -> None:
        """Make partitions, finish what dead runs left, end intervals of markets that left the subscribed universe."""
        now = datetime.now(UTC)
        ensure_partitions(connection, now.date())
        orphaned = [shard for shard in unfinished_shards(connection) if self.shard == 0 and shard >= self.shards]
        for shard in [self.shard, *orphaned]:
            self.summary.replayed_frames += replay_dead_segments(connection, shard, PARSERS).frames
        end_killed_connections(connection, self.shard, self.run_id, now)
        mine = {MarketRef(market.venue, market.market_id) for market in self.mine(self.load(connection))}
        end_unsubscribed(connection, self.shard, mine, now)
        if self.shard == 0:
            end_foreign_shards(connection, self.shards, now)

    def mine(self, markets: Sequence[WantedMarket]) -> list[WantedMarket]:
        """Return the markets of this recorder shard."""
        return [market for market in markets if shard_of(market.component, self.shards) == self.shard]

    def follow(self, markets: Sequence[WantedMarket]) -> None:
        """Give each session its markets."""
        sets = by_venue(markets)
        for session in self.sessions:
            session.follow(sets[session.venue])

    async def _record(self, sources: Sequence[FeedSource], stop: asyncio.Event, keeper: _Keeper) -> None:
        self.sink.start()
        numbers = itertools.count(1)
        try:
            if not await self._open_first_segment(stop, keeper):
                return
            self.sessions = [
                Session(
                    source,
                    self.writer,
                    self.pipeline,
                    ConnectionRows(self.sink, source.venue, self.shard, self.run_id),
                    numbers=numbers,
                    silence_timeout_s=self.settings.silence_timeout_s,
                )
                for source in sources
            ]
            keeper.is_recording = True
            ended = asyncio.Event()
            tasks = [asyncio.create_task(session.run(ended)) for session in self.sessions]
            try:
                await self._tick_until(stop, keeper, tasks)
            finally:
                ended.set()
                await asyncio.gather(*tasks, return_exceptions=True)
                self.writer.stop()
        finally:
            await asyncio.to_thread(self.sink.close)
            self.summary.rows = self.sink.committed_rows
            self.summary.counters = self.detail()

    async def _open_first_segment(self, stop: asyncio.Event, keeper: _Keeper) -> bool:
        """Wait for a segment to write into, which needs the disk and the database; false when it is stopped before."""
        while not self.writer.start():
            if stop.is_set():
                return False
            keeper.raise_error()
            self.sink.raise_error()
            await asyncio.sleep(_FIRST_SEGMENT_PAUSE_S)
        return True

    async def _tick_until(self, stop: asyncio.Event, keeper: _Keeper, tasks: Sequence[asyncio.Task[None]]) -> None:
        interval = self.settings.flush_interval_ms / 1000
        while not stop.is_set():
            self.loop_seen = time.monotonic()
            self.writer.tick()
            self.guard.on_tick(time.time_ns())
            keeper.raise_error()
            self.sink.raise_error()
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(interval)

    def _pass_on_requests(self) -> None:
        """Hand what the books need to the sessions they come from."""
        requests, self.pipeline.requests = self.pipeline.requests, []
        reconnects, self.pipeline.reconnects = self.pipeline.reconnects, []
        for session in self.sessions:
            for number, market_id in requests:
                if number == session.number:
                    session.request_resync(market_id)
            if session.number in reconnects:
                session.request_reconnect()

    def detail(self) -> dict[str, int]:
        """Return the counters that stand in the lease's row."""
        return {
            **self.pipeline.counters,
            "markets": sum(len(c.books) for c in list(self.pipeline.connections.values())),
            "rows": self.sink.committed_rows,
            "waiting_rows": self.sink.waiting_rows,
            "commit_lag_ms": round(self.sink.lag_ms),
            "venue_lag_ms": self.pipeline.last_venue_lag_ms or 0,
            "connections": sum(session.number is not None for session in self.sessions),
            "attempts": sum(session.attempts for session in self.sessions),
            "stalls": sum(session.stalls for session in self.sessions),
            "session_failures": sum(session.failures for session in self.sessions),
            "lost_frames": self.writer.lost_frames,
            "outages": self.sink.outages,
            "failed_writes": self.sink.failed_writes,
            "failed_syncs": self.sink.failed_syncs,
            "observer_failures": self.guard.failures,
            "observer_overruns": self.guard.overruns,
            "observer_skipped": self.guard.skipped,
        }


class _Keeper(threading.Thread):
    """Keeps the lease alive and the subscribed universe known, on a connection of its own.

    The heartbeat stops when the event loop has not turned for the lease's life: a stuck recorder is replaced. Only the
    loss of the lease ends the recording; whatever else fails is tried again, and an expired lease that nobody took is
    prolonged.
    """

    def __init__(self, recorder: _Recorder, lease: Lease, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="recorder-keeper", daemon=True)
        self._recorder = recorder
        self._lease = lease
        self._loop = loop
        self._stopped = threading.Event()
        self._next_universe = 0.0
        self._failures = 0
        self._error: LeaseLost | None = None
        self.is_recording = False

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join(10.0)

    def raise_error(self) -> None:
        """Raise LeaseLost if the lease is another recorder's now."""
        if self._error is not None:
            raise self._error

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                with connect(self._recorder.dsn, application="crossbook-recorder-keeper") as connection:
                    hints = Hints(connection, "crossbook_wanted", _HEARTBEAT_INTERVAL_S / 4)
                    while not self._stopped.is_set():
                        self._beat(connection)
                        if hints.wait(_HEARTBEAT_INTERVAL_S / 2):
                            self._next_universe = 0.0
            except LeaseLost as error:
                self._error = error
                return
            except Exception as error:  # a failed heartbeat is repeated; it must not end the recording
                self._note("heartbeat could not be written", error)
                self._stopped.wait(_HEARTBEAT_INTERVAL_S)

    def _beat(self, connection: Connection) -> None:
        recorder = self._recorder
        is_turning = time.monotonic() - recorder.loop_seen < self._lease.ttl_s
        if is_turning or not self.is_recording:
            heartbeat(connection, self._lease, recorder.detail())
        if self.is_recording and time.monotonic() >= self._next_universe:
            self._next_universe = time.monotonic() + _UNIVERSE_INTERVAL_S
            self._poll_universe(connection)

    def _poll_universe(self, connection: Connection) -> None:
        """Look which markets are wanted now; where that fails those known are kept."""
        try:
            markets = self._recorder.mine(self._recorder.load(connection))
        except Exception as error:  # the recording goes on with what it has
            self._note("the subscribed universe could not be read", error)
            return
        self._loop.call_soon_threadsafe(self._recorder.follow, markets)

    def _note(self, what: str, error: Exception) -> None:
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:  # at 1, 2, 4, 8, ...
            self._recorder.log.warning(what, error=f"{type(error).__name__}: {error}"[:300], times=self._failures)
