"""Polymarket's request budgets, kept inside the venue's. Over-limit requests are queued there, which would age orders.

Two kinds. Windows at the edge, per address (rate limit page, mid 2026), of ten seconds and for what trades of ten
minutes too: a token bucket that starts with a fifth of the window and refills so that no window's time holds more than
nine tenths of it. Gamma's windows of markets and events hold for single ones as well. Buckets per signing key
(announced 2026-07-24): four fifths of what the Standard tier has, for orders and for cancels. POST and DELETE /orders
cost their number; cancel-all costs one and its orders, of which one is known beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from streams.venues.common.token_buckets import Ledger, MemoryLedger, TokenBucket, acquire_together, calls_left

_WINDOW_S = 10
_SERVICES = {"clob": 9000, "gamma": 4000, "data": 1000, "relayer": 100, "site": 100}
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
    ("POST", "/order"): 5000,
    ("DELETE", "/order"): 5000,
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
_SUSTAINED_S = 600
_SUSTAINED = {
    ("POST", "/order"): 120_000,
    ("DELETE", "/order"): 120_000,
    ("POST", "/orders"): 21_000,
    ("DELETE", "/orders"): 15_000,
    ("DELETE", "/cancel-all"): 6_000,
    ("DELETE", "/cancel-market-orders"): 21_000,
}
_SUBMISSIONS, _MINUTE_S = 25, 60
"""What the relayer takes a minute."""
_GAMMA_LISTS = ("/markets", "/events")
_SIGNERS = {"orders": (32.0, 48.0), "cancels": (64.0, 96.0)}
"""Rate a second and burst, of the Standard tier's 40 and 60, 80 and 120."""


def signer_budget(service: str, method: str, path: str) -> str | None:
    """Return which of the signing key's budgets a request counts against: `orders`, `cancels` or none."""
    if service == "clob" and method == "POST" and path in ("/order", "/orders"):
        return "orders"
    if service == "clob" and method == "DELETE" and not path.startswith("/auth"):
        return "cancels"
    return None


class PolymarketLimits:
    """All budgets of one address and one signing key; each request waits for its service's, endpoint's and signer's.

    Args:
        address_ledger: Where the windows are counted; a file shares them with other processes. Default: here alone.
        signer_ledger: Where what the signing key writes is counted.
        monotonic: Seconds of a clock all users of the ledgers share.
    """

    def __init__(
        self,
        *,
        address_ledger: Ledger | None = None,
        signer_ledger: Ledger | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        windows = {f"{method} {path}": count for (method, path), count in _WINDOWS.items()} | _SERVICES
        address, signer = address_ledger or MemoryLedger(), signer_ledger or MemoryLedger()

        def window(name: str, count: int, seconds: int) -> TokenBucket:
            return TokenBucket(0.7 * count / seconds, 0.2 * count, monotonic, ledger=address, name=name)

        self._windows = {name: window(name, count, _WINDOW_S) for name, count in windows.items()}
        self._windows |= {
            f"{method} {path} sustained": window(f"{method} {path} sustained", count, _SUSTAINED_S)
            for (method, path), count in _SUSTAINED.items()
        }
        self._windows["POST /submit"] = window("POST /submit", _SUBMISSIONS, _MINUTE_S)
        self._signers = {
            name: TokenBucket(rate, burst, monotonic, ledger=signer, name=name)
            for name, (rate, burst) in _SIGNERS.items()
        }

    async def acquire(self, service: str, method: str, path: str, cost: int = 1, deadline: float | None = None) -> None:
        """Wait until a request may be sent.

        Args:
            service: Whose request it is: clob, gamma, data, relayer or site.
            method: HTTP method.
            path: Below the service's base, as the venue's page of limits writes it.
            cost: What it counts against the signer's budget.
            deadline: When it is of no use any more (monotonic seconds); None waits for ever.

        Raises:
            TooLate: If its turn would come after the deadline.
        """
        signer = signer_budget(service, method, path)
        if signer is not None:
            await self._signers[signer].acquire(cost, deadline)
        await acquire_together([(bucket, 1.0) for bucket in self._windows_of(service, method, path)], deadline)

    def left(self, service: str, method: str, path: str) -> int:
        """Return how many such requests of cost 1 could be made now without a wait.

        Raises:
            TransientError: If what is counted cannot be read.
        """
        signer = signer_budget(service, method, path)
        signed = [] if signer is None else [(self._signers[signer], 1.0)]
        windows = [(bucket, 1.0) for bucket in self._windows_of(service, method, path)]
        return min(calls_left(signed), calls_left(windows))

    def refused(self, service: str, method: str, path: str) -> None:
        """The venue responded 429: start again from the empty bucket that is the likeliest to have been meant."""
        signer = signer_budget(service, method, path)
        bucket = self._windows_of(service, method, path)[0] if signer is None else self._signers[signer]
        bucket.drain()

    def _windows_of(self, service: str, method: str, path: str) -> list[TokenBucket]:
        """Return the endpoint's windows, where it has any, and the service's."""
        endpoint = f"{method} {path}"
        if service == "gamma":
            endpoint = next((f"GET {list_}/keyset" for list_ in _GAMMA_LISTS if path.startswith(list_)), endpoint)
        names = (endpoint, f"{endpoint} sustained", service)
        return [self._windows[name] for name in names if name in self._windows]
