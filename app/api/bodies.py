"""Bodies of requests, counted and timed while they are read; one that is not wanted is not read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Send

BODY_MAX = 100_000
"""Most bytes of a body; every act fits a hundred times."""
BODY_WITHIN_S = 10.0
"""How long a body may take to arrive (seconds)."""


class Body:
    """The body of one request.

    Args:
        headers: Of the request.
        receive: Of the server.
        clock: Seconds of a steady clock.
    """

    def __init__(self, headers: Headers, receive: Receive, clock: Callable[[], float]) -> None:
        length = headers.get("content-length", "0")
        self.length = int(length) if length.isdecimal() and len(length) < 20 else BODY_MAX + 1
        self._is_whole = self.length == 0 and "transfer-encoding" not in headers
        self._receive = receive
        self._clock = clock
        self._ends_at: float | None = None
        self._size = 0

    async def receive(self) -> Message:
        """Return the next message of the request.

        Raises:
            HTTPException: If the body is too large (413) or takes too long (408).
        """
        if self._is_whole:
            return await self._receive()
        now = self._clock()
        self._ends_at = self._ends_at or now + BODY_WITHIN_S
        try:
            async with asyncio.timeout(self._ends_at - now):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"The body did not arrive within {BODY_WITHIN_S:.0f} seconds.") from None
        self._size += len(message.get("body", b""))
        if self._size > BODY_MAX:
            raise HTTPException(413, TOO_LARGE)
        self._is_whole = not message.get("more_body", False)
        return message

    def closing(self, send: Send) -> Send:
        """Return what sends an answer, and ends the connection where the answer goes out before the body was read."""

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not self._is_whole:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        return send_closing


TOO_LARGE = f"The body is larger than {BODY_MAX // 1000} KB."
