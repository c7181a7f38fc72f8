"""The rule judge: it compares clause by clause, and two markets are the same only if no difference is left.

It errs to one side on purpose: a real pair that it leaves `uncertain` costs an opportunity, a near miss that it calls
the same contract costs money.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from rapidfuzz.distance import JaroWinkler

from orchestration.matching.clauses import (
    compare_deadlines,
    compare_hours,
    compare_sources,
    compare_stages,
    compare_thresholds,
    compare_voids,
    deadline_of,
)
from orchestration.matching.games import judge_game
from orchestration.matching.normalise import Features, extract
from orchestration.matching.verdict import Difference, Polarity, Relation, Verdict
from orchestration.matching.vocabulary import DOWNWARD, NICKNAMES, SOFT_WORDS, UPWARD
from streams.market.listing import Listing

RULES_VERSION = "rules-2"
_SAME = Decimal("0.96")
_SOFT_COST = Decimal("0.02")
_SUPPORTED_COST = Decimal("0.03")
_ILLEGIBLE = Decimal("0.50")
_LEAST_SAME = Decimal("0.60")
_SIMILAR_WORDS = 0.90


@dataclass
class _Findings:
    """The differences found so far."""

    differences: list[Difference] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    cost: Decimal = Decimal(0)
    notes: list[str] = field(default_factory=list)

    def add(self, difference: Difference | None, relation: Relation | None = None) -> None:
        """Keep a difference and the relation it suggests."""
        if difference is not None:
            self.differences.append(difference)
            if difference.is_decisive:
                self.relations.append(relation or "related")


def judge_by_rules(a: Listing, b: Listing) -> Verdict:
    """Judge A (Kalshi) and B (Polymarket) from their texts alone."""
    return judge_features(extract(a), extract(b))


def judge_features(a: Features, b: Features) -> Verdict:
    """Judge by features, for callers that judge one listing many times."""
    if not (a.is_legible and b.is_legible):
        return Verdict("uncertain", None, _ILLEGIBLE, "rules", (), "the rules cannot read what one of them asks")
    if a.teams and b.teams:
        return judge_game(a, b)
    findings = _Findings()
    findings.add(*compare_deadlines(a, b))
    findings.add(*compare_thresholds(a, b))
    findings.add(compare_stages(a, b))
    findings.add(compare_sources(a, b), "uncertain")
    findings.add(compare_hours(a, b))
    findings.add(compare_voids(a, b), "uncertain")
    subject = _compare_words(a, b, findings)
    _doubt_silent_windows(a, b, findings)
    return _conclude(a, b, findings, subject)


def _compare_words(a: Features, b: Features, findings: _Findings) -> Relation | None:
    """Compare the headlines' words; returns the relation the leftovers suggest, None when nothing is left."""
    left, right = unmatched(a.words, b.words), unmatched(b.words, a.words)
    hard_left = {w for w in left if not _is_soft(w, b)}
    hard_right = {w for w in right if not _is_soft(w, a)}
    findings.cost += _SOFT_COST * len((left | right) - hard_left - hard_right)
    if not hard_left and not hard_right:
        return None
    shared = len(a.words & b.words)
    names_left, names_right = hard_left & a.names, hard_right & b.names
    difference = Difference("subject", " ".join(sorted(hard_left)), " ".join(sorted(hard_right)), True)
    if not hard_left or not hard_right:
        missing, other = (hard_left, b) if hard_left else (hard_right, a)
        if unmatched(missing, other.support):
            findings.add(difference, "related" if shared >= 2 else "unrelated")
            return findings.relations[-1]
        findings.cost += _SUPPORTED_COST * len(missing)
        findings.differences.append(Difference("wording", difference.a, difference.b, False))
        return None
    if shared < 2:
        findings.add(difference, "unrelated")
    elif names_left and names_right and a.is_contest and b.is_contest and not (hard_left - names_left):
        findings.add(difference, "mutually_exclusive")
    else:
        findings.add(difference, "related")
    return findings.relations[-1]


