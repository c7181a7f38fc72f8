"""Dates in market texts: what was written, and the last day it includes. Pure."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

DateKind = Literal["deadline", "on", "month", "year"]

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
            "august aug", "september sept sep", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = r"(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\b(?!:|\s?[ap]\.?m)"
_YEAR = r"(?P<year>20\d\d)\b"
_LEAD = (
    r"(?P<lead>(?:before|prior to|by the end of|by end of|by|on or before|through|until|no later than|at the end of"
    r"|end of|ending|on|in|during|following the fed's)\s+(?:the\s+)?)?"
)
_FULL = re.compile(rf"\b{_LEAD}{_MONTH}\s+{_DAY}(?:\s*,)?(?:\s+{_YEAR})?")
_ISO = re.compile(rf"\b{_LEAD}(?P<year>20\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b")
_MONTH_ONLY = re.compile(rf"\b{_LEAD}{_MONTH}(?![a-z])(?:\s+(?P<year>20\d\d)\b)?(?!\s+\d)")
_SEASON = re.compile(r"\b20(?P<first>\d\d)\s?[-–—/]\s?(?:20)?(?P<second>\d\d)\b(?!-)")
_YEAR_ONLY = re.compile(rf"\b{_LEAD}{_YEAR}")
_CUMULATIVE = ("by", "on or before", "through", "until", "no later than")
_LONG_AFTER_MONTHS = 9
_TICKER_DAY = re.compile(r"-(\d\d)(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)(\d\d)")


@dataclass(frozen=True, slots=True)
class DateMention:
    """A date as written: `last_day` is the last day it includes; `span` the part of the text it was read from."""

    kind: DateKind
    last_day: date
    span: tuple[int, int]


def find_dates(text: str, close: date | None) -> list[DateMention]:
    """Return the dates of a folded text in reading order.

    A date without year is of the year of the market's close, or of the year before when that would be long after the
    close: a market for "by December 31" may close in the first hours of January. Without a close it is left out.
    """
    found: list[DateMention] = []
    taken: list[tuple[int, int]] = []
    for pattern, reader in ((_ISO, _read_day), (_FULL, _read_day), (_SEASON, _read_season)):
        for match in pattern.finditer(text):
            _add(found, taken, match, reader(match, close))
    for match in _MONTH_ONLY.finditer(text):
        if match["month"] == "may" and not (match["lead"] or match["year"]):
            continue
        if match["month"] == "march" and "march to" in text:
            continue
        _add(found, taken, match, _read_month(match, close))
    for match in _YEAR_ONLY.finditer(text):
        _add(found, taken, match, _read_year(match))
    return sorted(found, key=lambda mention: mention.span)


def ticker_day(market_id: str) -> date | None:
    """Return the day some Kalshi tickers carry (`-26APR14...`): a hint, used only where the texts state none."""
    match = _TICKER_DAY.search(market_id)
    if match is None:
        return None
    return _day(2000 + int(match[1]), _MONTHS[match[2].lower()], int(match[3]))


def without_spans(text: str, spans: list[tuple[int, int]]) -> str:
    """Return the text with the given parts blanked."""
    for start, end in spans:
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _add(
    found: list[DateMention],
    taken: list[tuple[int, int]],
    match: re.Match[str],
    read: tuple[DateKind, date] | None,
) -> None:
    span = match.span()
    if read is None or any(span[0] < end and start < span[1] for start, end in taken):
        return
    taken.append(span)
    found.append(DateMention(read[0], read[1], span))


def _lead(match: re.Match[str]) -> str:
    return re.sub(r"\s+the$", "", (match["lead"] or "").strip())


def _read_day(match: re.Match[str], close: date | None) -> tuple[DateKind, date] | None:
    month = _MONTHS.get(match["month"]) or (int(match["month"]) if match["month"].isdigit() else 0)
    year = _year(match, month, close)
    if year is None:
        return None
    day = _day(year, month, int(match["day"]))
    if day is None:
        return None
    lead = _lead(match)
    if lead in ("before", "prior to"):
        return "deadline", day - timedelta(days=1)
    return ("deadline" if lead in _CUMULATIVE else "on"), day


def _read_month(match: re.Match[str], close: date | None) -> tuple[DateKind, date] | None:
    month = _MONTHS[match["month"]]
    year = _year(match, month, close)
    if year is None:
        return None
    lead = _lead(match)
    if lead in ("before", "prior to"):
        return "deadline", date(year, month, 1) - timedelta(days=1)
    last = date(year, month, monthrange(year, month)[1])
    if lead in ("by", "through", "by the end of", "by end of", "until"):
        return "deadline", last
    return ("on" if lead == "at the end of" else "month"), last


def _read_season(match: re.Match[str], _: date | None) -> tuple[DateKind, date] | None:
    if (int(match["first"]) + 1) % 100 != int(match["second"]):
        return None
    return "year", date(2000 + int(match["second"]), 12, 31)


def _read_year(match: re.Match[str]) -> tuple[DateKind, date]:
    year = int(match["year"])
    lead = _lead(match)
    if lead in ("before", "prior to"):
        return "deadline", date(year - 1, 12, 31)
    if lead in ("by the end of", "by end of", "by", "through"):
        return "deadline", date(year, 12, 31)
    return "year", date(year, 12, 31)


def _year(match: re.Match[str], month: int, close: date | None) -> int | None:
    if match["year"]:
        return int(match["year"])
    if close is None:
        return None
    return close.year - 1 if month - close.month > _LONG_AFTER_MONTHS else close.year


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
