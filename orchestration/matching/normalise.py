"""From a listing to features: folded headline, content words, dates, numbers, stages, teams, sides. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import date

from orchestration.matching.dates import DateMention, find_dates, ticker_day, without_spans
from orchestration.matching.numbers import Threshold, find_thresholds, is_multiple, strike_threshold
from orchestration.matching.vocabulary import CONTESTS, NEGATIONS, PHRASES, STAGES, STOPWORDS
from streams.market.listing import Listing

_WORD = re.compile(r"[a-z0-9][a-z0-9.'-]*")
_CONDITION = re.compile(r"^\s*if (?P<condition>.+?),? then (?:the |this )?market (?:will )?resolves? ", re.DOTALL)
_OPEN_QUESTION = re.compile(r"^(who|which|what|how many|how much|how high|when|where)\b")
_VERSUS = re.compile(r"^(?:.{0,40}?: )?(?P<a>[^:?]+?) (?:vs?\.?|at|@) (?P<b>[^:?(]+?)(?= *(?:[:?(]|20\d\d|$| - | — ))")
_DISTRICT = re.compile(r"^([a-z]{2})-0?(\d{1,2})$")
_CLOCK_START = re.compile(r"\s*(\d{1,2}(:\d\d)?\s?[ap]\.?m|\d{1,2}:\d\d|noon|midnight)")
_SIGNS = str.maketrans({"’": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "−": "-", "≥": ">=", "≤": "<="})
_ORNAMENTS = "°®©´"
"""Signs whose loss changes nothing."""
_LONGEST = 2_000
"""A title, bracket or name of more letters than this is none; the longest known have some hundreds."""
_TIME_OF_DAY = re.compile(r"\b(\d{1,2})(?::(\d\d))?\s?([ap])\.?m\b|\b(noon|midnight)\b")


@dataclass(frozen=True, slots=True)
class Features:
    """What matching knows of one listing.

    Attributes:
        headline: The folded proposition: title, bracket or team, condition where the title is an open question.
        words: Content words of the headline, without dates and numbers.
        names: The words of the headline that were written with a capital.
        support: Content words of all texts, for words the other side has and this headline lacks.
        dates: Dates of the headline; `rule_dates` those of the condition or the rules' first sentences.
        teams: The two sides of a game, in the title's order, else None.
        yes_side: The folded words YES stands for, where stated.
        hour: Time of day in minutes, where the headline states one.
        is_legible: What YES claims can be read whole. False where it says nothing, or something in letters or
            symbols that folding drops: two texts without them would be alike.
    """

    listing: Listing
    headline: str
    words: frozenset[str]
    names: frozenset[str]
    support: frozenset[str]
    dates: tuple[DateMention, ...]
    rule_dates: tuple[DateMention, ...]
    thresholds: tuple[Threshold, ...]
    stages: frozenset[str]
    teams: tuple[str, str] | None
    yes_side: str
    is_negated: bool
    is_contest: bool
    hour: int | None
    ticker_day: date | None
    is_legible: bool

    @property
    def years(self) -> frozenset[int]:
        """The years the headline speaks of."""
        return frozenset(mention.last_day.year for mention in self.dates)

    @property
    def dates_key(self) -> tuple[tuple[str, date], ...]:
        """The dates of the headline without their places in it."""
        return tuple((mention.kind, mention.last_day) for mention in self.dates)


def fold(text: str) -> str:
    """Return the text in lower case ASCII with plain quotes and dashes and single spaces."""
    plain = _decomposed(text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"\s+", " ", plain.replace('"', " ")).strip()


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFKD", text.translate(_SIGNS)).replace("\u2044", "/")


def canonical(text: str) -> str:
    """Return a folded text with phrases that mean the same replaced by one word."""
    for pattern, replacement in PHRASES:
        text = pattern.sub(replacement, text)
    return text


def content_words(text: str) -> frozenset[str]:
    """Return the meaningful words of a canonical text, lightly stemmed."""
    return frozenset(_stems(text) - STOPWORDS)


def proposition(listing: Listing) -> str:
    """Return what YES claims, in the words of the listing, as far as the title alone says it."""
    title = listing.title.strip()
    condition = _CONDITION.match(fold(listing.rules[:_LONGEST]))
    addition = listing.yes_means.strip()
    if addition.lower() in ("yes", "no") or fold(addition) in fold(title):
        addition = ""
    if _OPEN_QUESTION.match(fold(title)) and condition and not addition:
        return condition["condition"]
    return f"{title} {addition}".strip()


def extract(listing: Listing) -> Features:
    """Return the features of one listing; no text makes it fail.

    A listing with a text that is too long to be read has no words: nothing is alike to it.
    """
    if any(len(text) > _LONGEST for text in _headings(listing)):
        unread = replace(listing, title="", subtitle="", event_title="", yes_means="", outcomes=("", ""), strike=None)
        return replace(extract(replace(unread, rules="")), listing=listing)
    spoken = proposition(listing)
    close = listing.close_time.date() if listing.close_time else None
    headline = canonical(fold(spoken))
    dates = find_dates(headline, close)
    undated = without_spans(headline, [mention.span for mention in dates])
    clock = _TIME_OF_DAY.search(undated)
    thresholds, bare = find_thresholds(_TIME_OF_DAY.sub(" ", undated))
    stated = strike_threshold(listing.strike)
    named, _ = find_thresholds(fold(listing.yes_means))
    if len(named) == 1 and named[0].comparator != "exactly":
        thresholds = named
    elif stated is not None:
        thresholds = [stated, *(t for t in thresholds if t.value not in (stated.value, stated.high))]
    compared = {t.value for t in thresholds if t.comparator != "exactly"}
    thresholds = [t for t in thresholds if t.comparator != "exactly" or t.value not in compared]
    if "bps" in headline:
        thresholds = [_next_rate_step(t) for t in thresholds]
    stages, bare = _stages(bare, headline)
    rules = canonical(fold(listing.rules[:1500]))
    condition = _CONDITION.match(rules)
    rule_head = condition["condition"] if condition else " ".join(re.split(r"(?<=[.!?]) ", rules)[:2])
    teams = _teams(fold(listing.title)) or _teams(fold(listing.event_title))
    return Features(
        listing=listing,
        headline=headline,
        words=content_words(bare),
        names=_names(spoken),
        support=content_words(f"{rules} {canonical(fold(listing.event_title + ' ' + listing.subtitle))} {headline}"),
        dates=tuple(dates),
        rule_dates=tuple(find_dates(rule_head, close)),
        thresholds=tuple(thresholds),
        stages=stages,
        teams=teams,
        yes_side=_yes_side(listing),
        is_negated=bool(NEGATIONS.search(headline)),
        is_contest=bool(CONTESTS.search(headline)),
        hour=_minutes(clock),
        ticker_day=ticker_day(listing.market_id) if listing.venue == "kalshi" else None,
        is_legible=bool(_WORD.search(headline)) and all(map(_survives_folding, (spoken, *_headings(listing)))),
    )


def _survives_folding(text: str) -> bool:
    """Return whether folding keeps all of a text that may mean something: words of Latin letters, numbers, symbols."""
    return text.isascii() or not any(_is_lost(sign) for sign in _decomposed(text))


def _is_lost(sign: str) -> bool:
    if sign.isascii() or sign in _ORNAMENTS:
        return False
    kind = unicodedata.category(sign)[0]
    return kind in "NS" or (kind == "L" and not unicodedata.name(sign, "").startswith("LATIN "))


def _headings(listing: Listing) -> tuple[str, ...]:
    return (listing.title, listing.subtitle, listing.event_title, listing.yes_means, *listing.outcomes)


def _next_rate_step(threshold: Threshold) -> Threshold:
    """Central banks move in steps of 25 basis points: above 25 is from 50 on."""
    if threshold.comparator == "above" and is_multiple(threshold.value, 25):
        return Threshold("at_least", threshold.value + 25)
    return threshold


def _stems(text: str) -> set[str]:
    words = set()
    for raw in _WORD.findall(text):
        district = _DISTRICT.match(raw)
        if district:
            words.add(f"{district[1]}-{int(district[2])}")
            continue
        for part in raw.replace("-", " ").split():
            word = part.strip(".'").removesuffix("'s").replace(".", "").replace("'", "")
            if len(word) > 4 and word.endswith("s") and not word.endswith("ss"):
                word = word[:-1]
            if word:
                words.add(word)
    return words


def _stages(bare: str, headline: str) -> tuple[frozenset[str], str]:
    found = set()
    for name, pattern in STAGES:
        match = pattern.search(headline)
        if match:
            exact = name in ("set", "map", "quarter", "inning", "top n", "stage")
            found.add(f"{name}:{_ordinal(match[0])}" if exact else name)
            bare = pattern.sub(" ", bare)
    return frozenset(found), bare


def _ordinal(text: str) -> str:
    digit = re.search(r"\d+", text)
    if digit:
        return digit[0]
    words = ("first", "second", "third", "fourth", "five")
    return str(next((n for n, word in enumerate(words, start=1) if word in text), 0))


def _names(text: str) -> frozenset[str]:
    """The words written with a capital, apart from the first of the text."""
    tokens = re.findall(r"[\w.’'&-]+", text)
    capital = [token for token in tokens[1:] if token[:1].isupper() or any(ch.isupper() for ch in token[1:])]
    if tokens and tokens[0].lower() not in ("will", "wil", "who", "how", "which", "what", "the", "if", "no"):
        capital.append(tokens[0])
    return content_words(canonical(fold(" ".join(capital))))


def _teams(title: str) -> tuple[str, str] | None:
    match = _VERSUS.match(title)
    if match is None or len(match["a"].split()) > 6 or len(match["b"].split()) > 7:
        return None
    if title.startswith(("will ", "what ", "how ")) or _CLOCK_START.match(match["b"]) or "price" in match["a"]:
        return None
    return match["a"].strip(" .,"), re.sub(r"\s+winner$", "", match["b"].strip(" .,"))


def _yes_side(listing: Listing) -> str:
    first = listing.outcomes[0]
    if listing.yes_means and fold(listing.yes_means) not in ("yes", "no"):
        return fold(listing.yes_means)
    return fold(first) if fold(first) not in ("yes", "no") else ""


def _minutes(match: re.Match[str] | None) -> int | None:
    if match is None:
        return None
    if match[4]:
        return 720 if match[4] == "noon" else 0
    return (int(match[1]) % 12 + (12 if match[3] == "p" else 0)) * 60 + int(match[2] or 0)
