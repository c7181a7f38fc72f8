"""Deltas per second end to end, against one INSERT with commit per message and against bare COPY, in the same run.

`python -m tests.bench.bench_recorder` prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}. End
to end is: a local WebSocket server floods Kalshi frames -> socket -> segment file with fdatasync -> parsing -> books ->
rows -> COPY, until the last delta is committed. Server, recorder and PostgreSQL share the machine.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import psycopg

from streams.logs import configure_logs
from streams.market.events import MarketEvent
from streams.market.identity import Venue
from streams.recorder.service import RecorderRun, record
from streams.recorder.sources import FeedSource
from streams.settings import load_settings
from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from streams.storage.store.wanted import WantedMarket
from streams.venues.common.feed import FeedMarket, RawFrame
from streams.venues.common.socket import Socket
from streams.venues.kalshi.types.market_frames import parse_frame
from tests.support.kalshi_frames import KalshiFrames
from tests.support.ports import free_port

MARKETS = 50
DELTAS = 400_000
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def make_frames(count: int) -> tuple[list[bytes], list[bytes]]:
    """Snapshots of all markets, then `count` deltas over twenty levels a side."""
    frames = KalshiFrames()
    names = [f"KXBENCH-26NOV20-T{number}" for number in range(MARKETS)]
    yes = [(f"{0.30 + step / 100:.4f}", "1000.00") for step in range(20)]
    no = [(f"{0.55 + step / 100:.4f}", "1000.00") for step in range(20)]
    snapshots = [frames.snapshot(name, yes, no) for name in names]
    deltas = []
    for number in range(count):
        side = "yes" if number % 2 else "no"
        level = (number * 7) % 20
        price = 0.30 + level / 100 if side == "yes" else 0.55 + level / 100
        change = "3.00" if (number // 20) % 2 else "-2.00"
        deltas.append(frames.delta(names[number % MARKETS], side, f"{price:.4f}", change, time.time_ns() // 1_000_000))
    return snapshots, deltas


def wire(frames: list[bytes]) -> bytes:
    """Return frames as unmasked WebSocket text frames, ready to send: the server must not be what is measured."""
    parts = []
    for frame in frames:
        size = len(frame)
        head = bytes([0x81, size]) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
        parts += [head, frame]
    return b"".join(parts)


def serve_frames(pipe: Pipe, count: int) -> None:
    """Run the flooding server in a process of its own; the port goes through the pipe, a word starts the flood."""

    async def main() -> None:
        snapshots, deltas = make_frames(count)
        first, flood = b"".join(map(long_frame, snapshots)), wire(deltas)
        go = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            key = next(
                line.split(": ")[1] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key")
            )
            accept = base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode(), usedforsecurity=False).digest()).decode()
            answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
            writer.write("\r\n".join([*answer, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode())
            writer.write(first)
            await go.wait()
            for start in range(0, len(flood), 1 << 20):
                writer.write(flood[start : start + (1 << 20)])
                await writer.drain()
            await reader.read()

        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        go.set()
        await asyncio.to_thread(pipe.recv)

    asyncio.run(main())


def long_frame(frame: bytes) -> bytes:
    """Return a text frame of any length."""
    return b"\x81\x7f" + len(frame).to_bytes(8, "big") + frame if len(frame) > 65535 else wire([frame])


class BenchFeed:
    """The client socket of the venues on a server that needs no commands."""

    venue = Venue.KALSHI

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = Socket(60.0)

    async def connect(self) -> None:
        await self._socket.connect(f"ws://127.0.0.1:{self._port}/")

    async def subscribe(self, markets: Sequence[FeedMarket]) -> None: ...

    async def unsubscribe(self, markets: Sequence[FeedMarket]) -> None: ...

    async def resync(self, market_ids: Sequence[str]) -> None: ...

    async def frames(self) -> AsyncIterator[RawFrame]:
        async for batch in self.batches():
            for frame in batch:
                yield frame

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        while True:
            yield await self._socket.batch()

    def parse(self, raw: bytes) -> list[MarketEvent]:
        return parse_frame(raw)

    async def close(self) -> None:
        await self._socket.close()


def count_deltas(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT coalesce(sum(deltas), 0) FROM raw.segments").fetchone()
    assert row is not None
    return int(row[0])


def bench_recorder(dsn: str, home: Path) -> float:
    """Return deltas per second from the first sent to the last committed."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve_frames, args=(theirs, DELTAS))
    server.start()
    try:
        port = ours.recv()
        names = [f"KXBENCH-26NOV20-T{number}" for number in range(MARKETS)]
        markets = [WantedMarket(Venue.KALSHI, name, "KXBENCH-26NOV20", "", "", "kalshi:bench") for name in names]
        settings = load_settings(database_url=dsn, home=home)

        async def main() -> float:
            stop = asyncio.Event()
            source = FeedSource(Venue.KALSHI, "kalshi", lambda: BenchFeed(port))
            recorder = asyncio.create_task(
                record(settings, RecorderRun(0, 1, "bench"), [], stop, sources=[source], universe=lambda _c: markets)
            )
            while not await asyncio.to_thread(has_books, dsn):  # noqa: ASYNC110 - the database is polled
                await asyncio.sleep(0.1)
            begun = time.perf_counter()
            ours.send("go")
            while await asyncio.to_thread(count_deltas, dsn) < DELTAS and not recorder.done():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            took = time.perf_counter() - begun
            stop.set()
            summary = await recorder
            assert summary.counters.get("deltas") == DELTAS, summary
            return DELTAS / took

        return asyncio.run(main())
    finally:
        ours.send("end")
        server.join(10)
        server.kill()


