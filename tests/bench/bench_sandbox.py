"""Frames the sandbox delivers to four subscribers, per second of its own CPU time, in load mode and in normal mode.

`python -m tests.bench.bench_sandbox` prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}. The
base is the CPU time of the server process (so what one core could deliver), since clients and neighbours share the
machine. Baseline: the same bytes of the same frames sent to four subscribers by a server of the `websockets` library.
"""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import psutil
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from streams.market.identity import Venue
from streams.sandbox.catalogue.load import load_catalogue
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.signing import KalshiSigner
from tests.support.ports import free_port

KALSHI_SOCKET = "/trade-api/ws/v2"
SUBSCRIBERS, MARKETS, SECONDS, BASE_FRAMES = 4, 50, 5.0, 20_000
UNLIMITED = 1_000_000
MARKS = {Venue.KALSHI: b'"type":"orderbook_', Venue.POLYMARKET: b'"event_type":'}


class Ground:
    """A folder with an account, and what to subscribe to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = ed25519.Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._signer = KalshiSigner(KalshiCredentials("bench", SecretStr(private)))
        row = {"key_id": "bench", "public_key_pem": public, "cash_usd": "1000"}
        self.accounts = json.dumps({"kalshi": [row], "polymarket": []})
        catalogue = load_catalogue(None, datetime.now(UTC))
        listed = {venue: [m for m in catalogue.markets if m.venue is venue][:MARKETS] for venue in Venue}
        tickers = [market.market_id for market in listed[Venue.KALSHI]]
        tokens = [token for market in listed[Venue.POLYMARKET] for token in (market.yes_token, market.no_token)]
        params = {"channels": ["orderbook_delta"], "market_tickers": tickers, "use_yes_price": True}
        self.commands: dict[Venue, dict[str, Any]] = {
            Venue.KALSHI: {"id": 1, "cmd": "subscribe", "params": params},
            Venue.POLYMARKET: {"assets_ids": tokens, "type": "market"},
        }

    def headers(self, venue: Venue) -> dict[str, str]:
        """What the upgrade needs."""
        return self._signer.headers("GET", KALSHI_SOCKET, time.time_ns() // 1_000_000) if venue is Venue.KALSHI else {}

    @contextmanager
    def sandbox(self, *arguments: str) -> Iterator[tuple[psutil.Process, dict[Venue, tuple[int, str]]]]:
        """A sandbox process with the address of each venue's socket."""
        ports = {venue: free_port() for venue in Venue}
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            (Path(home) / "sandbox").mkdir()
            (Path(home) / "sandbox" / "accounts.json").write_text(self.accounts)
            command = [sys.executable, "-m", "streams.sandbox", "--home", home, "--admin-port", "0", *arguments]
            command += ["--kalshi-port", str(ports[Venue.KALSHI]), "--polymarket-port", str(ports[Venue.POLYMARKET])]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                try:
                    assert process.stdout is not None
                    process.stdout.readline()
                    where = {Venue.KALSHI: KALSHI_SOCKET, Venue.POLYMARKET: "/ws/market"}
                    yield psutil.Process(process.pid), {venue: (ports[venue], where[venue]) for venue in Venue}
                finally:
                    process.kill()


async def subscribe(
    port: int, path: str, headers: dict[str, str], command: dict[str, Any] | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Upgrade by hand and send one masked command: the client must not be what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
             *(f"{name}: {value}" for name, value in headers.items())]  # fmt: skip
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert b"101" in (await reader.readuntil(b"\r\n\r\n"))[:20]
    if command is not None:
        text = json.dumps(command).encode()
        writer.write(b"\x81\xff" + len(text).to_bytes(8, "big") + bytes(4) + text)
    return reader, writer


async def count_frames(reader: asyncio.StreamReader, mark: bytes, seconds: float) -> int:
    """Read for some time and count the frames that carry the mark."""
    found, deadline = 0, time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            found += (await asyncio.wait_for(reader.read(1 << 20), left)).count(mark)
        except TimeoutError:
            break
    return found


async def delivered(
    process: psutil.Process, port: int, path: str, ground: Ground, venue: Venue, command: dict[str, Any] | None
) -> float:
    """Frames delivered to all subscribers per second of the server's CPU time."""
    headers = [ground.headers(venue) for _ in range(SUBSCRIBERS)]
    pairs = [await subscribe(port, path, header, command) for header in headers]
    await asyncio.gather(*(count_frames(reader, MARKS[venue], 2.0) for reader, _ in pairs))
    before = sum(process.cpu_times()[:2])
    counts = await asyncio.gather(*(count_frames(reader, MARKS[venue], SECONDS) for reader, _ in pairs))
    spent = sum(process.cpu_times()[:2]) - before
    for _, writer in pairs:
        writer.close()
    return sum(counts) / max(spent, 1e-9)


async def some_frames(port: int, path: str, ground: Ground, venue: Venue) -> list[str]:
    """Frames of load mode as text, for the baseline."""
    async with connect(
        f"ws://127.0.0.1:{port}{path}", additional_headers=ground.headers(venue), max_size=None
    ) as connection:
        await connection.send(json.dumps(ground.commands[venue]))
        frames = [str(await connection.recv()) for _ in range(BASE_FRAMES)]
    return [frame for frame in frames if MARKS[venue].decode() in frame]


def serve_with_the_library(pipe: Pipe, frames: list[str]) -> None:
    """The baseline: the frames, over and over, to everyone who comes."""

    async def handler(connection: ServerConnection) -> None:
        while True:
            for frame in frames:
                await connection.send(frame)

    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0, compression=None) as server:
            pipe.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.to_thread(pipe.recv)

    asyncio.run(main())


async def baseline(frames: list[str], ground: Ground, venue: Venue) -> float:
    """Frames per second of CPU time of the library's server."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve_with_the_library, args=(theirs, frames))
    server.start()
    try:
        port = await asyncio.to_thread(ours.recv)
        return await delivered(psutil.Process(server.pid), port, "/", ground, venue, None)
    finally:
        server.kill()
        server.join(10)


def run() -> list[dict[str, Any]]:
    """Measure both modes of both venues."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        bases: dict[Venue, float] = {}
        with ground.sandbox("--load", str(UNLIMITED)) as (process, addresses):
            for venue, (port, path) in addresses.items():
                frames = asyncio.run(some_frames(port, path, ground, venue))
                bases[venue] = asyncio.run(baseline(frames, ground, venue))
                value = asyncio.run(delivered(process, port, path, ground, venue, ground.commands[venue]))
                rows.append(result(f"sandbox_{venue}_load_mode_frames_per_core_s", value, bases[venue]))
        with ground.sandbox("--flow", "busy") as (process, addresses):
            time.sleep(5)  # the opening of all books is no normal flow
            for venue, (port, path) in addresses.items():
                value = asyncio.run(delivered(process, port, path, ground, venue, ground.commands[venue]))
                rows.append(result(f"sandbox_{venue}_normal_mode_frames_per_core_s", value, bases[venue]))
    return rows


def result(name: str, value: float, baseline_value: float) -> dict[str, Any]:
    """One row."""
    return {
        "name": name,
        "value": round(value),
        "unit": "frames/s of CPU",
        "baseline": f"websockets' server, same frames, {SUBSCRIBERS} subscribers",
        "baseline_value": round(baseline_value),
        "ratio": round(value / baseline_value, 2),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
