"""Kalshi's rate limits: token buckets per key, one for reads, and one for writes on every shard.

Source: rate-limit page of 2026-09-22 and `GET /account/endpoint_costs`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DEFAULT_COST = 10
SHARDS = (0, 1, 2, 3)
AUTO = -1
"""`exchange_index` that asks for routing by ticker, as leaving it out does."""


class Tier(NamedTuple):
    """Tokens per second, and how many seconds' worth a bucket holds."""

    read: int
    write: int
    read_seconds: int = 1
    write_seconds: int = 3


TIERS = {
    "basic": Tier(200, 100, 3, 1),
    "advanced": Tier(300, 300, 3, 3),
    "expert": Tier(600, 600),
    "premier": Tier(1_200, 1_200),
    "paragon": Tier(2_400, 2_400),
    "prime": Tier(4_800, 4_800),
    "prestige": Tier(12_000, 9_600),
}
UNLIMITED = "prestige"
"""What `/account/limits` names when the sandbox has no limits: the widest there is."""

_PREFIX = "/trade-api/v2"
COSTS: tuple[tuple[str, str, int], ...] = (
    ("POST", "/account/api_usage_level/upgrade", 30),
    ("DELETE", "/portfolio/events/orders/:order_id", 2),
    ("DELETE", "/portfolio/events/orders/batched", 2),
    ("DELETE", "/portfolio/events/orders", 2),
    ("POST", "/portfolio/orders", 20),
    ("DELETE", "/portfolio/orders/:order_id", 4),
    ("GET", "/portfolio/orders/:order_id", 2),
    ("POST", "/portfolio/orders/:order_id/amend", 20),
    ("POST", "/portfolio/orders/:order_id/decrease", 20),
    ("DELETE", "/portfolio/orders/batched", 4),
    ("POST", "/portfolio/orders/batched", 20),
)
"""Every call that does not cost `DEFAULT_COST`, of those the sandbox serves: method, path, tokens."""

_EXACT = {(method, path): cost for method, path, cost in COSTS if ":" not in path}
_PATTERNS = [(method, re.compile(re.sub(r":\w+", "[^/]+", path)), cost) for method, path, cost in COSTS if ":" in path]


def endpoint_costs() -> dict[str, Any]:
    """The body of `GET /account/endpoint_costs`."""
    rows = [{"method": method, "path": _PREFIX + path, "cost": cost} for method, path, cost in COSTS]
    return {"default_cost": DEFAULT_COST, "endpoint_costs": rows}


def cost_of(method: str, path: str) -> int:
    """Tokens of one call, the path (or its route) without prefix; of one item, for a batch."""
    found = _EXACT.get((method, path))
    if found is not None:
        return found
    if path.endswith("/queue_positions"):
        return DEFAULT_COST
    return next((cost for m, pattern, cost in _PATTERNS if m == method and pattern.fullmatch(path)), DEFAULT_COST)


def limits_object(tier: str | None) -> dict[str, Any]:
    """The body of `GET /account/limits`."""
    name = tier or UNLIMITED
    rates = TIERS[name]
    grant = {"exchange_instance": "event_contract", "level": name, "source": "manual"}
    return {
        "usage_tier": name,
        "read": {"refill_rate": rates.read, "bucket_capacity": rates.read * rates.read_seconds},
        "write": {"refill_rate": rates.write, "bucket_capacity": rates.write * rates.write_seconds},
        "grants": [] if name == "basic" else [grant],
    }


def billed_shards(shard: Any, *, is_routed: bool) -> tuple[int, ...]:
    """Whose write buckets a single order write is charged to; routing by ticker bills every shard's."""
    if shard is None or shard == AUTO:
        return SHARDS if is_routed else (0,)
    return (shard,) if shard in SHARDS else (0,)


@dataclass(slots=True)
class Bucket:
    """A token bucket in thousandths of a token, full at the start."""

    refill_per_s: int
    capacity: int
    _held_e3: int = 0
    _at_ms: int = -1

    def has(self, tokens: int, now_ms: int) -> bool:
        """Whether so many tokens are there."""
        if self._at_ms < 0:
            self._held_e3 = self.capacity * 1000
        elif now_ms > self._at_ms:
            self._held_e3 = min(self.capacity * 1000, self._held_e3 + (now_ms - self._at_ms) * self.refill_per_s)
        self._at_ms = max(self._at_ms, now_ms)
        return self._held_e3 >= tokens * 1000

    def acquire(self, tokens: int) -> None:
        """Take tokens that `has` has found."""
        self._held_e3 -= tokens * 1000


@dataclass(slots=True)
class KeyBuckets:
    """The buckets of one API key. A refused request takes nothing: there is no penalty."""

    tier: Tier
    read: Bucket = field(init=False)
    write: dict[int, Bucket] = field(init=False)

    def __post_init__(self) -> None:
        self.read = Bucket(self.tier.read, self.tier.read * self.tier.read_seconds)
        self.write = {shard: self._write_bucket() for shard in SHARDS}

    def acquire_read(self, tokens: int, now_ms: int) -> bool:
        """Pay for a read; False when it must wait."""
        if not self.read.has(tokens, now_ms):
            return False
        self.read.acquire(tokens)
        return True

    def acquire_write(self, tokens: int, shards: Sequence[int], now_ms: int) -> bool:
        """Pay for a write on each of these shards' buckets, or on none."""
        buckets = [self.write.setdefault(shard, self._write_bucket()) for shard in shards]
        if not all(bucket.has(tokens, now_ms) for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.acquire(tokens)
        return True

    def _write_bucket(self) -> Bucket:
        return Bucket(self.tier.write, self.tier.write * self.tier.write_seconds)


class RateLimits:
    """The buckets of all callers. They are full anew when a key's tier changes.

    Args:
        unsigned_reads_per_s: Tokens per second that all unsigned callers share, None for no limit.
    """

    def __init__(self, unsigned_reads_per_s: int | None) -> None:
        rate = unsigned_reads_per_s
        self._unsigned = None if rate is None else Bucket(rate, rate * 3)
        self._by_key: dict[str, KeyBuckets] = {}

    def acquire_unsigned(self, now_ms: int) -> bool:
        """Pay for a read without a key; False when it must wait."""
        if self._unsigned is None:
            return True
        if not self._unsigned.has(1, now_ms):
            return False
        self._unsigned.acquire(1)
        return True

    def buckets(self, key_id: str, tier: str) -> KeyBuckets:
        """The buckets of a key in a tier (a name of `TIERS`)."""
        buckets = self._by_key.get(key_id)
        if buckets is None or buckets.tier != TIERS[tier]:
            buckets = self._by_key[key_id] = KeyBuckets(TIERS[tier])
        return buckets
