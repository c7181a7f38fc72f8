"""Polymarket's request budgets, kept inside the venue's. Over-limit requests are queued there, which would age orders.

Two kinds. Windows at the edge, per ten seconds and address (rate limit page, mid 2026): a token bucket that starts
with a fifth of the window and refills so that no ten seconds hold more than nine tenths of it. Buckets per signing key
(announced 2026-07-24): four fifths of what the Standard tier has, for orders and for cancels. POST and DELETE /orders
cost their number; cancel-all costs one and its orders, of which one is known beforehand.
"""

from __future__ import annotations

from streams.venues.buckets import TokenBucket

_WINDOW_S = 10
_SERVICES = {"clob": 9000, "gamma": 4000, "data": 1000, "relayer": 4, "site": 100}
_WINDOWS = {
    ("GET", "/book"): 1500,
    ("GET", "/price"): 1500,
    ("GET", "/midpoint"): 1500,
    ("POST", "/books"): 500,
    ("POST", "/prices"): 500,
    ("POST", "/midpoints"): 500,
    ("GET", "/prices-history"): 1000,
    ("GET", "/tick-size"): 200,
    ("GET", "/balance-allowance"): 200,
    ("GET", "/balance-allowance/update"): 50,
    ("GET", "/data/orders"): 500,
    ("GET", "/data/trades"): 500,
    ("POST", "/auth/api-key"): 100,
    ("GET", "/auth/derive-api-key"): 100,
    ("GET", "/auth/api-keys"): 100,
    ("POST", "/orders"): 2000,
    ("DELETE", "/orders"): 2000,
    ("DELETE", "/cancel-all"): 250,
    ("DELETE", "/cancel-market-orders"): 1500,
    ("GET", "/events/keyset"): 500,
    ("GET", "/markets/keyset"): 300,
    ("GET", "/public-search"): 350,
    ("GET", "/tags"): 200,
    ("GET", "/v2/trades"): 200,
    ("GET", "/v2/positions"): 150,
}
_SIGNER = {"orders": (32.0, 48.0), "cancels": (64.0, 96.0)}
"""Rate a second and burst, of the Standard tier's 40 and 60, 80 and 120."""


def signer_budget(method: str, path: str) -> str | None:
    """Return which of the signing key's budgets a request counts against: `orders`, `cancels` or none."""
    if method == "POST" and path in ("/order", "/orders"):
        return "orders"
    if method == "DELETE" and not path.startswith("/auth"):
        return "cancels"
    return None


class PolymarketLimits:
    """All budgets of one process; each request waits for its service's, its endpoint's and its signer's."""

    def __init__(self, *, is_limited: bool = True) -> None:
        self._is_limited = is_limited
        windows = {f"{method} {path}": count for (method, path), count in _WINDOWS.items()} | _SERVICES
        self._buckets = {
            name: TokenBucket(0.7 * count / _WINDOW_S, max(1.0, 0.2 * count)) for name, count in windows.items()
        }
        self._buckets |= {name: TokenBucket(rate, burst) for name, (rate, burst) in _SIGNER.items()}

    @classmethod
    def unlimited(cls) -> PolymarketLimits:
        """Budgets that never make anyone wait: the sandbox has no neighbours to protect."""
        return cls(is_limited=False)

    async def take(self, service: str, method: str, path: str, cost: int = 1) -> None:
        """Wait until a request may be sent; `cost` is what it counts against the signer's budget."""
        if not self._is_limited:
            return
        signer = signer_budget(method, path)
        if signer is not None:
            await self._buckets[signer].take(cost)
        for name in (f"{method} {path}", service):
            if name in self._buckets:
                await self._buckets[name].take(1)

    def refused(self, service: str, method: str, path: str, retry_after_s: float) -> None:
        """The venue answered 429: start from empty budgets, the narrowest that are known for the request."""
        signer = signer_budget(method, path)
        endpoint = f"{method} {path}"
        for name in {signer, endpoint} & self._buckets.keys() or {service}:
            self._buckets[str(name)].drain()
