"""The recorder of one recorder shard from start to stop: lease, replay, sessions, sink, heartbeat, drain."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

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
from streams.storage.coverage import end_foreign_shards, end_unsubscribed
from streams.storage.database import Connection, connect, database_dsn
from streams.storage.partitions import ensure_partitions
from streams.storage.recording import end_killed_connections, unfinished_shards
from streams.storage.store.leases import Lease, LeaseLost, acquire, heartbeat, process_holder, release, release_dead
from streams.storage.store.wanted import WantedMarket, load_wanted, shard_of

_UNIVERSE_INTERVAL_S = 2.0
_HEARTBEAT_INTERVAL_S = 1.0
_LEASE_WAIT_S = 45.0

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
        TransientError: If the recorder shard stays leased at the start, or the warehouse does not come back.
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
        self.dsn = database_dsn(settings)
        self.guard = ObserverGuard(observers)
        self.pipeline = Pipeline(PARSERS, self.guard)
        self.sink = Sink(self.dsn, self.shard, self.run_id, settings.home_dir / "segments")
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
        with connect(self.dsn, application="crossbook-recorder") as connection:
            lease = await self._acquire_lease(connection, stop)
            if lease is None:
                return self.summary
            keeper = _Keeper(self, lease, asyncio.get_running_loop())
            try:
                keeper.start()
                await asyncio.to_thread(self._clean_up_before, connection)
                await self._record(sources, stop, keeper)
            finally:
                keeper.stop()
                self.guard.close()
                release(connection, lease)
        self.summary.ended_at = datetime.now(UTC)
        self.log.info("recorder stopped", **self.summary.counters)
        return self.summary

    async def _acquire_lease(self, connection: Connection, stop: asyncio.Event) -> Lease | None:
        deadline = time.monotonic() + _LEASE_WAIT_S
        name = lease_name(self.shard)
        while not stop.is_set():
            release_dead(connection, name)
            lease = acquire(connection, name, process_holder(), self.run_id, self.settings.lease_ttl_s)
            if lease is not None:
                return lease
            if time.monotonic() > deadline:
                raise TransientError(f"recorder shard {self.shard} is recorded by another process")
            await asyncio.sleep(0.5)
        return None

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
        await asyncio.to_thread(self.sink.start)
        numbers = itertools.count(1)
        try:
            self.writer.start()
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

    async def _tick_until(self, stop: asyncio.Event, keeper: _Keeper, tasks: Sequence[asyncio.Task[None]]) -> None:
        interval = self.settings.flush_interval_ms / 1000
        while not stop.is_set():
            self.loop_seen = time.monotonic()
            self.writer.tick()
            self.guard.on_tick(time.time_ns())
            if keeper.error is not None:
                raise keeper.error
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
            "observer_failures": self.guard.failures,
            "observer_overruns": self.guard.overruns,
            "observer_skipped": self.guard.skipped,
        }


class _Keeper(threading.Thread):
    """Keeps the lease alive and the subscribed universe known, on a connection of its own.

    The heartbeat stops when the event loop has not turned for the lease's life: a stuck recorder is replaced.
    """

    def __init__(self, recorder: _Recorder, lease: Lease, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="recorder-keeper", daemon=True)
        self._recorder = recorder
        self._lease = lease
        self._loop = loop
        self._stopped = threading.Event()
        self._next_universe = 0.0
        self.is_recording = False
        self.error: BaseException | None = None

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join(10.0)

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                with connect(self._recorder.dsn, application="crossbook-recorder-keeper") as connection:
                    connection.execute("LISTEN crossbook_wanted")
                    while not self._stopped.is_set():
                        self._beat(connection)
            except psycopg.OperationalError as error:
                self._recorder.log.warning("heartbeat could not be written", error=str(error))
                self._stopped.wait(_HEARTBEAT_INTERVAL_S)
            except LeaseLost as error:
                self.error = error
                return
            except Exception as error:  # handed to the event loop, which ends the recording
                self.error = error
                return

    def _beat(self, connection: Connection) -> None:
        recorder = self._recorder
        is_turning = time.monotonic() - recorder.loop_seen < self._lease.ttl_s
        if is_turning or not self.is_recording:
            heartbeat(connection, self._lease, recorder.detail())
        if self.is_recording and time.monotonic() >= self._next_universe:
            self._next_universe = time.monotonic() + _UNIVERSE_INTERVAL_S
            markets = recorder.mine(recorder.load(connection))
            self._loop.call_soon_threadsafe(recorder.follow, markets)
        for _ in connection.notifies(timeout=_HEARTBEAT_INTERVAL_S / 2, stop_after=1):
            self._next_universe = 0.0
