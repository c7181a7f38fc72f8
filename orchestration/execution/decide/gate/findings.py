"""What one check of the gate found, and how readings are compared with limits. PURE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from orchestration.execution.decide.gate.facts import GateFacts
from streams.market.trading import RefusalReason
from streams.market.units import cash_decimal

Verdict = Literal["pass", "refuse", "not_applicable"]
Figure = int | Decimal | str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: its reading beside its limit, as they are stored; `reason` and `detail` of a refusal."""

    verdict: Verdict
    reading: str = ""
    limit: str = ""
    reason: RefusalReason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the gate.

    Attributes:
        name: As it is stored and shown.
        reads: What it compares, in words, for the table in the docs.
        limit: The name of the limit or setting it compares with; empty where it needs none.
        unit: Of reading and limit.
        judge: Returns its finding. What it raises refuses.
        needs_hedge: It can only be made when sizes are known.
    """

    name: str
    reads: str
    limit: str
    unit: str
    judge: Callable[[GateFacts], Finding]
    needs_hedge: bool = False


MOMENT = timedelta(seconds=2)
"""So far the clocks of two writers may be apart."""
_MS = timedelta(milliseconds=1)
NOT_APPLICABLE = Finding("not_applicable")


def state(found: Figure, *, is_good: bool | None, reason: RefusalReason, detail: str = "") -> Finding:
    """Return a finding about something that is so or not; None is not known, which refuses."""
    if is_good:
        return Finding("pass", _text(found))
    return Finding("refuse", _text(found), "", reason, detail or ("it is not known" if is_good is None else ""))


def at_most(reading: Figure, limit: Figure, reason: RefusalReason, detail: str = "") -> Finding:
    """Return whether a number is at most its limit; one that is missing or not finite refuses."""
    if not _is_number(reading) or not _is_number(limit):
        return Finding("refuse", _text(reading), _text(limit), reason, detail or "it is not known")
    if Decimal(reading) <= Decimal(limit):  # type: ignore[arg-type]
        return Finding("pass", _text(reading), _text(limit))
    return Finding("refuse", _text(reading), _text(limit), reason, detail or f"{_text(reading)} of {_text(limit)}")


def at_least(reading: Figure, limit: Figure, reason: RefusalReason, detail: str = "") -> Finding:
    """Return whether a number is at least its limit; one that is missing or not finite refuses."""
    if not _is_number(reading) or not _is_number(limit):
        return Finding("refuse", _text(reading), _text(limit), reason, detail or "it is not known")
    if Decimal(reading) >= Decimal(limit):  # type: ignore[arg-type]
        return Finding("pass", _text(reading), _text(limit))
    return Finding("refuse", _text(reading), _text(limit), reason, detail or f"{_text(reading)} of {_text(limit)}")


def age_s(now: datetime, read_at: datetime) -> Decimal | None:
    """Return the age of a reading in seconds.

    None where it is dated later than now by more than a moment, as after a clock was set back: nobody knows its age.
    """
    age = now - read_at
    return None if age < -MOMENT else Decimal(age // _MS) / 1000


def usd(amount_e6: int | None) -> Decimal | None:
    """Return an amount of 1e-6 dollars, or of contracts, as a decimal."""
    return None if amount_e6 is None else cash_decimal(amount_e6)


def _is_number(figure: Figure) -> bool:
    return isinstance(figure, int) or (isinstance(figure, Decimal) and figure.is_finite())


def _text(figure: Figure) -> str:
    if figure is None:
        return ""
    return f"{figure:f}" if isinstance(figure, Decimal) else str(figure)
