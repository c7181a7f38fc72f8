"""The thing itself is broken: a venue, an account, a sweep, a process, a disk, a channel; and its alert is received."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.queries.alerts import load_inbox
from app.supervisor.children import Child
from app.supervisor.disk import DiskGuard
from app.supervisor.restarts import OPTIONAL
from app.supervisor.telling.alarms import Alarms
from app.supervisor.watch import Watch
from orchestration.alerting.facts import Facts
from orchestration.alerting.rules import due_alerts
from orchestration.alerting.sender import send_alerts
from orchestration.alerting.watcher import apply, limits_of
from orchestration.discovery.sources.polymarket import PolymarketSource
from orchestration.discovery.sweep import PageFailed, sweep
from orchestration.execution.settlement import compare_balances, ensure_deposits
from streams.alerting.courier import Rests
from streams.disk import watermarks
from streams.market.errors import TransientError
from streams.market.identity import Venue
from streams.recorder.service import RecorderRun, record
from streams.recorder.sources import FeedSource
from streams.settings import load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerting.facts import load_table_facts
from streams.storage.store.alerts import open_alerts, raise_alert
from streams.storage.store.wanted import WantedMarket
from streams.venues.common.feed import RawFrame
from streams.venues.common.paging import Page
from tests.support.alert_channels import LocalChannel, local_channel, refused_port
from tests.support.fake_venue import fake_settings, make_context
from tests.support.kalshi_frames import KalshiFrames
from tests.support.recorder_feed import LineServer, line_source, wanted
from tests.support.waiting import eventually


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def local() -> Iterator[LocalChannel]:
    with local_channel() as opened:
        yield opened


def look_for(connection: Connection, kind: str) -> None:
    """Look as the watcher does, for what is judged under one kind."""
    facts = Facts(1e6, None, load_table_facts(connection))
    parts = due_alerts(facts, limits_of(load_settings()))
    apply(connection, [part for part in parts if part.prefix.startswith(kind)])


def told(connection: Connection, home: Path) -> list[str]:
    """What arrives at a channel when the sender has its turn."""
    with local_channel() as channel:
        send_alerts(connection, load_settings(home=home, alert_webhook_url=channel.webhook), Rests())
    return [f"{received['kind']}: {received['message']}" for received in channel.received]


def is_open(connection: Connection, kind: str) -> bool:
    return kind in [alert.kind for alert in load_inbox(connection)]


# -- a venue, as a recorder that runs meets it -------------------------------------------------------------------------


class Talkative:
    """A feed of Polymarket's that brings frames without end, none of which changes a book."""

    venue = Venue.POLYMARKET

    async def connect(self) -> None: ...

    async def subscribe(self, _markets: object) -> None: ...

    async def unsubscribe(self, _markets: object) -> None: ...

    async def resync(self, _ids: object) -> None: ...

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        while True:
            yield [RawFrame(b"[]", time.time_ns()) for _ in range(500)]
            await asyncio.sleep(0.02)

    async def close(self) -> None: ...


class Recording:
    """A recorder that runs in this process over Kalshi, which the test plays, and a Polymarket that talks on."""

    def __init__(self, dsn: str, home: Path, **settings: Any) -> None:
        self.settings = load_settings(database_url=dsn, home=home, flush_interval_ms=20, **settings)
        self.frames: dict[int, KalshiFrames] = {}
        self.is_mute = False
        self.kalshi = LineServer(self._answer)
        self.loop: asyncio.AbstractEventLoop

    def _answer(self, number: int, line: str) -> list[bytes]:
        frames = self.frames.setdefault(number, KalshiFrames())
        word, _, ids = line.partition(" ")
        if self.is_mute or word == "unsubscribe":
            return []
        return [frames.snapshot(market, [("0.4000", "9.00")], []) for market in ids.split(",")]

    def run(self, act: Callable[[Recording], Any]) -> None:
        """Record while `act` does what it does in a thread of its own."""
        asyncio.run(self._run(act))

    async def _run(self, act: Callable[[Recording], Any]) -> None:
        self.loop = asyncio.get_running_loop()
        markets = [*wanted("A"), WantedMarket(Venue.POLYMARKET, "P", "E", "1", "2", "p")]
        async with self.kalshi:
            sources = [line_source(self.kalshi.port), FeedSource(Venue.POLYMARKET, "polymarket", Talkative)]
            stop = asyncio.Event()
            recorder = asyncio.create_task(
                record(self.settings, RecorderRun(0, 1, "run"), [], stop, sources=sources, universe=lambda _: markets)
            )
            try:
                await asyncio.to_thread(act, self)
            finally:
                stop.set()
            await recorder


