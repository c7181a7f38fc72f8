"""Judge two markets on a game of two sides: same sides, same day, same part of the game, which side is YES. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

from rapidfuzz.distance import JaroWinkler

from orchestration.matching.clauses import compare_stages, compare_thresholds, compare_voids
from orchestration.matching.normalise import Features, canonical, content_words
from orchestration.matching.verdict import Difference, Verdict

_SAME = Decimal("0.94")
_TRAILING_LETTER = re.compile(r"^(?P<city>.+) (?P<letter>[a-z]{1,2})$")


def judge_game(a: Features, b: Features) -> Verdict:
    """Judge two markets whose titles name two sides each."""
    assert a.teams is not None
    assert b.teams is not None
    turned = _match_sides(a.teams, b.teams)
    if turned is None:
        difference = Difference("subject", " v ".join(a.teams), " v ".join(b.teams), True)
        return Verdict("unrelated", None, Decimal("0.9"), "rules", (difference,))
    lined_a, lined_b = _with_lines(a), _with_lines(b)
    decisive = [d for d in (compare_stages(a, b), compare_thresholds(lined_a, lined_b)[0]) if d is not None]
    days_a, days_b = game_days(a), game_days(b)
    if days_a and days_b and not days_a & days_b:
        decisive.append(Difference("day", _days(days_a), _days(days_b), True))
    if decisive:
        return Verdict("related", None, Decimal("0.9"), "rules", tuple(decisive))
    if not days_a or not days_b:
        silent = Difference("day", _days(days_a), _days(days_b), True)
        return Verdict("uncertain", None, Decimal("0.6"), "rules", (silent,), "the day of the game is not stated twice")
    return _with_side(a, b)


def _with_lines(features: Features) -> Features:
    """Leave only numbers that are lines: bare ones count games, bouts or events ("Game 3:", "UFC 328:")."""
    is_line = features.stages & {"total", "spread"}
    kept = tuple(t for t in features.thresholds if is_line or t.comparator != "exactly")
    return replace(features, thresholds=kept)


def _with_side(a: Features, b: Features) -> Verdict:
    assert a.teams is not None
    assert b.teams is not None
    void = compare_voids(a, b)
    differences = () if void is None else (void,)
    basis = "" if void is None else f"void: {void.a} against {void.b}"
    yes_a = which_side(a.yes_side, a.teams)
    yes_b = which_side(b.yes_side, b.teams)
    if yes_a is None or yes_b is None:
        return Verdict("uncertain", None, Decimal("0.6"), "rules", differences, "which side is YES is not stated twice")
    turned = _match_sides(a.teams, b.teams)
    is_same_side = (yes_a == yes_b) != turned
    three_way = "tie" in a.support | b.support or "draw" in a.support | b.support
    if not is_same_side and three_way:
        return Verdict("mutually_exclusive", None, Decimal("0.85"), "rules", differences, "the game can be drawn")
    if is_same_side:
        return Verdict("equivalent", "aligned", _SAME, "rules", differences, basis)
    return Verdict("inverted", "inverted", _SAME - Decimal("0.02"), "rules", differences, basis)


def game_days(features: Features) -> set[date]:
    """The days a game may be played on: the headline's, else the ticker's, else the rules'."""
    stated = {m.last_day for m in features.dates if m.kind in ("on", "deadline")}
    if stated:
        return stated
    if features.ticker_day is not None:
        return {features.ticker_day}
    return {m.last_day for m in features.rule_dates if m.kind in ("on", "deadline")}


def which_side(name: str, teams: tuple[str, str]) -> int | None:
    """Return the side that a name means, 0 or 1; None when it fits neither or both."""
    if not name:
        return None
    fits = [likeness(name, team) for team in teams]
    if max(fits) < 0.6 or abs(fits[0] - fits[1]) < 0.1:
        return None
    return 0 if fits[0] > fits[1] else 1


def likeness(name: str, team: str) -> float:
    """Return how well two names of a side agree, 0 to 1: equal words, then almost equal ones, then initials."""
    lettered = _TRAILING_LETTER.match(name) or _TRAILING_LETTER.match(team)
    other = team if _TRAILING_LETTER.match(name) else name
    if lettered and not _TRAILING_LETTER.match(other):
        rest = [w for w in other.split() if w not in lettered["city"].split()]
        in_city = all(word in other.split() for word in lettered["city"].split())
        initials = "".join(word[0] for word in rest)
        return 0.95 if in_city and initials.startswith(lettered["letter"]) else 0.0
    left, right = content_words(canonical(name)), content_words(canonical(team))
    if not left or not right:
        return 1.0 if name == team else 0.0
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    hits = sum(max((_word_likeness(w, o) for o in large), default=0.0) for w in small)
    return hits / len(small) - 0.02 * (len(large) - len(small))


def _word_likeness(word: str, other: str) -> float:
    if word == other:
        return 1.0
    if min(len(word), len(other)) < 4:
        return 0.0
    score = float(JaroWinkler.similarity(word, other))
    return score if score >= 0.9 else 0.0


def _match_sides(a: tuple[str, str], b: tuple[str, str]) -> bool | None:
    """Return whether B names the sides in the other order, None when they are not the same two sides."""
    straight = min(likeness(a[0], b[0]), likeness(a[1], b[1]))
    crossed = min(likeness(a[0], b[1]), likeness(a[1], b[0]))
    if max(straight, crossed) < 0.6 or abs(straight - crossed) < 0.05:
        return None
    return crossed > straight


def _days(days: set[date]) -> str:
    return ", ".join(sorted(day.isoformat() for day in days)) or "(not stated)"
