"""Bodies of requests, read from the browser part by part and never more than their limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.types import Receive


class BodyTooLong(Exception):
    """More bytes arrive than a body may have."""


class ClientGone(Exception):
    """Whoever asked has left."""


class Body(httpx.AsyncByteStream):
    """The body of one request on its way to the server behind."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self.is_whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        passed = 0
        while not self.is_whole:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            passed += len(part)
            if passed > self._max_bytes:
                raise BodyTooLong
            self.is_whole = not message.get("more_body", False)
            if part:
                yield part

    async def whole(self) -> bytes:
        """Return all of it.

        Raises:
            BodyTooLong, ClientGone: As while it is read.
        """
        return b"".join([part async for part in self])


@asynccontextmanager
async def ended_by_leaving(receive: Receive) -> AsyncIterator[None]:
    """End what is done within as soon as whoever asked has left. Their body must have been read.

    Raises:
        ClientGone: If they left.
    """
    task = asyncio.current_task()
    assert task is not None
    is_gone = False

    async def watch() -> None:
        nonlocal is_gone
        while (await receive())["type"] != "http.disconnect":
            pass
        is_gone = True
        task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not is_gone:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        watcher.cancel()