def has_books(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM raw.book_snapshots").fetchone()
    return row is not None and row[0] >= MARKETS


def recorded_lines(dsn: str, count: int) -> list[bytes]:
    """Return COPY lines of deltas that the recorder has just written."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT * FROM raw.book_deltas LIMIT {count}) TO STDOUT") as copy:
            return b"".join(bytes(block) for block in copy).splitlines(keepends=True)


def bench_copy(dsn: str, lines: list[bytes]) -> float:
    """Return rows per second of COPY of lines prepared beforehand, 5,000 a commit."""
    begun = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for start in range(0, len(lines), 5000):
            with connection.cursor() as cursor, cursor.copy("COPY raw.book_deltas FROM STDIN") as copy:
                copy.write(b"".join(lines[start : start + 5000]))
    return len(lines) / (time.perf_counter() - begun)


def bench_insert(dsn: str, lines: list[bytes]) -> float:
    """Return rows per second of one INSERT with commit per row."""
    rows = [[None if v == "\\N" else v for v in line.decode().rstrip("\n").split("\t")] for line in lines]
    marks = ", ".join(["%s"] * len(rows[0]))
    begun = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for row in rows:
            connection.execute(f"INSERT INTO raw.book_deltas VALUES ({marks})", row)
    return len(rows) / (time.perf_counter() - begun)


def run() -> list[dict[str, Any]]:
    """Run all three on a server of their own."""
    configure_logs("WARNING")
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(home=Path(folder) / "postgres", port=free_port())
        server.start()
        try:
            dsn = server.dsn()
            migrate(dsn, "sandbox")
            end_to_end = bench_recorder(dsn, Path(folder))
            lines = recorded_lines(dsn, 200_000)
            copied = bench_copy(dsn, lines)
            # commits wait for the disk, which neighbours use too: the best of three is what the machine can do
            inserted = max(bench_insert(dsn, lines[start : start + 2500]) for start in range(0, 7500, 2500))
        finally:
            server.destroy()
    return [
        result("recorder_deltas_per_s", end_to_end, "one INSERT and commit per message", inserted),
        result("recorder_deltas_per_s_against_copy", end_to_end, "bare COPY, 5,000 rows a commit", copied),
    ]


def result(name: str, value: float, baseline: str, baseline_value: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value),
        "unit": "deltas/s",
        "baseline": baseline,
        "baseline_value": round(baseline_value),
        "ratio": round(value / baseline_value, 3),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
