"""Kalshi's private socket: our executions and order states as they happen.

These channels have no sequence numbers and no replay: after every connect the account is read over REST first.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import orjson

from streams.market.errors import MalformedFrame
from streams.market.identity import Venue
from streams.venues.answers import document_of, part_of, read
from streams.venues.credentials import KalshiCredentials
from streams.venues.endpoints import Endpoints
from streams.venues.kalshi.orders import FillState, OrderState, parse_fill, parse_order
from streams.venues.kalshi.signing import KalshiSigner
from streams.venues.socket import Socket

KalshiUserEvent = FillState | OrderState


def parse_user_frame(raw: bytes) -> KalshiUserEvent | None:
    """Return the execution or order state of a frame, None for frames that are neither.

    Raises:
        MalformedFrame: If it is not a frame of the documented shape.
    """
    document = document_of(raw)
    kind = document.get("type")
    if kind == "fill":
        return read(part_of(document, "msg"), parse_fill)
    if kind == "user_order":
        return read(part_of(document, "msg"), parse_order)
    if kind == "error":
        raise MalformedFrame(raw[:2000], "the venue refused the subscription")
    return None


class KalshiUserFeed:
    """One signed socket with the channels `fill` and `user_orders`, over all markets of the key."""

    venue = Venue.KALSHI

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: KalshiCredentials,
        *,
        silence_timeout_s: float = 30.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._url = endpoints.kalshi_ws
        self._signer = KalshiSigner(credentials)
        self._clock = clock
        self._socket = Socket(silence_timeout_s)

    async def connect(self) -> None:
        """Open the socket and subscribe; errors as for `Feed.connect`."""
        await self._socket.connect(self._url, self._signer.headers("GET", self._url, self._clock() // 1_000_000))
        command = {"id": 1, "cmd": "subscribe", "params": {"channels": ["fill", "user_orders"]}}
        self._socket.send(orjson.dumps(command))

    async def events(self) -> AsyncIterator[KalshiUserEvent]:
        """Yield executions and order states; a fill and its order's state come in no fixed order.

        Raises:
            TransientError: The connection is gone or silent.
            MalformedFrame: A frame cannot be read; the account must be read over REST.
        """
        while True:
            for frame in await self._socket.batch():
                event = parse_user_frame(frame.raw)
                if event is not None:
                    yield event

    async def close(self) -> None:
        """Close the socket; safe to call at any time."""
        await self._socket.close()
