"""Local WebSocket servers that answer commands as the venues do, and what reads feeds of them in tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from streams.market.errors import TransientError
from streams.market.events import BookSnapshot, MarketEvent
from streams.settings import Settings
from streams.venues.common.endpoints import Endpoints, endpoints
from streams.venues.common.feed import Feed
from streams.venues.credentials.keys import KalshiCredentials

PEM = Ed25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
CREDENTIALS = KalshiCredentials("key-1", SecretStr(PEM.decode()))
Handler = Callable[[ServerConnection], Awaitable[None]]


class Market(NamedTuple):
    market_id: str
    yes_token: str = ""
    no_token: str = ""


def play(handler: Handler, use: Callable[[Endpoints], Awaitable[None]], *, refuse: HTTPStatus | None = None) -> None:
    """Run `use` against a server that treats each connection by `handler`."""

    def check(connection: ServerConnection, _request: Request) -> Response | None:
        return None if refuse is None else connection.respond(refuse, "no")

    async def main() -> None:
        async with asyncio.timeout(90):
            async with serve(
                handler, "127.0.0.1", 0, process_request=check, ping_interval=None, close_timeout=0.2
            ) as server:
                port = server.sockets[0].getsockname()[1]
                await use(
                    endpoints(
                        Settings(
                            _env_file=None,
                            kalshi_ws_url=f"ws://127.0.0.1:{port}/trade-api/ws/v2",
                            polymarket_ws_url=f"ws://127.0.0.1:{port}/ws",
                        )
                    )
                )

    asyncio.run(main())


async def read_until(feed: Feed, done: Callable[[list[MarketEvent]], bool]) -> list[MarketEvent]:
    events: list[MarketEvent] = []
    async for batch in feed.batches():
        assert batch
        for frame in batch:
            assert frame.received_ns > 1_700_000_000_000_000_000
            events += feed.parse(frame.raw)
        if done(events):
            return events
    return events


async def read_to_the_end(feed: Feed) -> tuple[list[MarketEvent], str]:
    """Return all events up to the loss of the connection, and what was said of it."""
    events: list[MarketEvent] = []
    try:
        async for frame in feed.frames():
            events += feed.parse(frame.raw)
    except TransientError as error:
        return events, str(error)
    raise AssertionError("a feed ends with an error only")


class KalshiVenue:
    """Answers commands as the venue does: one `subscribed` per channel, `ok` in sequence, snapshots for new markets."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.sids: dict[int, str] = {}
        self.sequence: dict[int, int] = {}
        self.connection: ServerConnection | None = None

    def push(self, frame: dict[str, Any]) -> None:
        """Send a frame of the venue's own accord."""
        assert self.connection is not None
        self.pushed = asyncio.ensure_future(self.connection.send(json.dumps(frame)))

    def forget(self, sid: int) -> None:
        """Lose a subscription without a word."""
        self.sids[sid] = ""

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.headers.append(connection.request.headers)
        self.sids, self.sequence = {}, {}
        self.connection = connection
        async for text in connection:
            command = json.loads(text)
            self.commands.append(command)
            for answer in self.answers(command):
                await connection.send(json.dumps(answer))

    def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        if command["cmd"] == "list_subscriptions":
            rows = [{"channel": channel, "sid": sid} for sid, channel in self.sids.items() if channel]
            return [{"type": "ok", "id": command["id"], "msg": rows}]
        parameters = command["params"]
        found: list[dict[str, Any]] = []
        if command["cmd"] == "subscribe":
            for channel in parameters["channels"]:
                sid = len(self.sids) + 1
                self.sids[sid] = channel
                found.append({"type": "subscribed", "id": command["id"], "msg": {"channel": channel, "sid": sid}})
                if channel == "orderbook_delta":
                    found += [self.snapshot(sid, ticker) for ticker in parameters["market_tickers"]]
            return found
        (sid,) = parameters["sids"]
        if not self.sids[sid]:
            return [{"type": "error", "id": command["id"], "msg": {"code": 7, "msg": "Unknown subscription ID"}}]
        tickers = parameters["market_tickers"]
        if parameters["action"] != "get_snapshot":
            message = {"market_tickers": tickers}
            found.append({"type": "ok", "id": command["id"], "sid": sid, "seq": self.next(sid), "msg": message})
        if parameters["action"] != "delete_markets" and self.sids[sid] == "orderbook_delta":
            found += [self.snapshot(sid, ticker) for ticker in tickers]
        return found

    def snapshot(self, sid: int, ticker: str) -> dict[str, Any]:
        message = {"market_ticker": ticker, "yes_dollars_fp": [["0.4", "1"]], "no_dollars_fp": [["0.5", "2"]]}
        return {"type": "orderbook_snapshot", "sid": sid, "seq": self.next(sid), "msg": message}

    def next(self, sid: int) -> int:
        self.sequence[sid] = self.sequence.get(sid, 0) + 1
        return self.sequence[sid]


def snapshots(events: list[MarketEvent]) -> list[str]:
    return [event.market_id for event in events if isinstance(event, BookSnapshot)]


class PolymarketVenue:
    """Sends a book per subscribed token, in one array; answers PING.

    Attributes:
        connections: Tokens by the connection they were last subscribed on, oldest connection first.
    """

    def __init__(self, *, answers_ping: bool = True) -> None:
        self.commands: list[dict[str, Any]] = []
        self.pings = 0
        self.answers_ping = answers_ping
        self.connections: dict[ServerConnection, list[str]] = {}

    async def __call__(self, connection: ServerConnection) -> None:
        self.connections[connection] = []
        async for text in connection:
            if text == "PING":
                self.pings += 1
                if self.answers_ping:
                    await connection.send("PONG")
                continue
            command = json.loads(text)
            self.commands.append(command)
            if command.get("operation") != "unsubscribe":
                self.connections[connection] += command["assets_ids"]
            if command.get("operation") != "unsubscribe":
                books = [self.book(token) for token in command["assets_ids"]]
                await connection.send(json.dumps(books))

    def book(self, token: str) -> dict[str, Any]:
        bid, ask = ("0.4", "0.5") if token.startswith("y") else ("0.5", "0.6")
        levels = {"bids": [{"price": bid, "size": "1"}], "asks": [{"price": ask, "size": "2"}]}
        return {"event_type": "book", "market": "M", "asset_id": token, "timestamp": "1700000000123", **levels}
