"""Circuit breakers: when what happened lately keeps an account, or all trading, from opening anything. PURE.

A breaker is armed or tripped. Armed it looks at what happened within its window, but not before a person resumed
trading after its last trip: it does not trip again on the same rows. Tripped it stays until a person resumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from streams.market.units import CASH_SCALE

BreakerName = Literal["reject_rate", "venue_errors", "slippage", "gap_rate", "loss"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker with its settings.

    Attributes:
        is_of_account: It puts the account it measures on `reduce`; else all trading.
        is_share: Its reading is the share of what was bad in all; else a sum of dollars.
        what: What it measures, in words.
        of: Of what its samples are.
        window: How far back it looks.
        least: Fewer samples say nothing.
        threshold: It trips above this.
    """

    name: BreakerName
    is_of_account: bool
    is_share: bool
    what: str
    of: Literal["orders", "hedges"]
    window: timedelta
    least: int
    threshold: Decimal


@dataclass(frozen=True, slots=True)
class Sample:
    """Something that happened: `bad` of `base`, both counts or both 1e-6 dollars; `bad` may be negative."""

    at: datetime
    bad: int
    base: int = 1


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Where a breaker is: `resumed_at` is when a person resumed after its last trip; None: it has never tripped."""

    is_tripped: bool = False
    resumed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """A breaker that trips now, on what it measured since `since`."""

    breaker: Breaker
    counted: int
    reading: Decimal
    since: datetime

    @property
    def why(self) -> str:
        """What it tripped on, in one sentence."""
        unit = "" if self.breaker.is_share else " USD"
        reading = f"{self.reading:.4f}{unit} is above {self.breaker.threshold:f}{unit}"
        return f"circuit breaker {self.breaker.name}: {self.breaker.what}: {reading} ({self.counted} {self.breaker.of})"


def counts_from(breaker: Breaker, state: BreakerState, now: datetime) -> datetime:
    """Return from when on samples count: the window, or what came after a person resumed."""
    begins = now - breaker.window
    return begins if state.resumed_at is None else max(begins, state.resumed_at)


def judge_breaker(breaker: Breaker, state: BreakerState, samples: Sequence[Sample], now: datetime) -> Trip | None:
    """Return the trip of a breaker that is armed and measures more than its threshold; None otherwise.

    A sample of the future, as after a clock was set back, counts too.
    """
    if state.is_tripped:
        return None
    since = counts_from(breaker, state, now)
    counted = [sample for sample in samples if sample.at > since]
    base = sum(sample.base for sample in counted)
    if len(counted) < breaker.least or base <= 0:
        return None
    bad = sum(sample.bad for sample in counted)
    reading = Decimal(bad) / (base if breaker.is_share else CASH_SCALE)
    return Trip(breaker, len(counted), reading, since) if reading > breaker.threshold else None
