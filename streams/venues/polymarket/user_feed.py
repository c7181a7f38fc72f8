"""Polymarket's private socket: our orders and trades as they change.

There is no snapshot and no replay: after every connect orders and trades are read over REST first. A trade comes once
per status step with the same id, and events of the two kinds are not ordered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson

from streams.market.errors import TransientError
from streams.market.identity import Venue
from streams.venues.answers import json_of, read
from streams.venues.credentials import PolymarketCredentials
from streams.venues.endpoints import Endpoints
from streams.venues.polymarket.orders import OrderState, TradeState, parse_order, parse_trade
from streams.venues.socket import Socket

PolymarketUserEvent = OrderState | TradeState
_HEARTBEAT_S = 10.0


def parse_user_frame(raw: bytes, credentials: PolymarketCredentials) -> list[PolymarketUserEvent]:
    """Return the orders and trades of a frame (one object or an array of them), in its order.

    Raises:
        MalformedFrame: If it is not a frame of the documented shape.
    """
    if raw.strip() == b"PONG":
        return []
    document = json_of(raw)
    events: list[PolymarketUserEvent] = []
    for entry in document if isinstance(document, list) else [document]:
        events += read(entry, lambda message: _events_of(message, credentials))
    return events


def _events_of(message: dict[str, Any], credentials: PolymarketCredentials) -> list[PolymarketUserEvent]:
    if message.get("event_type") == "order":
        return [parse_order(message)]
    if message.get("event_type") == "trade":
        return [parse_trade(message, credentials.api_key, credentials.wallet)]
    return []


class PolymarketUserFeed:
    """One socket over all markets of the API key. The secret itself travels in its first frame: never log it."""

    venue = Venue.POLYMARKET

    def __init__(
        self, endpoints: Endpoints, credentials: PolymarketCredentials, *, silence_timeout_s: float = 30.0
    ) -> None:
        self._url = f"{endpoints.polymarket_ws}/user"
        self._credentials = credentials
        self._socket = Socket(silence_timeout_s)
        self._heartbeat_s = min(_HEARTBEAT_S, silence_timeout_s / 3)
        self._heartbeat: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Open the socket and authenticate; errors as for `Feed.connect`."""
        await self.close()
        await self._socket.connect(self._url)
        credentials = self._credentials
        auth = {
            "apiKey": credentials.api_key,
            "secret": credentials.secret.get_secret_value(),
            "passphrase": credentials.passphrase.get_secret_value(),
        }
        self._socket.send(orjson.dumps({"auth": auth, "type": "user", "markets": []}))
        self._heartbeat = asyncio.create_task(self._beat())

    async def events(self) -> AsyncIterator[PolymarketUserEvent]:
        """Yield orders and trades.

        Raises:
            TransientError: The connection is gone or silent.
            MalformedFrame: A frame cannot be read; the account must be read over REST.
        """
        while True:
            for frame in await self._socket.batch():
                for event in parse_user_frame(frame.raw, self._credentials):
                    yield event

    async def close(self) -> None:
        """Close the socket; safe to call at any time."""
        task, self._heartbeat = self._heartbeat, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._socket.close()

    async def _beat(self) -> None:
        # A failed PING needs no word from here: whoever reads the events is told that the connection is gone.
        with suppress(TransientError):
            while True:
                await asyncio.sleep(self._heartbeat_s)
                self._socket.send(b"PING")
