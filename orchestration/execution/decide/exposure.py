"""Exposure times seconds: a sum that a restart goes on with, and when its budgets are used up. PURE.

What is exposed stands in the execution's row with the moment since when, written before an order leaves and whenever a
reading changes it. Whoever takes the execution over counts from that moment on, the time in which nobody worked on it
included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from orchestration.execution.decide.hedge_plan import Plan
from streams.market.documents import JsonDocument
from streams.market.trading import BootTime

_MS = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment on the clock that nobody sets, and on the wall's, which is all that another boot can compare with."""

    boot: BootTime
    at: datetime

    def since_ms(self, earlier: Moment) -> int:
        """Return the milliseconds since an earlier moment, at least 0."""
        passed = self.boot.since_ms(earlier.boot)
        return max(0, int((self.at - earlier.at).total_seconds() * _MS)) if passed is None else passed


@dataclass(frozen=True, slots=True)
class ExposureSum:
    """What is exposed now (1e-6 dollar), since when, and the sum until then (1e-6 dollar seconds)."""

    level_e6: int = 0
    usd_seconds_e6: int = 0
    peak_e6: int = 0
    since: Moment | None = None

    def until(self, now: Moment) -> int:
        """Return the sum until a moment (1e-6 dollar seconds)."""
        passed_ms = 0 if self.since is None else now.since_ms(self.since)
        return self.usd_seconds_e6 + self.level_e6 * passed_ms // _MS

    def moved(self, level_e6: int, now: Moment) -> ExposureSum:
        """Return the sum as it goes on from a moment with another exposure."""
        return ExposureSum(level_e6, self.until(now), max(self.peak_e6, level_e6), now)

    def seconds_until(self, usd_seconds_e6: int, now: Moment) -> float | None:
        """Return in how many seconds the sum reaches a figure if nothing changes; None: never."""
        left = usd_seconds_e6 - self.until(now)
        if left <= 0:
            return 0.0
        return left / self.level_e6 if self.level_e6 > 0 else None

    def to_json(self) -> JsonDocument:
        """Return the keys of an execution's detail that keep it."""
        kept: JsonDocument = {"exposure_e6_s": self.usd_seconds_e6, "peak_exposure_e6": self.peak_e6}
        if self.since is None:
            return kept
        boot, ms, at = self.since.boot.boot, self.since.boot.ms, self.since.at.isoformat()
        return {**kept, "exposed": {"level_e6": self.level_e6, "boot": boot, "boot_ms": ms, "at": at}}


def exposure_sum(stored: JsonDocument) -> ExposureSum:
    """Return the sum that an execution's detail keeps."""
    found = ExposureSum(0, int(stored.get("exposure_e6_s", 0)), int(stored.get("peak_exposure_e6", 0)))
    exposed = stored.get("exposed")
    if exposed is None:
        return found
    boot = BootTime(str(exposed["boot"]), int(exposed["boot_ms"]))
    since = Moment(boot, datetime.fromisoformat(exposed["at"]))
    return replace(found, level_e6=int(exposed["level_e6"]), since=since)


def alarm_e6_s(plan: Plan) -> int:
    """Return the exposure times seconds at which a person is told; plans of before there was one have the budget's."""
    return plan.exposure_alarm_e6_s or plan.exposure_budget_e6_s
