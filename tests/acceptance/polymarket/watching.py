"""Streams that keep what they bring, waiting for what comes late, and what a refusal says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from polymarket.errors import PolymarketError, RateLimitError, RequestRejectedError


class Stream:
    """What a subscription brought, in order."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.events: list[Any] = []

    async def read(self) -> None:
        """Keep every event until the stream is closed."""
        async for event in self._handle:
            self.events.append(event)

    async def wait(self, what: str, fits: Callable[[Any], bool]) -> Any:
        """The first event that fits."""
        return await eventually(what, lambda: next((event for event in self.events if fits(event)), None))


async def eventually(what: str, ask: Callable[[], Any]) -> Any:
    """Ask until the answer is something, at most ten seconds.

    Raises:
        TimeoutError: If it never is.
    """
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = ask()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError(f"within ten seconds there was no {what}")


@asynccontextmanager
async def subscribed(client: Any, spec: Any) -> AsyncIterator[Stream]:
    """An open subscription."""
    handle = await client.subscribe(spec)
    stream = Stream(handle)
    task = asyncio.create_task(stream.read())
    try:
        yield stream
    finally:
        await handle.close()
        await task


async def refused(action: Awaitable[Any]) -> dict[str, Any]:
    """What came of something that should not be accepted."""
    try:
        answer = await action
    except RequestRejectedError as error:
        known = {"status": error.status, "code": error.code, "restriction": error.restriction}
        return {"error": type(error).__name__, "message": str(error), **known}
    except RateLimitError as error:
        return {"error": type(error).__name__, "message": str(error), "retry_after": error.retry_after}
    except PolymarketError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"answer": answer}
