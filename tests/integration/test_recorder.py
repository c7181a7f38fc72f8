"""The recorder with a real database and a local server that speaks frames by lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.market.book import Book
from streams.market.events import Quote
from streams.recorder.service import RecorderRun, RecorderSummary, record
from streams.settings import Settings, load_settings
from tests.support.kalshi_frames import KalshiFrames
from tests.support.recorder_feed import LineServer, line_source, wanted


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return load_settings(database_url=database, home=tmp_path, flush_interval_ms=20)


def fetch(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()


async def until(condition: Callable[[], bool], limit_s: float = 90.0) -> None:
    deadline = time.monotonic() + limit_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


def run(
    settings: Settings,
    server: LineServer,
    act: Callable[[], Awaitable[None]],
    markets: list[str],
    observers: list[Any] | None = None,
) -> RecorderSummary:
    async def main() -> RecorderSummary:
        async with server:
            stop = asyncio.Event()
            recorder = asyncio.create_task(
                record(
                    settings,
                    RecorderRun(0, 1, "run-1"),
                    observers or [],
                    stop,
                    sources=[line_source(server.port)],
                    universe=lambda _connection: wanted(*markets),
                )
            )
            try:
                await asyncio.wait([asyncio.ensure_future(act()), recorder], return_when=asyncio.FIRST_COMPLETED)
            finally:
                stop.set()
            return await recorder

    return asyncio.run(main())


def books(frames: KalshiFrames, line: str) -> list[bytes]:
    word, _, ids = line.partition(" ")
    if word == "unsubscribe":
        return []
    return [frames.snapshot(market, [("0.4000", "1000.00")], [("0.6000", "5.00")]) for market in ids.split(",")]


def test_everything_received_is_in_the_database_after_a_stop(settings: Settings, database: str) -> None:
    frames = KalshiFrames()
    server = LineServer(lambda _number, line: books(frames, line))

    async def act() -> None:
        await until(lambda: bool(server.commands))
        for number in range(5000):
            server.send(frames.delta("A", "yes", "0.4000", "1.00" if number % 2 else "-1.00"))
        await until(lambda: fetch(database, "SELECT count(*) FROM raw.book_deltas")[0][0] > 100)

    summary = run(settings, server, act, ["A", "B"])
    received = summary.counters["frames"]
    assert fetch(database, "SELECT count(*), count(DISTINCT (segment_id, frame_offset)) FROM raw.book_deltas") == [
        (received - 2, received - 2)
    ]
    assert fetch(database, "SELECT sum(frames) FROM raw.segments WHERE closed_at IS NOT NULL") == [(received,)]
    assert fetch(database, "SELECT state, cause FROM raw.coverage WHERE market_id = 'A' ORDER BY coverage_id") == [
        ("gap", "starting"),
        ("covered", ""),
        ("gap", "stopped"),
    ]
    assert fetch(database, "SELECT released_at IS NOT NULL FROM trading.leases") == [(True,)]
    assert fetch(database, "SELECT end_reason, frames FROM raw.connections")[0][1] == received


def test_a_hole_is_healed_without_reconnecting(settings: Settings, database: str) -> None:
    frames = KalshiFrames()
    server = LineServer(lambda _number, line: books(frames, line))

    async def act() -> None:
        await until(lambda: bool(server.commands))
        frames.sequence += 1
        server.send(frames.delta("A", "yes", "0.4000", "1.00"))
        await until(lambda: any(command.startswith("resync") for command in server.commands))
        await until(lambda: fetch(database, "SELECT count(*) FROM raw.coverage WHERE state = 'covered'")[0][0] == 2)

    run(settings, server, act, ["A"])
    assert server.connections == 1
    assert [row[0] for row in fetch(database, "SELECT cause FROM raw.coverage ORDER BY coverage_id")] == [
        "starting",
        "",
        "sequence_hole",
        "",
        "stopped",
    ]


def test_a_lost_connection_is_made_again(settings: Settings, database: str) -> None:
    def answer(number: int, line: str) -> list[bytes]:
        return books(sessions.setdefault(number, KalshiFrames()), line)

    sessions: dict[int, KalshiFrames] = {}
    server = LineServer(answer)

    async def act() -> None:
        await until(lambda: bool(server.commands))
        server.writers[0].close()
        await until(lambda: fetch(database, "SELECT count(*) FROM raw.coverage WHERE state = 'covered'")[0][0] == 2)

    run(settings, server, act, ["A"])
    rows = fetch(database, "SELECT cause FROM raw.coverage WHERE state = 'gap' ORDER BY coverage_id")
    assert [row[0] for row in rows] == ["starting", "disconnect", "stopped"]
    assert fetch(database, "SELECT count(*) FROM raw.connections WHERE ended_at IS NOT NULL") == [(2,)]


def test_markets_come_and_go_without_a_new_connection(settings: Settings, database: str) -> None:
    frames = KalshiFrames()
    server = LineServer(lambda _number, line: books(frames, line))
    markets = ["A"]

    async def act() -> None:
        await until(lambda: server.commands == ["subscribe A"])
        markets[:] = ["B"]
        await asyncio.to_thread(fetch, database, "SELECT pg_notify('crossbook_wanted', '')")
        await until(lambda: server.commands == ["subscribe A", "unsubscribe A", "subscribe B"])
        await until(
            lambda: (
                fetch(database, "SELECT market_id FROM raw.coverage WHERE ended_at IS NULL AND state = 'covered'")
                == [("B",)]
            )
        )

    run(settings, server, act, markets)
    assert server.connections == 1


class Failing:
    """An observer that raises each time and takes part in nothing."""

    def __init__(self) -> None:
        self.quotes: list[Quote] = []

    def on_quote(self, quote: Quote, _book: Book) -> None:
        self.quotes.append(quote)
        raise RuntimeError("observer is broken")

    def on_tick(self, _now_ns: int) -> None: ...

    def close(self) -> None: ...


def test_an_observer_that_raises_is_counted_and_recording_goes_on(settings: Settings, database: str) -> None:
    frames = KalshiFrames()
    server = LineServer(lambda _number, line: books(frames, line))
    observer = Failing()

    async def act() -> None:
        await until(lambda: fetch(database, "SELECT count(*) FROM raw.quotes WHERE state = 'live'")[0][0] == 1)

    summary = run(settings, server, act, ["A"], [observer])
    assert summary.counters["observer_failures"] >= 1
    assert (observer.quotes[0].bid_e4, observer.quotes[0].is_live) == (4000, True)


def test_segments_rotate_and_every_row_belongs_to_one(settings: Settings, database: str) -> None:
    frames = KalshiFrames()
    server = LineServer(lambda _number, line: books(frames, line))
    small = settings.model_copy(update={"segment_max_bytes": 20_000})

    async def act() -> None:
        await until(lambda: bool(server.commands))
        for batch in range(20):
            server.send(*(frames.delta("A", "yes", "0.3000", "1.00") for _ in range(50)))
            wanted_rows = (batch + 1) * 50
            await until(lambda: fetch(database, "SELECT count(*) FROM raw.book_deltas")[0][0] >= wanted_rows)  # noqa: B023

    run(small, server, act, ["A"])
    rows = fetch(database, "SELECT count(*), count(closed_at), sum(deltas) FROM raw.segments")
    assert rows[0][0] == rows[0][1] > 3
    assert rows[0][2] == 1000
    assert fetch(database, "SELECT max(size_after_e6) FROM raw.book_deltas") == [(1000 * 1_000_000,)]
