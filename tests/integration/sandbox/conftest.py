"""Both faces on real ports, over one market each with makers that stay where they are, and clients of them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect

from streams.market.identity import MarketRef, Venue
from streams.sandbox.exchange import Exchange
from streams.sandbox.faults import FaultPlan
from streams.sandbox.kalshi_face.auth import load_key
from streams.sandbox.kalshi_face.face import KalshiFace
from streams.sandbox.model import Act, CancelOrder, CatalogueEvent, CatalogueMarket, ListMarket, PlaceOrder
from streams.sandbox.polymarket_face.auth import PolymarketKey
from streams.sandbox.polymarket_face.face import PolymarketFace
from streams.sandbox.server import Server
from streams.settings import load_settings
from streams.venues.credentials import KalshiCredentials, PolymarketCredentials
from streams.venues.endpoints import Endpoints, endpoints
from streams.venues.kalshi.rest import KalshiClient
from streams.venues.kalshi.signing import WS_PATH, KalshiSigner
from streams.venues.polymarket.rest import PolymarketClient

CONTRACT = 1_000_000
TICKER = "KXRAIN-26DEC01-NYC"
CONDITION = "0x" + "ab" * 32
WALLET = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
WALLET_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
_RSA = rsa.generate_private_key(65537, 2048)


def listing(venue: Venue, number: int = 0) -> ListMarket:
    """One market of a venue; further ones by number."""
    is_kalshi = venue is Venue.KALSHI
    now = datetime.now(UTC)
    market = CatalogueMarket(
        venue=venue,
        market_id=f"{TICKER}{number or ''}" if is_kalshi else CONDITION[:-2] + f"{number:02x}" if number else CONDITION,
        event_id=f"KXRAIN-26DEC01{number or ''}" if is_kalshi else str(500 + number),
        series_id="KXRAIN" if is_kalshi else "",
        title="Will it rain in NYC on Dec 1?",
        rules="If it rains, the market resolves to Yes.",
        close_time=now + timedelta(days=10),
        open_time=now - timedelta(days=20),
        min_size_e6=10_000 if is_kalshi else 5 * CONTRACT,
        fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"}
        if is_kalshi
        else {"rate": "0.05", "exponent": "1", "taker_only": True},
        gamma_id=str(1_000 + number),
        slug=f"rain-{number}",
        yes_token=str(10**40 + 2 * number),
        no_token=str(10**40 + 2 * number + 1),
    )
    return ListMarket(CatalogueEvent(venue, market.event_id, market.series_id, "Rain in NYC?"), market)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class World:
    """A running pair of exchanges with clients."""

    exchanges: dict[Venue, Exchange]
    endpoints: Endpoints
    http: httpx.AsyncClient
    kalshi: KalshiClient
    polymarket: PolymarketClient
    kalshi_credentials: KalshiCredentials
    polymarket_credentials: PolymarketCredentials
    commits: list[int]
    faces: tuple[KalshiFace, PolymarketFace]

    async def tick(self, venue: Venue, every_s: float = 0.05) -> None:
        """Move a face on with the clock until cancelled, as the service does."""
        face = self.faces[0] if venue is Venue.KALSHI else self.faces[1]
        while True:
            face.tick(_now_ms())
            await asyncio.sleep(every_s)

    def act(self, act: Act) -> None:
        """Carry out an act now."""
        venue = act.market.venue
        self.exchanges[venue].apply(act, _now_ms())

    def quote(self, venue: Venue, key: str, side: str, price_e4: int, contracts: int) -> None:
        """A maker's order in the first market."""
        ref = MarketRef(venue, TICKER if venue is Venue.KALSHI else CONDITION)
        self.act(PlaceOrder(ref, "maker", key, side, price_e4, contracts * CONTRACT))  # type: ignore[arg-type]

    def pull(self, venue: Venue, key: str) -> None:
        """A maker takes an order away."""
        ref = MarketRef(venue, TICKER if venue is Venue.KALSHI else CONDITION)
        self.act(CancelOrder(ref, "maker", key))

    @asynccontextmanager
    async def kalshi_socket(self) -> AsyncIterator[Wire]:
        """A signed Kalshi socket."""
        headers = KalshiSigner(self.kalshi_credentials).headers("GET", WS_PATH, _now_ms())
        async with connect(self.endpoints.kalshi_ws, additional_headers=headers) as connection:
            yield Wire(connection)

    @asynccontextmanager
    async def polymarket_socket(self, channel: str) -> AsyncIterator[Wire]:
        """A market or user socket."""
        async with connect(f"{self.endpoints.polymarket_ws}/{channel}") as connection:
            yield Wire(connection)


@dataclass
class Wire:
    """A socket that speaks JSON and never waits for ever."""

    connection: ClientConnection

    async def send(self, message: Any) -> None:
        """Send JSON, or text as it is."""
        await self.connection.send(message if isinstance(message, str) else json.dumps(message))

    async def receive(self) -> Any:
        """The next frame; text that is no JSON as it is."""
        text = await asyncio.wait_for(self.connection.recv(), 5)
        try:
            return json.loads(text)
        except ValueError:
            return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _world(plan: FaultPlan | None = None) -> AsyncIterator[World]:
    plan = plan or FaultPlan()
    exchanges = {venue: Exchange(venue, plan, 1) for venue in Venue}
    public = _RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
    wallet = PolymarketKey(WALLET, "api-key", secret, "pass")
    key = load_key("key-1", public)
    commits: list[int] = []
    faces = (
        KalshiFace(exchanges[Venue.KALSHI], {"key-1": key}, _now_ms, lambda: commits.append(1)),
        PolymarketFace(exchanges[Venue.POLYMARKET], {"api-key": wallet}, _now_ms, lambda: commits.append(1)),
    )
    exchanges[Venue.KALSHI].accounts.open_account(key.account_id, 1_000 * CONTRACT)
    exchanges[Venue.POLYMARKET].accounts.open_account(wallet.account_id, 1_000 * CONTRACT)
    ports = (_free_port(), _free_port())
    servers = [Server(face, port) for face, port in zip(faces, ports, strict=True)]
    settings = load_settings(kalshi_sandbox_port=ports[0], polymarket_sandbox_port=ports[1], venues="sandbox")
    pem = _RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    kalshi_credentials = KalshiCredentials("key-1", SecretStr(pem))
    polymarket_credentials = PolymarketCredentials(
        private_key=SecretStr(WALLET_KEY), address=WALLET, api_key="api-key", secret=SecretStr(secret),
        passphrase=SecretStr("pass"),
    )  # fmt: skip
    where = endpoints(settings)
    async with httpx.AsyncClient() as http:
        for server in servers:
            await server.start()
        world = World(
            exchanges, where, http, KalshiClient(where, kalshi_credentials, http=http),
            PolymarketClient(where, polymarket_credentials, http=http), kalshi_credentials, polymarket_credentials,
            commits, faces,
        )  # fmt: skip
        for venue in Venue:
            exchanges[venue].apply(listing(venue), _now_ms())
            for step in range(1, 4):
                world.quote(venue, f"b{step}", "bid", 5_000 - 100 * step, 50)
                world.quote(venue, f"a{step}", "ask", 5_000 + 100 * step, 50)
        try:
            yield world
        finally:
            for server in servers:
                await server.stop()


@pytest.fixture
def open_world() -> Callable[..., AbstractAsyncContextManager[World]]:
    """`async with open_world(plan?) as world`: both exchanges, listening."""
    return _world
