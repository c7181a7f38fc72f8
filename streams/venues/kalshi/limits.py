"""Kalshi's request budget: separate buckets for reads and writes, ten tokens a call unless listed.

Source: rate limits page of 2026-09-22, Basic tier. An order that the venue routes by ticker bills every shard's bucket;
the write bucket here stands for all of them.
"""

from __future__ import annotations

from streams.venues.buckets import TokenBucket

DEFAULT_COST = 10.0
CANCEL_COST = 2.0
ORDER_READ_COST = 2.0
# Unsigned reads share an undocumented limit per address; 4 to 5 a second already drew refusals in September 2026.
_UNSIGNED_READS_PER_S = 3.0


class KalshiLimits:
    """The two buckets of one key, or the slow one of a reader without a key."""

    def __init__(
        self, *, is_signed: bool, read_per_s: float = 200.0, write_per_s: float = 100.0, burst_s: float = 3.0
    ) -> None:
        reads = read_per_s if is_signed else _UNSIGNED_READS_PER_S * DEFAULT_COST
        self.reads = TokenBucket(reads, reads * (burst_s if is_signed else 1.0))
        self.writes = TokenBucket(write_per_s, write_per_s)

    @classmethod
    def unlimited(cls) -> KalshiLimits:
        """Buckets that never make anyone wait: the sandbox has no neighbours to protect."""
        return cls(is_signed=True, read_per_s=1e9, write_per_s=1e9)

    async def take(self, *, is_write: bool, cost: float = DEFAULT_COST) -> None:
        """Wait for room for one call."""
        await (self.writes if is_write else self.reads).take(cost)

    def refused(self, *, is_write: bool) -> None:
        """The venue answered 429: start from an empty bucket."""
        (self.writes if is_write else self.reads).drain()
