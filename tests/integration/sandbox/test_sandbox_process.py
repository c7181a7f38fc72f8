"""The sandbox as a process: its ready line, what it keeps through a kill, how it stops, and its fault file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosedError

from streams.market.errors import ConfigurationError, OutcomeUnknown, Refused
from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan, FaultRule, load_plan
from streams.settings import load_settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.types.orders import OrderRequest
from tests.support.ports import free_port


@contextmanager
def sandbox(home: Path, ports: tuple[int, int]) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "streams.sandbox", "--home", str(home)]
    # What was written is read at once here.
    command += ["--profile", "zero"]
    command += ["--kalshi-port", str(ports[0]), "--polymarket-port", str(ports[1]), "--admin-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def credentials(home: Path) -> KalshiCredentials:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    folder = home / "sandbox"
    folder.mkdir(parents=True)
    accounts = {"kalshi": [{"key_id": "k", "public_key_pem": public, "cash_usd": "1000"}], "polymarket": []}
    (folder / "accounts.json").write_text(json.dumps(accounts))
    return KalshiCredentials(
        "k", SecretStr(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    )


async def _best_ask(client: KalshiClient, ticker: str) -> int:
    """The lowest ask, waiting for the makers' first quotes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        asks = (await client.order_book(ticker)).asks
        if asks:
            return asks[0][0]
        await asyncio.sleep(0.05)
    raise AssertionError("no ask within 60 seconds")


async def _state(client: KalshiClient) -> tuple[Any, ...]:
    fills = [(fill.fill_id, fill.size_e6, fill.fee_e6) for fill in await client.fills()]
    orders = sorted((o.order_id, o.status, o.filled_e6, o.remaining_e6) for o in await client.orders())
    positions = sorted((row.market_id, row.contracts_e6) for row in await client.positions())
    return await client.balance(), await client.target_allocation(), fills, orders, positions


def test_a_killed_sandbox_whose_home_was_moved_comes_back_with_orders_cash_and_positions(tmp_path: Path) -> None:
    home = tmp_path / "before"
    key, ports = credentials(home), (free_port(), free_port())
    where = endpoints(load_settings(kalshi_sandbox_port=ports[0], polymarket_sandbox_port=ports[1], venues="sandbox"))

    async def trade() -> tuple[Any, str]:
        async with httpx.AsyncClient(timeout=60) as http:
            client = KalshiClient(where, key, http=http)
            page = await client.markets_page("", limit=200, status="open")
            far = max(page.items, key=lambda market: market["close_time"])["ticker"]
            for number in range(5):
                ask = await _best_ask(client, far)
                await client.create_order(OrderRequest(far, "bid", ask, 2_000_000, f"t{number}"))
            resting = OrderRequest(far, "bid", 100, 3_000_000, "rest", time_in_force="good_till_canceled")
            placed = await client.create_order(resting)
            await client.decrease_order(placed.order_id, far, to_e6=2_000_000)
            await client.set_target_allocation({0: 100})
            return await _state(client), far

    async def look(ticker: str) -> Any:
        async with httpx.AsyncClient(timeout=60) as http:
            client = KalshiClient(where, key, http=http)
            with pytest.raises(Refused, match="order_already_exists"):
                await client.create_order(OrderRequest(ticker, "bid", 100, 3_000_000, "rest"))
            assert await _best_ask(client, ticker) > 0
            return await _state(client)

    with sandbox(home, ports) as (process, ready):
        assert ready["is_new"] is True
        before, ticker = asyncio.run(trade())
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    with sandbox(home.rename(tmp_path / "after"), ports) as (process, again):
        assert again["is_new"] is False
        assert again["anchor"] == ready["anchor"]
        assert asyncio.run(look(ticker)) == before
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_second_sandbox_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with sandbox(tmp_path, (free_port(), free_port())):
        again = subprocess.run(
            [sys.executable, "-m", "streams.sandbox", "--home", str(tmp_path), "--admin-port", "0",
             "--kalshi-port", str(free_port()), "--polymarket-port", str(free_port())],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert again.returncode != 0
    assert f"Another sandbox is already running on {tmp_path / 'sandbox' / 'journal'}." in again.stdout + again.stderr


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"rules": [{"kind": "magic"}]}', '{"rules": [{"kind": "fade", "probability": "2"}]}',
             '{"rules": [{"kind": "fade", "colour": "red"}]}']
)  # fmt: skip
def test_a_fault_file_that_cannot_be_meant_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"faults\.json .*\.$"):
        load_plan(path)


