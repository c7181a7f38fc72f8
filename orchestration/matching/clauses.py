"""The clauses that decide a settlement, read from two listings and compared one by one. Pure.

Each comparison returns a `Difference` with both sides quoted, or None where the texts agree or are silent.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from orchestration.matching.normalise import Features, fold
from orchestration.matching.numbers import Threshold
from orchestration.matching.verdict import Difference, Relation
from orchestration.matching.vocabulary import SOURCES

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_HALF = re.compile(r"\b50[-/ ]50\b|\bfifty-fifty\b")
_CANCELLED = re.compile(
    r"\bcancel|\bpostpon|\babandon|\bwalkover|\bnot played|\bsuspend|\bnot completed|\bforfeit|\bdelayed"
    r"|\bpublishes no\b|\bnot published\b|\bno (value|data)\b|\bunavailable\b|\bmissing\b"
)
_VOID = re.compile(r"\b50[-/ ]50\b|fair (market )?(price|value)|last (traded|fair) price|\brefund|resolve to \"?other")
_CLOCK = re.compile(r"\b(\d{1,2})(?::(\d\d))?\s?([ap])\.?m\b|\bnoon\b")
_END_OF_DAY = {23 * 60 + 59, 0}
_QUOTE = 160
_COMPLEMENTS = (("above", "at_most"), ("at_most", "above"), ("below", "at_least"), ("at_least", "below"))


def deadline_of(features: Features) -> date | None:
    """The last day of the market's window, from the headline, else from the first sentences of the rules."""
    for mentions in (features.dates, features.rule_dates):
        for kind in ("deadline", "on", "month"):
            days = [mention.last_day for mention in mentions if mention.kind == kind]
            if days:
                return max(days)
    years = [mention.last_day for mention in (*features.dates, *features.rule_dates) if mention.kind == "year"]
    return max(years) if years else None


def compare_deadlines(a: Features, b: Features) -> tuple[Difference | None, Relation | None]:
    """Compare the windows. If something happens within the earlier window, it also happens within the later one."""
    first, second = deadline_of(a), deadline_of(b)
    if first is None or second is None or first == second:
        return None, None
    if a.is_contest and b.is_contest and _is_same_occasion(a, b, first, second):
        return None, None
    difference = Difference("deadline", _quote_date(a, first), _quote_date(b, second), True)
    if any(m.kind == "on" for m in (*a.dates, *b.dates)) or (a.is_contest and b.is_contest):
        return difference, "related"
    return difference, "a_implies_b" if first < second else "b_implies_a"


def compare_thresholds(a: Features, b: Features) -> tuple[Difference | None, Relation | None]:
    """Compare the numbers that the markets ask about."""
    first = tuple(dict.fromkeys(t.normal() for t in a.thresholds))
    second = tuple(dict.fromkeys(t.normal() for t in b.thresholds))
    if first == second or set(first) == set(second):
        return None, None
    difference = Difference("threshold", _quote_numbers(first, a), _quote_numbers(second, b), True)
    if len(first) != 1 or len(second) != 1:
        return difference, "related"
    return difference, relate_thresholds(first[0], second[0])


def relate_thresholds(a: Threshold, b: Threshold) -> Relation:
    """Return how "the number is in A" relates to "the number is in B"."""
    up, down = ("above", "at_least"), ("below", "at_most")
    if a.value == b.value and a.high is None and b.high is None:
        if (a.comparator, b.comparator) in _COMPLEMENTS:
            return "inverted"
        if a.comparator in up and b.comparator in up:
            return "a_implies_b" if a.comparator == "above" else "b_implies_a"
        if a.comparator in down and b.comparator in down:
            return "a_implies_b" if a.comparator == "below" else "b_implies_a"
        if "exactly" in (a.comparator, b.comparator):
            return "related"
        return "mutually_exclusive"
    if a.comparator in up and b.comparator in up:
        return "a_implies_b" if a.value > b.value else "b_implies_a"
    if a.comparator in down and b.comparator in down:
        return "a_implies_b" if a.value < b.value else "b_implies_a"
    if a.comparator == b.comparator == "exactly":
        return "mutually_exclusive"
    if a.comparator == b.comparator == "between" and a.high is not None and b.high is not None:
        return "mutually_exclusive" if a.high < b.value or b.high < a.value else "related"
    return "related"


