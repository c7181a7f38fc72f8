"""Rate limits: windows per route at the edge, and token buckets per signer for orders and cancels.

Figures are the documented ones of 2026; none apply while the profile names no tier.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streams.sandbox.server import Request, Response


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

_WINDOW_MS = 10_000
_QUEUE_MS = 2_000
"""How long the edge holds a request before it refuses it; unconfirmed."""

# (method or "", path, exact, requests per 10 s): the first that fits counts, beside the total of its service.
_ROUTES: tuple[tuple[str, str, bool, int], ...] = (
    ("GET", "/clob/book", True, 1_500),
    ("GET", "/clob/price", True, 1_500),
    ("GET", "/clob/midpoint", True, 1_500),
    ("POST", "/clob/books", True, 500),
    ("POST", "/clob/prices", True, 500),
    ("POST", "/clob/midpoints", True, 500),
    ("GET", "/clob/prices-history", True, 1_000),
    ("GET", "/clob/tick-size", True, 200),
    ("GET", "/clob/balance-allowance/update", True, 50),
    ("GET", "/clob/balance-allowance", True, 200),
    ("GET", "/clob/data/orders", True, 500),
    ("GET", "/clob/data/trades", True, 500),
    ("", "/clob/auth/", False, 100),
    ("POST", "/clob/order", True, 5_000),
    ("DELETE", "/clob/order", True, 5_000),
    ("POST", "/clob/orders", True, 2_000),
    ("DELETE", "/clob/orders", True, 2_000),
    ("DELETE", "/clob/cancel-all", True, 250),
    ("DELETE", "/clob/cancel-market-orders", True, 1_500),
    ("GET", "/gamma/events", False, 500),
    ("GET", "/gamma/markets", False, 300),
    ("GET", "/gamma/public-search", True, 350),
    ("GET", "/gamma/tags", False, 200),
    ("GET", "/gamma/comments", False, 200),
    ("GET", "/data/v2/trades", True, 200),
    ("GET", "/data/trades", True, 200),
    ("GET", "/data/v2/positions", True, 150),
    ("GET", "/data/positions", True, 150),
    ("POST", "/relayer/submit", True, 4),
)
_SERVICES = {"/clob/": 9_000, "/gamma/": 4_000, "/data/": 1_000}


class EdgeWindows:
    """Sliding windows of ten seconds; what is over a limit waits until the window has room, then is refused."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[int]] = {}

    def wait_ms(self, request: Request, now_ms: int) -> int | None:
        """Count a request; how long it is queued, None when it is refused."""
        wait = 0
        for name, limit in _windows(request):
            seen = self._seen.setdefault(name, deque())
            while seen and seen[0] <= now_ms - _WINDOW_MS:
                seen.popleft()
            if len(seen) >= limit:
                wait = max(wait, seen[len(seen) - limit] + _WINDOW_MS - now_ms)
                if wait > _QUEUE_MS:
                    return None
            seen.append(now_ms + wait)
        return wait


def _windows(request: Request) -> list[tuple[str, int]]:
    found = [(name, limit) for name, limit in _SERVICES.items() if request.path.startswith(name)]
    for method, path, is_exact, limit in _ROUTES:
        fits = request.path == path if is_exact else request.path.startswith(path)
        if fits and method in ("", request.method):
            found.append((f"{method} {path}", limit))
            break
    return found


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
