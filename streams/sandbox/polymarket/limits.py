"""Rate limits: windows per route at the edge, and token buckets per signer for orders and cancels.

Figures are the documented ones of 2026; none apply while the profile names no tier.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streams.sandbox.http.server import Request, Response


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
class _Route:
    """What a route may be asked in ten seconds, or in the windows of `slower` (length in ms: requests)."""

    method: str
    path: str
    burst: int
    slower: tuple[tuple[int, int], ...] = ()
    is_exact: bool = True

    def fits(self, request: Request) -> bool:
        is_here = request.path == self.path if self.is_exact else request.path.startswith(self.path)
        return is_here and self.method in ("", request.method)

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        return (*(((_TEN_SECONDS, self.burst),) if self.burst else ()), *self.slower)


_ROUTES = (
    _Route("GET", "/clob/book", 1_500),
    _Route("GET", "/clob/price", 1_500),
    _Route("GET", "/clob/midpoint", 1_500),
    _Route("POST", "/clob/books", 500),
    _Route("POST", "/clob/prices", 500),
    _Route("POST", "/clob/midpoints", 500),
    _Route("GET", "/clob/prices-history", 1_000),
    _Route("GET", "/clob/tick-size", 200),
    _Route("GET", "/clob/balance-allowance/update", 50),
    _Route("GET", "/clob/balance-allowance", 200),
    _Route("GET", "/clob/data/orders", 500),
    _Route("GET", "/clob/data/trades", 500),
    _Route("", "/clob/auth/", 100, is_exact=False),
    _Route("POST", "/clob/order", 5_000, ((_TEN_MINUTES, 120_000),)),
    _Route("DELETE", "/clob/order", 5_000, ((_TEN_MINUTES, 120_000),)),
    _Route("POST", "/clob/orders", 2_000, ((_TEN_MINUTES, 21_000),)),
    _Route("DELETE", "/clob/orders", 2_000, ((_TEN_MINUTES, 15_000),)),
    _Route("DELETE", "/clob/cancel-all", 250, ((_TEN_MINUTES, 6_000),)),
    _Route("DELETE", "/clob/cancel-market-orders", 1_500, ((_TEN_MINUTES, 21_000),)),
    _Route("GET", "/gamma/events", 500, is_exact=False),
    _Route("GET", "/gamma/markets", 300, is_exact=False),
    _Route("GET", "/gamma/public-search", 350),
    _Route("GET", "/gamma/tags", 200, is_exact=False),
    _Route("GET", "/gamma/comments", 200, is_exact=False),
    _Route("GET", "/data/v2/trades", 200),
    _Route("GET", "/data/trades", 200),
    _Route("GET", "/data/v2/positions", 150),
    _Route("GET", "/data/positions", 150),
    _Route("POST", "/relayer/submit", 0, ((_MINUTE, 25),)),
)
"""The first that fits counts, beside the total of its service and that of the venue."""
_SERVICES = (
    _Route("", "/", 15_000, is_exact=False),
    _Route("", "/clob/", 9_000, is_exact=False),
    _Route("", "/gamma/", 4_000, is_exact=False),
    _Route("", "/data/", 1_000, is_exact=False),
)


class EdgeWindows:
    """Sliding windows; what is over a limit waits until its window has room, then is refused."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, int], deque[int]] = {}

    def wait_ms(self, request: Request, now_ms: int) -> int | None:
        """Count a request; how long it is queued, None when it is refused. What is refused is not counted."""
        wait = 0
        counted: list[deque[int]] = []
        for route in _concerned(request):
            for length, limit in route.windows:
                seen = self._seen.setdefault((route.method, route.path, length), deque())
                while seen and seen[0] <= now_ms - length:
                    seen.popleft()
                if len(seen) >= limit:
                    wait = max(wait, seen[len(seen) - limit] + length - now_ms)
                counted.append(seen)
        if wait > _QUEUE_MS:
            return None
        for seen in counted:
            seen.append(now_ms + wait)
        return wait


def _concerned(request: Request) -> list[_Route]:
    services = [service for service in _SERVICES if service.fits(request)]
    return [*services, *[route for route in _ROUTES if route.fits(request)][:1]]


@dataclass(slots=True)
class _Bucket:
    """Tokens in thousandths, so that they refill by whole numbers."""

    per_s: int
    burst: int
    milli: int = 0
    at_ms: int = 0

    def take(self, cost: int, now_ms: int) -> bool:
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

    def charge(
        self, address: str, cost: int, now_ms: int, *, is_cancel: bool
    ) -> tuple[dict[str, str], Response | None]:
        """Take `cost` from a signer; the headers of the answer, and the refusal when the bucket is empty."""
        tier = self.tier
        buckets = self._cancels if is_cancel else self._orders
        rate, burst = (tier.cancels_per_s, tier.cancels_burst) if is_cancel else (tier.orders_per_s, tier.orders_burst)
        bucket = buckets.get(address)
        if bucket is None:
            bucket = buckets[address] = _Bucket(rate, burst, burst * 1_000, now_ms)
        # A batch larger than the burst can never be paid in full; it needs a full bucket.
        is_paid = bucket.take(min(cost, burst), now_ms)
        reset_ms = now_ms + bucket.full_in_ms(burst)
        headers = {
            "Poly-RateLimit-Remaining": str(bucket.milli // 1_000),
            "Poly-RateLimit-Reset": str(-(-reset_ms // 1_000)),
            "Poly-RateLimit-Tier": tier.name,
        }
        if bucket.milli < burst * 100:
            headers["Poly-RateLimit-Warning"] = "approaching limit"
        if is_paid:
            return headers, None
        wait_s = -(-bucket.full_in_ms(cost) // 1_000)
        # The text of the body is unconfirmed; clients go by the status.
        return headers, Response(429, {"error": "rate limited"}, headers | {"Retry-After": str(max(1, wait_s))})
