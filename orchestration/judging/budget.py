"""The judge's daily budget in dollars: reserved before a question is sent, then replaced by its real cost."""

from __future__ import annotations

import threading
from decimal import Decimal


class Budget:
    """What may still be spent. Thread-safe; reservations count as spent until they are settled.

    Args:
        limit_usd: Most dollars of the UTC day.
        spent_usd: What the day has cost so far.
    """

    def __init__(self, limit_usd: Decimal, spent_usd: Decimal = Decimal(0)) -> None:
        self._limit = limit_usd
        self._spent = spent_usd
        self._lock = threading.Lock()

    @property
    def spent_usd(self) -> Decimal:
        """Dollars spent or reserved today."""
        return self._spent

    def reserve(self, amount_usd: Decimal) -> bool:
        """Reserve an amount; return False and reserve nothing if it would exceed the day's limit."""
        with self._lock:
            if self._spent + amount_usd > self._limit:
                return False
            self._spent += amount_usd
            return True

    def settle(self, reserved_usd: Decimal, actual_usd: Decimal) -> None:
        """Replace a reservation by what the question cost (zero if it failed before an answer)."""
        with self._lock:
            self._spent += actual_usd - reserved_usd