def unmatched(words: set[str] | frozenset[str], others: frozenset[str]) -> set[str]:
    """Return the words without an equal or almost equal word on the other side."""
    return {word for word in words - others if not any(_is_similar(word, other) for other in others)}


def _is_similar(word: str, other: str) -> bool:
    if word.isdigit() or other.isdigit() or min(len(word), len(other)) < 5 or "-" in word:
        return False
    if abs(len(word) - len(other)) > 3:
        return False
    return JaroWinkler.similarity(word, other) >= _SIMILAR_WORDS and word[0] == other[0]


def _is_soft(word: str, other: Features) -> bool:
    """Whether a word may be missing on the other side: a filler, or a first name's initial."""
    if word in NICKNAMES and len(other.words) > 1:
        return True
    return word in SOFT_WORDS or (len(word) == 1 and word.isalpha())


def _doubt_silent_windows(a: Features, b: Features, findings: _Findings) -> None:
    """Where only one side states a window, contests lose a little and everything else its tradability."""
    first, second = deadline_of(a), deadline_of(b)
    if (first is None) == (second is None):
        return
    if a.is_contest and b.is_contest:
        closing = a.listing.close_time if first is None else b.listing.close_time
        stated = first or second
        if closing and stated and closing.year - stated.year > 2:
            findings.cost += Decimal("0.2")
        findings.cost += Decimal("0.02")
        return
    findings.cost += Decimal("0.2")
    findings.notes.append("only one side states a deadline")


def _conclude(a: Features, b: Features, findings: _Findings, subject: Relation | None) -> Verdict:
    decisive = [d for d in findings.differences if d.is_decisive]
    is_turned = is_opposite(a, b)
    basis = "; ".join(
        [f"{d.clause}: {d.a or '-'} against {d.b or '-'}" for d in findings.differences if not d.is_decisive]
        + findings.notes
    )
    if not decisive:
        confidence = max(_SAME - findings.cost, _LEAST_SAME)
        relation: Relation = "inverted" if is_turned else "equivalent"
        if confidence < Decimal("0.75"):
            return Verdict("uncertain", None, confidence, "rules", tuple(findings.differences), basis)
        polarity: Polarity = "inverted" if is_turned else "aligned"
        return Verdict(relation, polarity, confidence, "rules", tuple(findings.differences), basis)
    relation = _weakest(findings.relations, is_turned=is_turned)
    if relation == "inverted" and len(decisive) == 1:
        return Verdict("inverted", "inverted", _SAME - findings.cost, "rules", tuple(findings.differences), basis)
    if relation in ("equivalent", "inverted"):
        relation = "related"
    confidence = Decimal("0.8") if subject is None else Decimal("0.9")
    return Verdict(relation, None, confidence, "rules", tuple(findings.differences), basis)


def is_opposite(a: Features, b: Features) -> bool:
    """Whether one text denies what the other affirms."""
    turns = int(a.is_negated != b.is_negated)
    down_a, down_b = bool(DOWNWARD.search(a.headline)), bool(DOWNWARD.search(b.headline))
    up_a, up_b = bool(UPWARD.search(a.headline)), bool(UPWARD.search(b.headline))
    if (down_a and up_b and not up_a) or (up_a and down_b and not down_a):
        turns += 1
    return turns % 2 == 1


def _weakest(relations: list[Relation], *, is_turned: bool) -> Relation:
    """The relation several differences leave together: one of a kind stays, anything mixed is only related."""
    kinds = set(relations)
    if len(kinds) > 1:
        if "unrelated" in kinds:
            return "unrelated"
        return "uncertain" if kinds <= {"uncertain", "equivalent"} else "related"
    only = relations[0]
    if is_turned and only in ("a_implies_b", "b_implies_a"):
        return "related"
    return only
