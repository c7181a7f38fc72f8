"""The last check of an order is made when its connection stands, and what it keeps back never reaches the wire."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.venues.gateway import Gateway, HeldBack, PreparedOrder
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import StreamsError, TooLate
from streams.market.identity import Venue
from streams.market.trading import RefusalReason
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.common.http import HttpRequest, call
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.polymarket.client import PolymarketClient
from tests.support.venue_servers import CREDENTIALS

WALLET = PolymarketCredentials(
    SecretStr("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "key", SecretStr("c2VjcmV0"), SecretStr("words"),
)  # fmt: skip
BODIES = {
    Venue.KALSHI: json.dumps({"client_order_id": "mine", "ticker": "KXA-1"}),
    Venue.POLYMARKET: json.dumps({"order": {"salt": 1}}),
}


class Wire:
    """A server that notes each connection and every byte that comes, and answers all requests alike."""

    def __init__(self) -> None:
        self.connections = 0
        self.received = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while chunk := await reader.read(65_536):
            self.received += chunk
            writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
        writer.close()


def play(use: Callable[[Wire, httpx.AsyncClient], Awaitable[None]]) -> Wire:
    wire = Wire()

    async def main() -> None:
        async with asyncio.timeout(60), await asyncio.start_server(wire.serve, "127.0.0.1", 0) as server:
            wire.port = server.sockets[0].getsockname()[1]
            async with httpx.AsyncClient(trust_env=False) as http:
                await use(wire, http)

    asyncio.run(main())
    return wire


def keep_back() -> None:
    raise HeldBack(Refusal(RefusalReason.KILLED))


def gateway_of(venue: Venue, wire: Wire, http: httpx.AsyncClient) -> Gateway:
    base = f"http://127.0.0.1:{wire.port}"
    places = endpoints(
        Settings(_env_file=None, kalshi_rest_url=f"{base}/trade-api/v2", polymarket_clob_url=f"{base}/clob")
    )
    if venue is Venue.KALSHI:
        return KalshiGateway(KalshiClient(places, CREDENTIALS, http=http))
    return PolymarketGateway(PolymarketClient(places, WALLET, http=http), WALLET)


@pytest.mark.parametrize("venue", list(Venue))
def test_what_is_kept_back_opens_a_connection_and_sends_nothing(venue: Venue) -> None:
    async def use(wire: Wire, http: httpx.AsyncClient) -> None:
        gateway = gateway_of(venue, wire, http)
        for _ in range(2):
            with pytest.raises(HeldBack, match="killed"):
                await gateway.send(PreparedOrder("mine", {"body": BODIES[venue]}, keep_back))

    wire = play(use)
    assert wire.connections >= 1
    assert wire.received == b""


@pytest.mark.parametrize("venue", list(Venue))
def test_what_may_leave_is_checked_once_and_leaves(venue: Venue) -> None:
    checks: list[bytes] = []

    async def use(wire: Wire, http: httpx.AsyncClient) -> None:
        with pytest.raises(StreamsError):
            await gateway_of(venue, wire, http).send(
                PreparedOrder("mine", {"body": BODIES[venue]}, lambda: checks.append(wire.received))
            )

    wire = play(use)
    assert checks == [b""]
    assert BODIES[venue].encode() in wire.received


@pytest.mark.parametrize("venue", list(Venue))
def test_an_order_whose_turn_comes_after_its_deadline_is_refused_before_a_connection_is_opened(venue: Venue) -> None:
    async def use(wire: Wire, http: httpx.AsyncClient) -> None:
        order = PreparedOrder("mine", {"body": BODIES[venue]}, deadline=time.monotonic() + 0.5)
        gateway = gateway_of(venue, wire, http)
        limits = gateway._client._limits  # type: ignore[attr-defined]
        for bucket in (limits._writes if venue is Venue.KALSHI else limits._windows | limits._signers).values():
            with bucket.ledger.open() as entries:
                bucket.store(entries, -bucket.rate)  # a second of debt
        with pytest.raises(TooLate):
            await gateway.send(order)

    wire = play(use)
    assert (wire.connections, wire.received) == (0, b"")


def test_a_check_on_a_connection_that_stands_already_comes_before_the_second_request() -> None:
    async def use(wire: Wire, http: httpx.AsyncClient) -> None:
        url = f"http://127.0.0.1:{wire.port}/order"

        def refused(status: int, _body: bytes, _headers: Any, _is_write: bool) -> HeldBack:
            return HeldBack(Refusal(RefusalReason.ERROR, str(status)))

        with pytest.raises(HeldBack, match="400"):
            await call(http, HttpRequest("POST", url, body=b"first", is_write=True), classify=refused)
        with pytest.raises(HeldBack, match="killed"):
            await call(
                http, HttpRequest("POST", url, body=b"second", is_write=True, last_check=keep_back), classify=refused
            )

    wire = play(use)
    assert b"first" in wire.received
    assert b"second" not in wire.received
    assert wire.received.count(b"POST") == 1