def test_a_lost_answer_leaves_an_order_that_can_be_found(open_world: Any) -> None:
    async def main() -> None:
        plan = FaultPlan([FaultRule("lost_response", venue=Venue.KALSHI, times=1)])
        async with open_world(plan) as world:
            order = OrderRequest("KXRAIN-26DEC01-NYC", "bid", 5_100, 10_000_000, "lost")
            with pytest.raises(OutcomeUnknown):
                await world.kalshi.create_order(order)
            found = [row for row in await world.kalshi.orders() if row.client_order_id == "lost"]
            assert [(row.status, row.filled_e6) for row in found] == [("executed", 10_000_000)]

    asyncio.run(main())


def test_a_dropped_frame_leaves_a_hole_in_the_sequence(open_world: Any) -> None:
    async def main() -> None:
        plan = FaultPlan([FaultRule("dropped_frame", channel="orderbook_delta", skip=1, times=1)])
        async with open_world(plan) as world, world.kalshi_socket() as wire:
            params = {"channels": ["orderbook_delta"], "market_tickers": ["KXRAIN-26DEC01-NYC"]}
            await wire.send({"id": 1, "cmd": "subscribe", "params": params})
            await wire.receive()
            assert (await wire.receive())["seq"] == 1
            world.quote(Venue.KALSHI, "x", "bid", 4_500, 1)
            world.quote(Venue.KALSHI, "y", "bid", 4_600, 1)
            assert (await wire.receive())["seq"] == 3

    asyncio.run(main())


def test_a_silent_socket_still_answers_pings(open_world: Any) -> None:
    async def main() -> None:
        plan = FaultPlan([FaultRule("silent_socket", venue=Venue.POLYMARKET, ms=0)])
        async with open_world(plan) as world, world.polymarket_socket("market") as wire:
            await wire.send({"assets_ids": [str(10**40)], "type": "market"})
            await wire.send("PING")
            answer = await wire.receive()
            while answer != "PONG":
                answer = await wire.receive()
            world.quote(Venue.POLYMARKET, "x", "bid", 4_500, 1)
            await wire.send("PING")
            assert await wire.receive() == "PONG"

    asyncio.run(main())


def test_frames_come_twice_and_out_of_order_by_request(open_world: Any) -> None:
    async def main() -> None:
        rules = [
            FaultRule("duplicated_frame", channel="orderbook_delta", skip=1, times=1),
            FaultRule("reordered_frame", channel="orderbook_delta", skip=2, times=1),
        ]
        async with open_world(FaultPlan(rules)) as world, world.kalshi_socket() as wire:
            params = {"channels": ["orderbook_delta"], "market_tickers": ["KXRAIN-26DEC01-NYC"]}
            await wire.send({"id": 1, "cmd": "subscribe", "params": params})
            await wire.receive()
            assert (await wire.receive())["seq"] == 1
            for number in range(3):
                world.quote(Venue.KALSHI, f"x{number}", "bid", 4_300 + 100 * number, 1)
            assert [(await wire.receive())["seq"] for _ in range(4)] == [2, 2, 4, 3]

    asyncio.run(main())


def test_a_socket_is_reset_and_the_next_one_is_whole(open_world: Any) -> None:
    async def main() -> None:
        plan = FaultPlan([FaultRule("disconnect", venue=Venue.POLYMARKET, ms=0, times=1)])
        async with open_world(plan) as world:
            async with world.polymarket_socket("market") as wire:
                with pytest.raises(ConnectionClosedError):
                    await wire.receive()
            async with world.polymarket_socket("market") as wire:
                await wire.send("PING")
                assert await wire.receive() == "PONG"

    asyncio.run(main())


def test_rejects_errors_and_delays_come_as_told(open_world: Any) -> None:
    async def main() -> None:
        plan = FaultPlan(
            [
                FaultRule("reject", times=1, code="trading_is_paused"),
                FaultRule("server_error", path="/trade-api/v2/portfolio/balance", times=1),
                FaultRule("delay", path="/trade-api/v2/exchange", ms=150),
                FaultRule("partial_fill", venue=Venue.KALSHI, times=1, fraction=Decimal("0.4")),
            ]
        )
        async with open_world(plan) as world:
            order = OrderRequest("KXRAIN-26DEC01-NYC", "bid", 5_100, 10_000_000, "one")
            with pytest.raises(Refused, match="trading_is_paused"):
                await world.kalshi.create_order(order)
            answer = await world.http.get(f"{world.endpoints.kalshi_rest}/portfolio/balance")
            assert answer.status_code == 503
            started = time.monotonic()
            await world.kalshi.exchange_status()
            assert time.monotonic() - started >= 0.14
            assert (await world.kalshi.create_order(order)).filled_e6 == 4_000_000

    asyncio.run(main())
