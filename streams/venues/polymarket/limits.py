"""Polymarket's request budgets, well inside the venue's. Over-limit requests are queued there, which would age orders.

Source: rate limit page, mid 2026: per 10 s: CLOB 9000, /books 500, Gamma 4000 (/markets 300, /events 500), Data 1000
(/positions 150); per signer 40 orders and 80 cancels a second.
"""

from __future__ import annotations

from streams.venues.buckets import TokenBucket

_PER_S = {"gamma": 25.0, "clob": 45.0, "data": 12.0, "orders": 35.0, "cancels": 70.0}


class PolymarketLimits:
    """One bucket per service, and two for what a signer writes."""

    def __init__(self, *, is_limited: bool = True) -> None:
        self._buckets = {
            name: TokenBucket(rate if is_limited else 1e9, rate if is_limited else 1e9) for name, rate in _PER_S.items()
        }

    @classmethod
    def unlimited(cls) -> PolymarketLimits:
        """Buckets that never make anyone wait: the sandbox has no neighbours to protect."""
        return cls(is_limited=False)

    async def take(self, service: str) -> None:
        """Wait for room for one call to `gamma`, `clob`, `data`, `orders` or `cancels`."""
        await self._buckets[service].take(1.0)

    def refused(self, service: str) -> None:
        """The venue answered 429: start from an empty bucket."""
        self._buckets[service].drain()