def compare_stages(a: Features, b: Features) -> Difference | None:
    """Compare which part of the occasion is meant (a round, a set, a half, a primary, a series)."""
    left, right = a.stages, b.stages
    if "primary" in left ^ right and "nominee" in a.words | b.words:
        left, right = left - {"primary"}, right - {"primary"}
    if left == right:
        return None
    return Difference("stage", ", ".join(sorted(left)) or a.headline, ", ".join(sorted(right)) or b.headline, True)


def compare_sources(a: Features, b: Features) -> Difference | None:
    """Compare the named sources whose figures differ; None unless both name some and share none."""
    left, right = sources_of(a), sources_of(b)
    if not left or not right or left & right:
        return None
    return Difference("source", ", ".join(sorted(left)), ", ".join(sorted(right)), True)


def compare_hours(a: Features, b: Features) -> Difference | None:
    """Compare the times of day at which something is measured."""
    left, right = hours_of(a), hours_of(b)
    if not left or not right or left & right:
        return None
    return Difference("time of day", _sentence_with(a, _CLOCK), _sentence_with(b, _CLOCK), True)


def compare_voids(a: Features, b: Features) -> Difference | None:
    """Compare what happens when there is no result; decisive if one splits what the other calls No."""
    left, right = _sentence_with(a, _VOID), _sentence_with(b, _VOID)
    if bool(left) == bool(right):
        return None
    splits = [s for f in (a, b) for s in _sentences(f) if _HALF.search(s) and not _CANCELLED.search(s)]
    return Difference("void", left or "(not stated)", right or "(not stated)", bool(splits))


def _is_same_occasion(a: Features, b: Features, first: date, second: date) -> bool:
    """Whether both ask about one contest, which has a date: a later time limit does not matter, the edition does."""
    kinds_a, kinds_b = {m.kind for m in a.dates}, {m.kind for m in b.dates}
    if ("deadline" in kinds_a and kinds_b & {"deadline", "on"}) or ("deadline" in kinds_b and "on" in kinds_a):
        return False
    on_a = [m.last_day for m in a.dates if m.kind in ("on", "month")]
    on_b = [m.last_day for m in b.dates if m.kind in ("on", "month")]
    if on_a and on_b:
        return any(abs((x - y).days) <= 1 for x in on_a for y in on_b)
    years_a, years_b = a.years, b.years
    if years_a and years_b:
        return bool(years_a & years_b)
    return first.year == second.year or abs(first - second) <= timedelta(days=60)


def _sentences(features: Features) -> list[str]:
    return _SENTENCE.split(fold(features.listing.rules))


def _sentence_with(features: Features, pattern: re.Pattern[str]) -> str:
    return next((sentence[:_QUOTE] for sentence in _sentences(features) if pattern.search(sentence)), "")


def sources_of(features: Features) -> set[str]:
    """Return the named sources whose figures differ for the same question."""
    text = fold(f"{features.listing.title} {features.listing.rules}")
    return {name for name, pattern in SOURCES if pattern.search(text)}


def hours_of(features: Features) -> set[int]:
    """Return the times of day at which something is measured, in minutes since midnight."""
    if features.hour is not None:
        return {features.hour}
    if not features.thresholds:
        return set()
    hours = set()
    for sentence in _sentences(features)[:3]:
        for match in _CLOCK.finditer(sentence):
            hours.add(clock_minutes(match))
    return hours - _END_OF_DAY


def clock_minutes(match: re.Match[str]) -> int:
    """Return the minutes since midnight of a match of `_CLOCK`."""
    if match[1] is None:
        return 720
    return (int(match[1]) % 12 + (12 if match[3] == "p" else 0)) * 60 + int(match[2] or 0)


def _quote_date(features: Features, day: date) -> str:
    for mention in features.dates:
        if mention.last_day == day:
            return features.headline[mention.span[0] : mention.span[1]]
    return f"{day.isoformat()} (from the rules)"


def _quote_numbers(thresholds: tuple[Threshold, ...], features: Features) -> str:
    words = [
        f"{t.comparator.replace('_', ' ')} {t.value:f}" + (f" to {t.high:f}" if t.high else "") for t in thresholds
    ]
    return "; ".join(words) or features.headline[:_QUOTE]
