"""kill -9 of a recorder in mid-write: after the next start every received frame is in the database once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from streams.market.identity import Venue
from streams.recorder.replay import replay_dead_segments
from streams.recorder.sources import PARSERS
from streams.storage.database import connect
from streams.storage.recording import RowBatch, WatermarkMoved, commit_batch, open_segment
from streams.storage.segments import MAGIC, RecordKind, SegmentReader, pack_head
from streams.storage.store.leases import LeaseLost, acquire, heartbeat, release
from tests.proofs.segments_again import compare
from tests.support.kalshi_frames import KalshiFrames
from tests.support.recorder_feed import LineServer

ROOT = Path(__file__).resolve().parents[2]


def fetch(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()


async def until(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.05)


def start(dsn: str, home: Path, port: int, run_id: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DATABASE_URL": dsn,
        "CROSSBOOK_HOME": str(home),
        "CROSSBOOK_FLUSH_INTERVAL_MS": "400",
        "CROSSBOOK_SEGMENT_MAX_BYTES": "400000",
    }
    command = [sys.executable, "-m", "tests.support.recorder_process", str(port), run_id, "A", "B"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)


def frames_in_segments(dsn: str) -> int:
    paths = [Path(row[0]) for row in fetch(dsn, "SELECT path FROM raw.segments")]
    return sum(record.kind == RecordKind.FRAME for path in paths if path.exists() for record in SegmentReader(path))


@pytest.mark.timeout(400)
def test_a_killed_recorder_loses_and_doubles_nothing(database: str, tmp_path: Path) -> None:
    sessions: dict[int, KalshiFrames] = {}

    def answer(number: int, line: str) -> list[bytes]:
        frames = sessions.setdefault(number, KalshiFrames())
        return [frames.snapshot(m, [("0.4000", "1000.00")], []) for m in line.partition(" ")[2].split(",")]

    async def flood(server: LineServer, number: int, stop: asyncio.Event) -> None:
        while not stop.is_set():
            frames = sessions[number]
            server.send(*(frames.delta("A", "yes", "0.3000", "1.00") for _ in range(100)))
            await asyncio.sleep(0.005)

    async def main() -> None:
        async with LineServer(answer) as server:
            process = start(database, tmp_path, server.port, "first")
            try:
                await until(lambda: server.connections == 1 and 1 in sessions)
                stop = asyncio.Event()
                flooding = asyncio.create_task(flood(server, 1, stop))
                await until(lambda: fetch(database, "SELECT count(*) FROM raw.book_deltas")[0][0] > 3000)
            finally:
                process.kill()
                process.wait()
            stop.set()
            await flooding
            behind = frames_in_segments(database) - fetch(database, "SELECT sum(frames) FROM raw.segments")[0][0]
            assert behind > 0, "the kill came between the segment and the database"
            process = start(database, tmp_path, server.port, "second")
            try:
                await until(lambda: server.connections == 2 and 2 in sessions)
                server.send(sessions[2].delta("B", "yes", "0.4000", "1.00"))
                await until(lambda: bool(fetch(database, "SELECT 1 FROM raw.book_deltas WHERE market_id = 'B'")))
                process.terminate()
                assert process.wait(90) == 0
            finally:
                process.kill()
                process.wait()

    asyncio.run(main())
    rows, places, biggest, smallest = fetch(
        database,
        """SELECT count(*), count(DISTINCT (segment_id, frame_offset)), max(size_after_e6), min(size_after_e6)
           FROM raw.book_deltas WHERE market_id = 'A'""",
    )[0]
    assert rows == places == frames_in_segments(database) - 5
    assert (smallest, biggest) == (1_000_000, rows * 1_000_000), "sizes after a change go on over the kill"
    assert fetch(database, "SELECT count(*) FROM raw.segments WHERE closed_at IS NULL") == [(0,)]
    gaps = fetch(
        database,
        """SELECT cause, ended_at IS NOT NULL, ended_at > started_at FROM raw.coverage
           WHERE market_id = 'A' AND state = 'gap' ORDER BY coverage_id""",
    )
    assert gaps[1] == ("killed", True, True)
    assert fetch(database, "SELECT DISTINCT end_reason FROM raw.connections WHERE run_id = 'first'") == [("killed",)]
    check_against_a_second_reading(database, rows + 1)


def check_against_a_second_reading(dsn: str, changes: int) -> None:
    """The files read by other code give the same rows; a row that is taken away or repeated would be noticed."""
    with connect(dsn) as connection:
        found = compare(connection)
        assert (found.changes, found.lost, found.doubled, found.miscounted) == (changes, 0, 0, [])
        connection.execute("INSERT INTO raw.book_deltas SELECT * FROM raw.book_deltas WHERE market_id = 'B'")
        assert (compare(connection).lost, compare(connection).doubled) == (0, 1)
        connection.execute("DELETE FROM raw.book_deltas WHERE market_id = 'B'")
        assert (compare(connection).lost, compare(connection).doubled) == (1, 0)


def make_segment(dsn: str, path: Path) -> int:
    with connect(dsn) as connection:
        return open_segment(connection, 0, "run", path, datetime.now(UTC), 8)


def batch_of(segment: int, start_offset: int, end_offset: int) -> RowBatch:
    batch = RowBatch(segment, start_offset, end_offset, venue_frames=Counter({Venue.KALSHI: 1}))
    batch.lines["quotes"].append(f"2026-01-01 00:00:00+00\tkalshi\tA\t1\t1\t2\t2\tlive\t{segment}\t{start_offset}\tf\n")
    return batch


def test_a_batch_sent_twice_is_written_once(database: str, tmp_path: Path) -> None:
    segment = make_segment(database, tmp_path / "a.seg")
    with connect(database) as connection:
        assert commit_batch(connection, 0, "run", batch_of(segment, 8, 20))
        assert not commit_batch(connection, 0, "run", batch_of(segment, 8, 20))
    assert fetch(database, "SELECT count(*) FROM raw.quotes") == [(1,)]


def test_a_segment_of_polled_books_is_replayed_with_its_mark(database: str, tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    message = {"market_ticker": "A", "yes_dollars": [["0.40", "1.00"]], "no_dollars": []}
    records = [
        (RecordKind.OPENED, {"connection_id": "c", "parser": "kalshi_polling"}),
        (RecordKind.MARKETS, {"add": [["A", "", ""]], "remove": []}),
        (RecordKind.FRAME, {"type": "crossbook_polled_book", "msg": message}),
    ]
    bodies = [(kind, orjson.dumps(body)) for kind, body in records]
    path.write_bytes(MAGIC + b"".join(pack_head(kind, Venue.KALSHI, 1, 1, body) + body for kind, body in bodies))
    make_segment(database, path)
    with connect(database) as connection:
        assert replay_dead_segments(connection, 0, PARSERS).frames == 1
    assert fetch(database, "SELECT state, is_polled FROM raw.quotes_v1 ORDER BY frame_offset") == [
        ("live", True),
        ("stale", True),
    ]
    assert fetch(database, "SELECT reason, is_polled FROM raw.book_snapshots_v1") == [("polled", True)]


def test_a_recorder_whose_segment_was_finished_by_another_cannot_write(database: str, tmp_path: Path) -> None:
    segment = make_segment(database, tmp_path / "a.seg")
    with connect(database) as connection:
        replay_dead_segments(connection, 0, PARSERS)
        with pytest.raises(WatermarkMoved):
            commit_batch(connection, 0, "run", batch_of(segment, 8, 20))
    assert fetch(database, "SELECT count(*) FROM raw.quotes") == [(0,)]


def test_a_row_the_server_refuses_becomes_a_dead_letter_and_the_others_stay(database: str, tmp_path: Path) -> None:
    segment = make_segment(database, tmp_path / "a.seg")
    batch = batch_of(segment, 8, 20)
    batch.lines["quotes"].append(f"2026-01-01 00:00:00+00\tkalshi\tA\t99999999999\t1\t2\t2\tlive\t{segment}\t9\tf\n")
    with connect(database) as connection:
        commit_batch(connection, 0, "run", batch)
    assert fetch(database, "SELECT count(*) FROM raw.quotes") == [(1,)]
    assert "out of range" in fetch(database, "SELECT reason FROM raw.dead_letters")[0][0]


def test_a_lease_is_fenced_by_its_epoch(database: str) -> None:
    with connect(database) as connection:
        first = acquire(connection, "shard:0", "a", "run-a", 0.0)
        assert first is not None
        second = acquire(connection, "shard:0", "b", "run-b", 30.0)
        assert second is not None
        assert second.epoch == first.epoch + 1
        assert acquire(connection, "shard:0", "c", "run-c", 30.0) is None
        with pytest.raises(LeaseLost):
            heartbeat(connection, first)
        release(connection, first)
        heartbeat(connection, second, {"deltas": 1})
        release(connection, second)
        assert acquire(connection, "shard:0", "c", "run-c", 30.0) is not None
