"""Token buckets: how often somebody may ask. Pure; the time is passed in (seconds of a steady clock)."""

from __future__ import annotations

from dataclasses import dataclass, field

_KEYS_MAX = 10_000


@dataclass(slots=True)
class Buckets:
    """One bucket for each who asks.

    Attributes:
        per_s: Requests a second that come back.
        burst: Requests at once.
    """

    per_s: float
    burst: float
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def acquire(self, key: str, now: float) -> float:
        """Take one request of `key`; return 0, or the seconds until there is one again, which was not taken then."""
        left, since = self._left.get(key, (self.burst, now))
        left = min(self.burst, left + max(0.0, now - since) * self.per_s)
        if left < 1:
            self._left[key] = (left, now)
            return (1 - left) / self.per_s
        if key not in self._left and len(self._left) >= _KEYS_MAX:
            self._forget_full(now)
        self._left[key] = (left - 1, now)
        return 0.0

    def _forget_full(self, now: float) -> None:
        self._left = {
            key: (left, since)
            for key, (left, since) in self._left.items()
            if left + (now - since) * self.per_s < self.burst
        }