def count(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(next(iter(row.values())))


def pass_time(connection: Connection) -> None:
    """Three minutes pass for what was received, and an hour for the recorder."""
    connection.execute("UPDATE raw.quotes SET received_at = received_at - interval '3 minutes'")
    connection.execute("UPDATE trading.leases SET acquired_at = acquired_at - interval '1 hour'")


@pytest.mark.timeout(240)
def test_a_venue_that_says_nothing_any_more_is_told_until_it_speaks(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    quotes = "SELECT count(*) FROM raw.quotes WHERE venue = 'kalshi' AND state = 'live'"
    gaps = "SELECT count(*) FROM raw.coverage WHERE venue = 'kalshi' AND state = 'gap' AND ended_at IS NULL"

    def act(recording: Recording) -> None:
        eventually(lambda: count(connection, quotes) > 0, 90)
        look_for(connection, "silent_venue:")
        assert "silent_venue:kalshi" not in open_alerts(connection, "silent_venue")
        recording.is_mute = True
        eventually(lambda: count(connection, gaps) > 0, 90)
        pass_time(connection)
        look_for(connection, "silent_venue:")
        message = next(message for message in told(connection, tmp_path) if "kalshi" in message)
        assert message.startswith("silent_venue: kalshi has sent nothing for")
        recording.is_mute = False
        before = count(connection, quotes)
        eventually(lambda: count(connection, quotes) > before, 90)
        look_for(connection, "silent_venue:")
        assert "silent_venue:kalshi" not in open_alerts(connection, "silent_venue")

    Recording(database, tmp_path, silence_timeout_s=0.5).run(act)


@pytest.mark.timeout(240)
def test_input_that_cannot_be_used_is_a_share_of_its_own_venue(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    letters = "SELECT count(*) FROM raw.dead_letters WHERE venue = 'kalshi'"
    frames = "SELECT coalesce(sum(frames), 0) FROM raw.segments"

    def act(recording: Recording) -> None:
        eventually(lambda: bool(recording.frames), 90)
        recording.loop.call_soon_threadsafe(recording.kalshi.send, *[b"{no frame"] * 30)
        eventually(lambda: count(connection, letters) == 30 and count(connection, frames) > 5_000, 90)
        look_for(connection, "dead_letters:recorder")

    recording = Recording(database, tmp_path)
    recording.run(act)
    (message,) = told(connection, tmp_path)
    assert message.startswith("dead_letters: 30 frames of kalshi within an hour cannot be used, of ")
    assert int(message.split(" of ")[-1].split()[0]) < 100
    by_venue = "SELECT sum((venue_frames ->> 'kalshi')::int + (venue_frames ->> 'polymarket')::int) FROM raw.segments"
    assert count(connection, by_venue) == count(connection, frames)


# -- an account, a sweep -----------------------------------------------------------------------------------------------


def test_cash_that_goes_missing_at_a_venue_is_told_until_it_is_back(connection: Connection, tmp_path: Path) -> None:
    context, venues = make_context(connection, {}, 1, fake_settings())

    def compare() -> None:
        for _ in range(2):
            asyncio.run(compare_balances(connection, context))
        look_for(connection, "ledger")

    asyncio.run(ensure_deposits(connection, context))
    compare()
    assert not is_open(connection, "ledger")
    venues[Venue.KALSHI].cash -= 50_000
    compare()
    assert told(connection, tmp_path) == ["ledger: kalshi holds 9999.95 dollars, and our ledger 10000.00."]
    connection.execute("UPDATE trading.balances SET read_at = read_at - interval '25 hours'")
    look_for(connection, "ledger")
    assert is_open(connection, "ledger"), "that nobody has compared for a day makes nothing good"
    venues[Venue.KALSHI].cash += 50_000
    compare()
    assert not is_open(connection, "ledger")


class Lists:
    """Polymarket's lists, empty, or away."""

    is_away = False

    async def gamma_markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[Any]:
        if self.is_away:
            raise TransientError("no connection")
        return Page([], "")


def test_discovery_that_fails_each_time_is_told_until_a_sweep_ends_well(connection: Connection, tmp_path: Path) -> None:
    lists = Lists()

    def discover() -> None:
        now = datetime.now(UTC)
        source = PolymarketSource(lists, lambda: now)  # type: ignore[arg-type]
        asyncio.run(sweep(connection, source, full=False, now=now, retries=0))

    discover()
    connection.execute("INSERT INTO raw.discovery_sweeps (venue, kind, started_at, ended_at)"
                       " VALUES ('kalshi', 'full', now(), now())")  # fmt: skip
    look_for(connection, "discovery_behind")
    assert not is_open(connection, "discovery_behind")
    connection.execute(
        "UPDATE raw.discovery_sweeps SET ended_at = ended_at - interval '11 minutes' WHERE venue = 'polymarket'"
    )
    lists.is_away = True
    with pytest.raises(PageFailed):
        discover()
    look_for(connection, "discovery_behind")
    assert told(connection, tmp_path) == ["discovery_behind: The last good sweep of polymarket ended 11 minutes ago."]
    lists.is_away = False
    discover()
    look_for(connection, "discovery_behind")
    assert not is_open(connection, "discovery_behind")


# -- a process, a disk, the channels -----------------------------------------------------------------------------------


def test_a_process_that_keeps_ending_is_told(tmp_path: Path, local: LocalChannel) -> None:
    alarms = Alarms(load_settings(home=tmp_path, alert_webhook_url=local.webhook), lambda _: None)
    script = "raise SystemExit('no port for postgresql://me:hunter2222@h/d')"
    command = [sys.executable, "-I", "-S", "-c", script]
    child = Child("api", command, dict(os.environ), tmp_path / "api.log", tmp_path, policy=OPTIONAL)
    watch, now = Watch([child], alarms, lambda _: None), 0.0
    child.start()
    while not alarms.is_open("api"):
        eventually(lambda: not child.is_running)
        now += 40
        watch.look(now)
    eventually(lambda: local.received)
    assert local.received[0]["kind"] == "child"
    assert "no port for" in local.received[0]["message"]
    assert "hunter2222" not in str(local.received) + (tmp_path / "alarms.json").read_text()


def test_a_disk_without_room_is_told_without_a_database_until_there_is(tmp_path: Path, local: LocalChannel) -> None:
    home: dict[str, Any] = {"home": tmp_path, "alert_webhook_url": local.webhook}
    away = f"postgresql://nobody@127.0.0.1:{refused_port()}/none"
    settings = load_settings(**home, database_url=away, disk_low_mb=100_000_000)
    alarms = Alarms(settings, lambda _: None)
    guard = DiskGuard(settings, alarms, lambda: None)
    guard.look()
    eventually(lambda: local.received)
    assert (local.received[0]["kind"], local.received[0]["severity"]) == ("disk", "critical")
    guard._marks = watermarks(load_settings(**home, disk_low_mb=0, disk_no_new_trades_mb=0, disk_only_recording_mb=0))
    guard.look()
    eventually(lambda: len(local.received) == 2)
    assert local.received[1]["message"].startswith("The disk has room again")


def test_what_no_channel_takes_for_ten_minutes_is_told_when_one_does(connection: Connection, tmp_path: Path) -> None:
    raise_alert(connection, "kill", "critical", "kill", "Killed.")
    send_alerts(
        connection, load_settings(home=tmp_path, alert_webhook_url=f"http://127.0.0.1:{refused_port()}"), Rests()
    )
    look_for(connection, "undelivered")
    assert not is_open(connection, "undelivered")
    connection.execute("UPDATE trading.alerts SET raised_at = raised_at - interval '11 minutes', try_after = now()")
    look_for(connection, "undelivered")
    assert sorted(told(connection, tmp_path)) == [
        "kill: Killed.", "undelivered: 1 alerts could not be sent by any channel for ten minutes.",
    ]  # fmt: skip
    look_for(connection, "undelivered")
    assert not is_open(connection, "undelivered")
