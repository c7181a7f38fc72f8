"""A token bucket for asyncio: callers wait their turn before they sign, so that a signature is never old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class TokenBucket:
    """Tokens that refill steadily up to a capacity."""

    def __init__(self, rate: float, capacity: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.capacity = capacity
        self._monotonic = monotonic
        self._tokens = capacity
        self._at = monotonic()
        self._turn = asyncio.Lock()

    async def take(self, tokens: float) -> None:
        """Wait until `tokens` are there and take them; waiting callers are served in order."""
        tokens = min(tokens, self.capacity)
        async with self._turn:
            lacking = tokens - self._refilled()
            if lacking > 0:
                await asyncio.sleep(lacking / self.rate)
            self._tokens = self._refilled() - tokens

    def drain(self) -> None:
        """Empty the bucket: the venue said that we are too fast."""
        self._tokens = min(0.0, self._refilled())

    def _refilled(self) -> float:
        now = self._monotonic()
        self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate)
        self._at = now
        return self._tokens
