"""Rate limits: windows per route at the edge, and token buckets per signer for orders and cancels.

Figures are the documented ones of 2026; none apply while the profile names no tier.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.sandbox.http.routes import Rejected
from streams.sandbox.http.server import Response


@dataclass(frozen=True, slots=True)
class Tier:
    """One signer's tier: tokens per second and burst, for orders and for cancels."""

    name: str
    orders_per_s: int
    orders_burst: int
    cancels_per_s: int
    cancels_burst: int


TIERS = {
    tier.name.lower(): tier
    for tier in (
        Tier("Standard", 40, 60, 80, 120),
        # Only the lowest and the highest tier are published; what volume earns them is not.
        Tier("Elite", 600, 900, 1_200, 1_800),
    )
}

_TEN_SECONDS, _MINUTE, _TEN_MINUTES = 10_000, 60_000, 600_000
_QUEUE_MS = 2_000
"""How long the edge holds a request before it refuses it; unconfirmed."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a route may be asked in ten seconds, or in the windows of `slower` (length in ms: requests)."""

    method: str
    path: str
    burst: int
    slower: tuple[tuple[int, int], ...] = ()
    is_exact: bool = True

    def concerns(self, method: str, path: str) -> bool:
        is_here = path == self.path if self.is_exact else path.startswith(self.path)
        return is_here and self.method in ("", method)

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        return (*(((_TEN_SECONDS, self.burst),) if self.burst else ()), *self.slower)


_RULES = (
    _Rule("GET", "/clob/book", 1_500),
    _Rule("GET", "/clob/price", 1_500),
    _Rule("GET", "/clob/midpoint", 1_500),
    _Rule("POST", "/clob/books", 500),
    _Rule("POST", "/clob/prices", 500),
    _Rule("POST", "/clob/midpoints", 500),
    _Rule("GET", "/clob/prices-history", 1_000),
    _Rule("GET", "/clob/tick-size", 200),
    _Rule("GET", "/clob/balance-allowance/update", 50),
    _Rule("GET", "/clob/balance-allowance", 200),
    _Rule("GET", "/clob/data/orders", 500),
    _Rule("GET", "/clob/data/trades", 500),
    _Rule("", "/clob/auth/", 100, is_exact=False),
    _Rule("POST", "/clob/order", 5_000, ((_TEN_MINUTES, 120_000),)),
    _Rule("DELETE", "/clob/order", 5_000, ((_TEN_MINUTES, 120_000),)),
    _Rule("POST", "/clob/orders", 2_000, ((_TEN_MINUTES, 21_000),)),
    _Rule("DELETE", "/clob/orders", 2_000, ((_TEN_MINUTES, 15_000),)),
    _Rule("DELETE", "/clob/cancel-all", 250, ((_TEN_MINUTES, 6_000),)),
    _Rule("DELETE", "/clob/cancel-market-orders", 1_500, ((_TEN_MINUTES, 21_000),)),
    _Rule("GET", "/gamma/events", 500, is_exact=False),
    _Rule("GET", "/gamma/markets", 300, is_exact=False),
    _Rule("GET", "/gamma/public-search", 350),
    _Rule("GET", "/gamma/tags", 200, is_exact=False),
    _Rule("GET", "/gamma/comments", 200, is_exact=False),
    _Rule("GET", "/data/v2/trades", 200),
    _Rule("GET", "/data/trades", 200),
    _Rule("GET", "/data/v2/positions", 150),
    _Rule("GET", "/data/positions", 150),
    _Rule("POST", "/relayer/submit", 0, ((_MINUTE, 25),)),
)
"""The first that concerns a route counts, beside the total of its service and that of the venue."""
_SERVICES = (
    _Rule("", "/", 15_000, is_exact=False),
    _Rule("", "/clob/", 9_000, is_exact=False),
    _Rule("", "/gamma/", 4_000, is_exact=False),
    _Rule("", "/data/", 1_000, is_exact=False),
)


