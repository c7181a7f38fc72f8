"""The recorder while its database is away: it goes on reading, and afterwards every frame is in the database once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.market.identity import Venue
from streams.recorder import service, session
from streams.recorder.service import RecorderRun, RecorderSummary, record
from streams.recorder.sink import Sink
from streams.recorder.sources import FeedSource
from streams.settings import load_settings
from streams.storage.outages import is_transient
from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from streams.storage.store.leases import LeaseLost
from tests.support.kalshi_frames import KalshiFrames
from tests.support.ports import free_port
from tests.support.recorder_feed import LineServer, line_source, wanted


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of our own, which a test may stop."""
    server = EmbeddedServer(home=tmp_path_factory.mktemp("postgres"), port=free_port())
    server.start()
    try:
        migrate(server.dsn(), "sandbox")
        yield server
    finally:
        server.destroy()


def fetch(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()


async def until(condition: Callable[[], bool], limit_s: float = 90.0) -> None:
    deadline = time.monotonic() + limit_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


class Work:
    """A recorder over one market, the venue it reads, and what is done to it meanwhile."""

    def __init__(self, dsn: str, home: Path, **settings: Any) -> None:
        self.dsn = dsn
        self.settings = load_settings(database_url=dsn, home=home, flush_interval_ms=20, **settings)
        self.frames: dict[int, KalshiFrames] = {}
        self.venue = LineServer(self._answer)
        self.sent = 0

    def _answer(self, number: int, line: str) -> list[bytes]:
        frames = self.frames.setdefault(number, KalshiFrames())
        word, _, ids = line.partition(" ")
        return [] if word == "unsubscribe" else [frames.snapshot(m, [("0.4000", "9.00")], []) for m in ids.split(",")]

    def send(self, count: int) -> None:
        frames = self.frames[self.venue.connections]
        self.venue.send(*(frames.delta("A", "yes", "0.3000", "1.00") for _ in range(count)))
        self.sent += count

    async def run(self, act: Callable[[], Any], **other: Any) -> RecorderSummary:
        async with self.venue:
            stop = asyncio.Event()
            given = {"sources": [line_source(self.venue.port)], "universe": lambda _connection: wanted("A"), **other}
            recorder = asyncio.create_task(record(self.settings, RecorderRun(0, 1, "run"), [], stop, **given))
            acting = asyncio.ensure_future(act())
            try:
                await asyncio.wait([acting, recorder], return_when=asyncio.FIRST_COMPLETED)
                assert acting.done() or recorder.exception() is not None, "the recording ended"
            finally:
                stop.set()
            summary = await recorder
            await acting
            return summary

    @property
    def rows(self) -> int:
        return int(fetch(self.dsn, "SELECT count(*) FROM raw.book_deltas")[0][0])

    def check(self) -> None:
        """Every change is in the database once, and the coverage knows of no gap but the beginning and the end."""
        rows = fetch(
            self.dsn,
            "SELECT count(*), count(DISTINCT (segment_id, frame_offset)), max(size_after_e6) FROM raw.book_deltas",
        )
        assert rows == [(self.sent, self.sent, self.sent * 1_000_000)]
        gaps = fetch(self.dsn, "SELECT cause FROM raw.coverage WHERE state = 'gap' ORDER BY coverage_id")
        assert gaps == [("starting",), ("stopped",)]
        assert fetch(self.dsn, "SELECT count(*) FROM raw.segments WHERE closed_at IS NULL") == [(0,)]
        assert fetch(self.dsn, "SELECT count(*) FROM raw.coverage WHERE ended_at IS NULL") == [(1,)]
        assert self.venue.connections == 1


def clear(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in ("raw.book_deltas", "raw.coverage", "raw.segments", "raw.connections", "trading.leases"):
            connection.execute(f"DELETE FROM {table}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("max_rows", [200_000, 20])
def test_a_stopped_database_costs_nothing_that_was_received(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_rows: int
) -> None:
    monkeypatch.setattr(service, "Sink", partial(Sink, max_rows=max_rows))
    clear(server.dsn())
    work = Work(server.dsn(), tmp_path)

    async def act() -> None:
        await until(lambda: bool(work.frames) and work.venue.connections == 1)
        work.send(30)
        await until(lambda: work.rows == 30)
        await asyncio.to_thread(server.stop)
        for _ in range(25):
            work.send(50)
            await asyncio.sleep(0.1)
        await asyncio.to_thread(server.start)
        work.send(10)
        await until(lambda: work.rows == work.sent)

    summary = asyncio.run(work.run(act))
    work.check()
    assert summary.counters["outages"] > 0
    if max_rows > work.sent:
        assert summary.counters["stalls"] == 0, "the sockets were read all the time"


@pytest.mark.timeout(200)
def test_a_statement_that_a_person_cancels_costs_nothing(server: EmbeddedServer, tmp_path: Path) -> None:
    clear(server.dsn())
    work = Work(server.dsn(), tmp_path)
    cancel = """SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'crossbook-recorder' AND wait_event_type = 'Lock'"""

    async def act() -> None:
        await until(lambda: bool(work.frames))
        work.send(30)
        await until(lambda: work.rows == 30)
        with psycopg.connect(server.dsn()) as holder:
            holder.execute("LOCK TABLE raw.book_deltas IN EXCLUSIVE MODE")
            work.send(30)
            for _ in range(2):
                await until(lambda: fetch(server.dsn(), cancel)[0][0] > 0)
        await until(lambda: work.rows == work.sent)

    asyncio.run(work.run(act))
    work.check()


@pytest.mark.timeout(200)
def test_ended_sessions_and_a_server_that_takes_no_writes_cost_nothing(server: EmbeddedServer, tmp_path: Path) -> None:
    clear(server.dsn())
    work = Work(server.dsn(), tmp_path)

    def administer(*statements: str) -> None:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            for statement in (*statements, "SELECT pg_reload_conf()"):
                connection.execute(statement)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^crossbook-recorder'"
            )

    async def act() -> None:
        await until(lambda: bool(work.frames))
        work.send(30)
        await until(lambda: work.rows == 30)
        administer()
        work.send(30)
        await until(lambda: work.rows == 60)
        administer("ALTER SYSTEM SET default_transaction_read_only = on")
        for _ in range(10):
            work.send(10)
            await asyncio.sleep(0.1)
        administer("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only")
        await until(lambda: work.rows == work.sent)

    asyncio.run(work.run(act))
    work.check()


@pytest.mark.timeout(200)
def test_a_universe_that_cannot_be_read_keeps_the_markets_that_are_known(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    clear(server.dsn())
    work = Work(server.dsn(), tmp_path)
    polls = 0

    def universe(_connection: Any) -> Any:
        nonlocal polls
        polls += 1
        if polls > 2:
            raise ValueError("a listing nobody foresaw")
        return wanted("A")

    async def act() -> None:
        await until(lambda: bool(work.frames))
        await until(lambda: polls > 3)
        work.send(5)
        await until(lambda: work.rows == 5)

    asyncio.run(work.run(act, universe=universe))
    work.check()


@pytest.mark.timeout(200)
def test_a_lease_that_expired_is_prolonged_and_one_that_another_took_ends_the_recording(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    clear(server.dsn())
    work = Work(server.dsn(), tmp_path)

    async def act() -> None:
        await until(lambda: bool(work.frames))
        fetch(server.dsn(), "UPDATE trading.leases SET expires_at = now() - interval '1 hour' RETURNING 1")
        await until(lambda: bool(fetch(server.dsn(), "SELECT 1 FROM trading.leases WHERE expires_at > now()")))
        fetch(server.dsn(), "UPDATE trading.leases SET epoch = epoch + 1, holder = 'other' RETURNING 1")
        await asyncio.Event().wait()

    async def main() -> None:
        acting = asyncio.wait_for(work.run(act), 60)
        with pytest.raises((LeaseLost, TimeoutError)) as ended:
            await acting
        assert isinstance(ended.value, LeaseLost)

    asyncio.run(main())


class Broken:
    """A feed with a fault that nobody foresaw: where it is made, connected or read."""

    venue = Venue.POLYMARKET

    def __init__(self, where: str) -> None:
        self._where = where

    def _fail(self, where: str) -> None:
        if self._where == where:
            raise AssertionError(where)

    async def connect(self) -> None:
        self._fail("connect")

    async def subscribe(self, _markets: object) -> None:
        self._fail("subscribe")

    async def unsubscribe(self, _markets: object) -> None: ...

    async def resync(self, _ids: object) -> None: ...

    async def batches(self) -> Any:
        self._fail("batches")
        await asyncio.Event().wait()
        yield []

    async def close(self) -> None:
        self._fail("connect")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("where", ["make", "connect", "subscribe", "batches"])
def test_an_error_in_one_session_is_told_and_the_other_venue_goes_on(
    server: EmbeddedServer, tmp_path: Path, where: str
) -> None:
    clear(server.dsn())
    fetch(server.dsn(), "DELETE FROM trading.alerts RETURNING 1")
    work = Work(server.dsn(), tmp_path)
    made = 0

    def make() -> Any:
        nonlocal made
        made += 1
        if where == "make":
            raise RuntimeError("a keystore nobody can read\x00")
        return Broken(where)

    markets = [*wanted("A"), *(m.__class__(Venue.POLYMARKET, "P", "E", "1", "2", "p") for m in wanted("P"))]

    async def act() -> None:
        await until(lambda: made >= 3 and bool(work.frames))
        work.send(5)
        await until(lambda: work.rows == 5)
        await until(lambda: bool(fetch(server.dsn(), "SELECT 1 FROM trading.alerts")))

    async def main() -> RecorderSummary:
        async with work.venue:
            sources = [FeedSource(Venue.POLYMARKET, "polymarket", make), line_source(work.venue.port)]
            stop = asyncio.Event()
            run = record(
                work.settings, RecorderRun(0, 1, "run"), [], stop, sources=sources, universe=lambda _connection: markets
            )
            recorder = asyncio.create_task(run)
            try:
                await act()
            finally:
                stop.set()
            return await recorder

    summary = asyncio.run(main())
    assert summary.counters["session_failures"] >= 3
    assert fetch(server.dsn(), "SELECT DISTINCT kind, severity FROM trading.alerts") == [("session_failed", "critical")]
    causes = fetch(server.dsn(), "SELECT state, cause FROM raw.coverage WHERE market_id = 'A' ORDER BY coverage_id")
    assert causes == [("gap", "starting"), ("covered", ""), ("gap", "stopped")]


@pytest.mark.timeout(200)
def test_a_session_that_lasts_ends_its_alert_while_it_lasts_also_one_of_the_run_before(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_SETTLED_AFTER_S", 0.1)
    clear(server.dsn())
    fetch(server.dsn(), "DELETE FROM trading.alerts RETURNING 1")
    left = "session_failed:0:kalshi"
    fetch(
        server.dsn(),
        f"""INSERT INTO trading.alerts (kind, severity, dedup_key, message, raised_at)
            VALUES ('session_failed', 'critical', '{left}', 'By the run before.', now()) RETURNING 1""",
    )
    work, made = Work(server.dsn(), tmp_path), []

    def make() -> Any:
        made.append(1)
        if len(made) < 3:
            raise RuntimeError("a keystore nobody can read")
        return Broken("nowhere")

    markets = [*wanted("A"), *(m.__class__(Venue.POLYMARKET, "P", "E", "1", "2", "p") for m in wanted("P"))]

    def is_over() -> bool:
        alerts = fetch(server.dsn(), "SELECT dedup_key FROM trading.alerts WHERE cleared_at IS NOT NULL ORDER BY 1")
        return alerts == [(left,), ("session_failed:0:polymarket",)]

    async def main() -> None:
        async with work.venue:
            sources = [FeedSource(Venue.POLYMARKET, "polymarket", make), line_source(work.venue.port)]
            stop = asyncio.Event()
            run = record(
                work.settings, RecorderRun(0, 1, "run"), [], stop, sources=sources, universe=lambda _connection: markets
            )
            recorder = asyncio.create_task(run)
            try:
                await until(is_over)
            finally:
                stop.set()
            await recorder

    asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.errors.InvalidPassword(), False),
        (ValueError(), False),
    ],
)
def test_what_passes_is_told_from_what_stays(error: Exception, passes: bool) -> None:
    assert is_transient(error) == passes
