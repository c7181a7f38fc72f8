"""The sandbox as a process under the profile `realistic`: its admin port, its times, and load mode on real sockets."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

from tests.support.ports import free_port


@contextmanager
def process(home: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """A sandbox process; gives its ready line."""
    command = [sys.executable, "-m", "streams.sandbox", "--home", str(home), "--admin-port", "0", *arguments]
    command += ["--kalshi-port", str(free_port()), "--polymarket-port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stdout is not None
            yield json.loads(running.stdout.readline())
        finally:
            running.kill()


def test_a_test_owns_the_books_and_sees_late_and_broken_answers(tmp_path: Path) -> None:
    with process(tmp_path, "--profile", "realistic", "--flow", "quiet") as ready, httpx.Client(timeout=60) as http:
        admin, kalshi = ready["admin"], ready["kalshi"]
        assert ready["profile"] == "realistic"
        assert http.get(f"{admin}/behaviour").json()["kalshi_ack_ms"] == [20, 80]
        assert http.post(f"{admin}/flow", json={"running": False, "clear": True}).json() == {"running": False}
        market = http.get(f"{kalshi}/markets", params={"limit": 1, "status": "open"}).json()["markets"][0]["ticker"]
        order = {"venue": "kalshi", "market_id": market, "side": "bid", "price_e4": 4_200, "size_e6": 7_000_000}
        assert http.post(f"{admin}/orders", json=order).status_code == 200
        shown = http.get(f"{admin}/markets/kalshi/{market}").json()
        assert (shown["bids"], shown["asks"]) == ([[4_200, 7_000_000]], [])
        started = time.monotonic()
        assert http.post(f"{kalshi}/portfolio/events/orders", json={}).status_code == 401
        assert time.monotonic() - started >= 0.019
        http.post(f"{admin}/faults", json={"kind": "server_error", "path": "/trade-api/v2/exchange", "status": 502})
        assert http.get(f"{kalshi}/exchange/status").status_code == 502
        (rule,) = http.get(f"{admin}/faults").json()["rules"][-1:]
        assert (rule["chances"], rule["fired"]) == (1, 1)
        http.delete(f"{admin}/faults")
        assert http.get(f"{kalshi}/exchange/status").status_code == 200
        http.post(f"{admin}/clock", json={"venue": "polymarket", "skew_ms": 600_000})
        assert http.get(f"{ready['polymarket']}/clob/time").json() - time.time() > 590
        assert http.post(f"{admin}/nothing").status_code == 404


def test_load_mode_gives_every_subscriber_a_book_that_never_crosses(tmp_path: Path) -> None:
    async def follow(url: str, token: str) -> tuple[int, float]:
        """Frames folded and the time from the first to the last."""
        book: dict[str, dict[str, str]] = {"BUY": {}, "SELL": {}}
        frames, started = 0, 0.0
        async with connect(url, max_size=None) as connection:
            await connection.send(json.dumps({"assets_ids": [token], "type": "market"}))
            while frames < 2_000:
                messages = json.loads(await asyncio.wait_for(connection.recv(), 60))
                for message in messages if isinstance(messages, list) else [messages]:
                    if message["event_type"] == "book":
                        sides = (("BUY", "bids"), ("SELL", "asks"))
                        book = {side: {row["price"]: row["size"] for row in message[name]} for side, name in sides}
                    elif message["event_type"] == "price_change":
                        started, frames = started or time.monotonic(), frames + 1
                        for change in message["price_changes"]:
                            if change["asset_id"] == token:
                                book[change["side"]][change["price"]] = change["size"]
                        bids, asks = (
                            [float(price) for price, size in book[side].items() if float(size)] for side in book
                        )
                        assert max(bids, default=0.0) < min(asks, default=1.0)
        return frames, time.monotonic() - started

    async def main(polymarket: str, token: str) -> None:
        url = polymarket.replace("http", "ws") + "/ws/market"
        for frames, seconds in await asyncio.gather(*(follow(url, token) for _ in range(2))):
            assert frames / seconds < 5_000  # 4,000 a second were asked for

    with process(tmp_path, "--load", "4000") as ready:
        rows = httpx.get(f"{ready['polymarket']}/gamma/markets", params={"limit": 1, "closed": "false"}).json()
        asyncio.run(main(ready["polymarket"], json.loads(rows[0]["clobTokenIds"])[0]))