@dataclass(slots=True)
class Window:
    """A sliding window.

    Attributes:
        length_ms / limit: At most so many requests in that time.
        passed_ms: When each of them was let through.
    """

    length_ms: int
    limit: int
    passed_ms: deque[int] = field(default_factory=deque)


class EdgeWindows:
    """The windows of all routes; a route shares those of its service and of the venue with others."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, int], Window] = {}

    def windows_of(self, method: str, path: str) -> tuple[Window, ...]:
        """The windows that count the requests of a route; the path with its prefix."""
        rules = [service for service in _SERVICES if service.concerns(method, path)]
        rules += [rule for rule in _RULES if rule.concerns(method, path)][:1]
        return tuple(
            self._windows.setdefault((rule.method, rule.path, length_ms), Window(length_ms, limit))
            for rule in rules
            for length_ms, limit in rule.windows
        )


def queued_ms(windows: Sequence[Window], now_ms: int) -> int | None:
    """Count a request: how long it waits until its windows have room, None when it is refused.

    What is refused is not counted.
    """
    wait = 0
    for window in windows:
        passed = window.passed_ms
        while passed and passed[0] <= now_ms - window.length_ms:
            passed.popleft()
        if len(passed) >= window.limit:
            wait = max(wait, passed[len(passed) - window.limit] + window.length_ms - now_ms)
    if wait > _QUEUE_MS:
        return None
    for window in windows:
        window.passed_ms.append(now_ms + wait)
    return wait


@dataclass(slots=True)
class _Bucket:
    """Tokens in thousandths, so that they refill by whole numbers."""

    per_s: int
    burst: int
    milli: int = 0
    at_ms: int = 0

    def acquire(self, cost: int, now_ms: int) -> bool:
        """Take tokens if there are enough."""
        self.milli = min(self.burst * 1_000, self.milli + (now_ms - self.at_ms) * self.per_s)
        self.at_ms = now_ms
        if self.milli < cost * 1_000:
            return False
        self.milli -= cost * 1_000
        return True

    def full_in_ms(self, tokens: int) -> int:
        """Time until there are that many tokens."""
        missing = min(tokens, self.burst) * 1_000 - self.milli
        return max(0, -(-missing // self.per_s))


@dataclass(slots=True)
class SignerLimits:
    """The buckets of every signer."""

    tier: Tier
    _orders: dict[str, _Bucket] = field(default_factory=dict)
    _cancels: dict[str, _Bucket] = field(default_factory=dict)

    def charge(self, address: str, cost: int, now_ms: int, *, is_cancel: bool) -> dict[str, str]:
        """Take `cost` from a signer; the headers of the response.

        Raises:
            Rejected: With 429, if there are not enough tokens.
        """
        tier = self.tier
        buckets = self._cancels if is_cancel else self._orders
        rate, burst = (tier.cancels_per_s, tier.cancels_burst) if is_cancel else (tier.orders_per_s, tier.orders_burst)
        bucket = buckets.get(address)
        if bucket is None:
            bucket = buckets[address] = _Bucket(rate, burst, burst * 1_000, now_ms)
        # A batch larger than the burst can never be paid in full; it needs a full bucket.
        is_paid = bucket.acquire(min(cost, burst), now_ms)
        reset_ms = now_ms + bucket.full_in_ms(burst)
        headers = {
            "Poly-RateLimit-Remaining": str(bucket.milli // 1_000),
            "Poly-RateLimit-Reset": str(-(-reset_ms // 1_000)),
            "Poly-RateLimit-Tier": tier.name,
        }
        if bucket.milli < burst * 100:
            headers["Poly-RateLimit-Warning"] = "approaching limit"
        if is_paid:
            return headers
        wait_s = -(-bucket.full_in_ms(cost) // 1_000)
        # The text of the body is unconfirmed; clients go by the status.
        late = {"Retry-After": str(max(1, wait_s))}
        raise Rejected(Response(429, {"error": "rate limited"}, headers | late))
