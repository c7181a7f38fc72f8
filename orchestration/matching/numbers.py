"""Numbers with their comparators in market texts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

Comparator = Literal["above", "at_least", "below", "at_most", "between", "exactly"]

# A number begins where its digits do: in a run of thousands nothing is tried at each of them.
_NUMBER = (
    r"\$?(?<!\d)(?P<{0}>\d+(?:,\d{{3}})*(?:\.\d+)?)\s?"
    r"(?P<{0}_unit>%|°f?|f\b|bps|[kmbt]\b|thousand\b|million\b|billion\b|trillion\b)?"
)
_BETWEEN = re.compile(rf"(?:between\s+)?{_NUMBER.format('low')}\s?(?:-|–|—|to|and)\s?{_NUMBER.format('high')}(?![-\d])")
_AFTER = re.compile(
    rf"{_NUMBER.format('value')}\s*(?P<word>\+|or (?:above|more|higher|over|greater)|or (?:below|less|lower|fewer))"
)
_BEFORE = re.compile(
    r"(?P<word>greater than or equal to|less than or equal to|at least|at or above|at most|at or below|no more than"
    r"|no less than|above|over|more than|greater than|higher than|exceeds?|below|under|less than|lower than"
    r"|fewer than|>=|<=|≥|≤|>|<|o/u|reach|hit)\s*(?:or )?" + _NUMBER.format("value")
)
_PLAIN = re.compile(rf"(?<![\w.-]){_NUMBER.format('value')}(?![\w-])")
_WORDS: dict[str, Comparator] = {
    "+": "at_least", "or above": "at_least", "or more": "at_least", "or higher": "at_least", "or over": "at_least",
    "or greater": "at_least", "or below": "at_most", "or less": "at_most", "or lower": "at_most",
    "or fewer": "at_most", "at least": "at_least", "at or above": "at_least", "no less than": "at_least",
    "greater than or equal to": "at_least", ">=": "at_least", "≥": "at_least", "reach": "at_least",
    "hit": "at_least", "at most": "at_most", "at or below": "at_most", "no more than": "at_most",
    "less than or equal to": "at_most", "<=": "at_most", "≤": "at_most", "above": "above", "over": "above",
    "more than": "above", "greater than": "above", "higher than": "above", "exceed": "above", "exceeds": "above",
    ">": "above", "o/u": "above", "below": "below", "under": "below", "less than": "below", "lower than": "below",
    "fewer than": "below", "<": "below",
}  # fmt: skip
_UNITS = {"k": 3, "thousand": 3, "m": 6, "million": 6, "b": 9, "billion": 9, "t": 12, "trillion": 12}
_DIGITS_MAX = 30
"""A stated strike of more digits before or behind the point is none."""
_STRIKE_TYPES: dict[str, Comparator] = {
    "greater": "above", "greater_or_equal": "at_least", "less": "below", "less_or_equal": "at_most",
    "between": "between",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that a market asks about; `high` is set for ranges only."""

    comparator: Comparator
    value: Decimal
    high: Decimal | None = None

    def normal(self) -> Threshold:
        """Return the same half line with an inclusive bound, for values written as x.99 (above 2299.99 = from 2300)."""
        step = Decimal("0.01")
        if self.comparator == "above" and _is_whole(self.value + step):
            return Threshold("at_least", self.value + step)
        if self.comparator == "below" and _is_whole(self.value - step):
            return Threshold("at_most", self.value - step)
        return self


def find_thresholds(text: str) -> tuple[list[Threshold], str]:
    """Return the numbers of a folded text and the text without them. Dates must have been blanked before."""
    found: list[Threshold] = []
    for pattern in (_BETWEEN, _AFTER, _BEFORE, _PLAIN):
        for match in pattern.finditer(text):
            threshold = _read(match)
            if threshold is not None:
                found.append(threshold)
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return found, text


def strike_threshold(strike: dict[str, str] | None) -> Threshold | None:
    """Return a market's stated strike, None when it states no number."""
    if not strike:
        return None
    comparator = _STRIKE_TYPES.get(strike.get("type", ""))
    low, high = _decimal(strike.get("floor")), _decimal(strike.get("cap"))
    if comparator == "between" and low is not None and high is not None:
        return Threshold("between", low, high)
    value = high if comparator in ("below", "at_most") else low
    if comparator is None or comparator == "between" or value is None:
        return None
    return Threshold(comparator, value)


def _read(match: re.Match[str]) -> Threshold | None:
    groups = match.groupdict()
    if "low" in groups:
        high = _scaled(groups["high"], groups["high_unit"])
        low = _scaled(groups["low"], groups["low_unit"] or groups["high_unit"])
        return Threshold("between", low, high) if low < high else None
    value = _scaled(groups["value"], groups["value_unit"])
    return Threshold(_WORDS.get(groups.get("word") or "", "exactly"), value)


def _scaled(digits: str, unit: str | None) -> Decimal:
    return Decimal(digits.replace(",", "")).scaleb(_UNITS.get(unit or "", 0)).normalize()


def _decimal(text: object) -> Decimal | None:
    if text is None or text == "":
        return None
    try:
        number = Decimal(str(text)).normalize()
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < _DIGITS_MAX else None


def is_multiple(number: Decimal, step: int) -> bool:
    """Return whether a number is a multiple of a step; one of more digits than anybody writes is not."""
    # Not by a remainder alone: that of a number of more digits than the context has cannot be had.
    return number.adjusted() < _DIGITS_MAX // 2 and number % step == 0


def _is_whole(number: Decimal) -> bool:
    # Not by a remainder: a number of more digits than the context has would have none.
    return number == number.to_integral_value()
