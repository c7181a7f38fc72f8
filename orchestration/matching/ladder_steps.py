"""What the rules of one step of a strike ladder say: source, date, comparator and unit, read from the rules. Pure.

Two steps belong to one ladder only where all of it was read from both rules and agrees; a title alone proves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from orchestration.matching.clauses import hours_of, sources_of
from orchestration.matching.dates import find_dates, without_spans
from orchestration.matching.normalise import Features, canonical, content_words, fold
from orchestration.matching.numbers import Comparator, Threshold, find_thresholds
from orchestration.matching.vocabulary import STOPWORDS

_LONGEST = 1_500
_CONDITIONS = (
    re.compile(r"^\s*if (?P<condition>.+?),? then (?:the |this )?market (?:will )?resolves? ", re.DOTALL),
    re.compile(r"\bresolves? (?:to )?yes if (?P<condition>.+?)(?=\.\s|\.$|$)", re.DOTALL),
)
_OPEN_ENDED = ("above", "at_least", "below", "at_most")
_CLOCK = re.compile(r"\b\d{1,2}(?::\d\d)?\s?[ap]\.?m\.?(?: e[sd]?t)?\b|\b\d{1,2}:\d\d\b")
_CITED = re.compile(
    r"\b(?:according to|(?:first )?published (?:by|on|in)|reported by|released by|announced by|per|"
    r"resolution source(?: for this market)? (?:is|will be)|source is) (?:the )?"
    r"(?P<source>[a-z][^,.;:()]{1,60}?)"
    r"(?= (?:for|in|at|on|is|are|following|before|after|as|to|then|states)\b|[,.;:()]|$)"
)
_AGENCIES = re.compile(
    r"\b(?:bureau of [a-z]+(?: [a-z]+)?|national weather service|nws|bls|bea|aaa|federal reserve|"
    r"employment situation|box office mojo)\b"
)
_SIGNED = r"(?P<dollar>\$)?(?<![\d.,]){}(?!\d)(?:\s?(?P<sign>%|°f?|bps)|\s(?P<word>[a-z]+))?"
_NO_UNITS = STOPWORDS | {"above", "below", "during", "following", "higher", "lower", "through", "under", "until"}


@dataclass(frozen=True, slots=True)
class Step:
    """What one step's rules say, besides its number.

    Attributes:
        sources: Who states the figure, in the words of the rules.
        dates: (kind, last day) of the dates in the rules.
        hours: Times of day at which it is measured, in minutes.
        comparator: With an inclusive bound where the number allows it.
        unit: A sign or a word at the number; empty where the number is bare: it is then that of the quantity.
        quantity: Words of the condition without numbers and dates.
    """

    sources: frozenset[str]
    dates: tuple[tuple[str, date], ...]
    hours: frozenset[int]
    comparator: Comparator
    unit: str
    quantity: frozenset[str]


def read_step(features: Features, strike: Threshold) -> Step | None:
    """Return what the rules of a market say about its strike; None where one of the four cannot be read.

    Args:
        features: Of the market.
        strike: The number its headline or its strike states, normal.
    """
    rules = canonical(fold(features.listing.rules[:_LONGEST]))
    condition = next((found["condition"] for pattern in _CONDITIONS if (found := pattern.search(rules))), None)
    sources = frozenset(sources_of(features)) | _cited(rules)
    if condition is None or not sources or not features.rule_dates:
        return None
    close = features.listing.close_time.date() if features.listing.close_time else None
    undated = _CLOCK.sub(" ", without_spans(condition, [mention.span for mention in find_dates(condition, close)]))
    numbers, bare = find_thresholds(undated)
    stated = {number.normal() for number in numbers if number.comparator in _OPEN_ENDED}
    if stated != {strike}:
        return None
    return Step(
        sources=sources,
        dates=tuple((mention.kind, mention.last_day) for mention in features.rule_dates),
        hours=frozenset(hours_of(features)),
        comparator=strike.comparator,
        unit=_unit(undated, numbers),
        quantity=content_words(bare),
    )


def _cited(rules: str) -> frozenset[str]:
    cited = {match["source"].strip() for match in _CITED.finditer(rules)}
    return frozenset(cited | {match[0] for match in _AGENCIES.finditer(rules)})


def _unit(text: str, numbers: list[Threshold]) -> str:
    """The sign or the word that stands at the one number with a comparator; empty where it is bare."""
    value = next(number.value for number in numbers if number.comparator in _OPEN_ENDED)
    for match in re.finditer(r"\d[\d,]*(?:\.\d+)?", text):
        digits = match[0].rstrip(",")
        if digits.replace(",", "").rstrip("0").rstrip(".") not in _spellings(value):
            continue
        found = re.compile(_SIGNED.format(re.escape(digits))).search(text, max(match.start() - 1, 0))
        if found is None:
            continue
        word = found["word"] or ""
        return found["dollar"] or found["sign"] or ("" if word in _NO_UNITS else word)
    return ""


def _spellings(value: object) -> frozenset[str]:
    plain = f"{value:f}"
    return frozenset({plain, plain.rstrip("0").rstrip(".") if "." in plain else plain, plain.rstrip("0").rstrip(".")})
