"""Blocking: for each Kalshi market the few Polymarket markets that could settle alike, without comparing all with all.

An inverted index over words, names, numbers and days of one side; a market of the other side visits only the postings
of its own rare tokens. A token's weight falls with the number of markets that carry it, so "bitcoin" counts little and
"ocasio" counts much. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import log

from orchestration.matching.normalise import Features

_DAY_WEIGHT = 0.5
_NUMBER_WEIGHT = 0.6
_STAGE_WEIGHT = 0.4
_NAME_WEIGHT = 1.3
_COMMON_SHARE = 0.25
_REASONS = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two markets that may be alike. `score`: weighted overlap of their tokens, 0 to 1; `rank` starts at 1."""

    kalshi_market_id: str
    polymarket_market_id: str
    rank: int
    score: Decimal
    reasons: tuple[str, ...]


def tokens_of(features: Features) -> dict[str, float]:
    """Return the tokens by which a market is found, each with the weight of its kind."""
    tokens = {word: _NAME_WEIGHT if word in features.names else 1.0 for word in features.words}
    for threshold in features.thresholds:
        tokens[f"#{threshold.normal().value:f}"] = _NUMBER_WEIGHT
    for mention in features.dates:
        tokens[f"@{mention.last_day.isoformat()}"] = _DAY_WEIGHT
    if features.teams and features.ticker_day and not features.dates:
        tokens[f"@{features.ticker_day.isoformat()}"] = _DAY_WEIGHT
    for stage in features.stages:
        tokens[f"={stage}"] = _STAGE_WEIGHT
    return tokens


class CandidateIndex:
    """The markets of one venue by their tokens.

    Memory: about one posting per (market, token): some 40,000 for 4,000 markets.
    """

    def __init__(self, features: Iterable[Features]) -> None:
        self._ids: list[str] = []
        self._tokens: list[dict[str, float]] = []
        self._postings: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(features):
            tokens = tokens_of(item)
            self._ids.append(item.listing.market_id)
            self._tokens.append(tokens)
            for token in tokens:
                self._postings[token].append(number)
        total = max(len(self._ids), 1)
        self._weights = {token: log(1 + total / len(found)) for token, found in self._postings.items()}
        self._unseen = log(1 + total)
        self._common = max(total * _COMMON_SHARE, 50)
        self._norms = [self._norm(tokens) for tokens in self._tokens]

    def nearest(self, features: Features, top: int, min_score: float) -> list[tuple[str, float, tuple[str, ...]]]:
        """Return up to `top` (market id, score, shared tokens) with at least `min_score`, best first."""
        tokens = tokens_of(features)
        shared: dict[int, float] = defaultdict(float)
        for token, kind in tokens.items():
            found = self._postings.get(token)
            if found is None or len(found) > self._common:
                continue
            weight = self._weights[token] * kind
            for number in found:
                shared[number] += weight
        if not shared:
            return []
        common = [t for t in tokens if t in self._postings and len(self._postings[t]) > self._common]
        norm = self._norm(tokens)
        scored = []
        for number, overlap in shared.items():
            theirs = self._tokens[number]
            overlap += sum(self._weights[t] * tokens[t] for t in common if t in theirs)
            scored.append((2 * overlap / (norm + self._norms[number]), number))
        scored.sort(key=lambda entry: (-entry[0], self._ids[entry[1]]))
        return [
            (self._ids[number], min(score, 1.0), self._reasons(tokens, number))
            for score, number in scored[:top]
            if score >= min_score
        ]

    def _norm(self, tokens: dict[str, float]) -> float:
        return sum(self._weights.get(token, self._unseen) * kind for token, kind in tokens.items())

    def _reasons(self, tokens: dict[str, float], number: int) -> tuple[str, ...]:
        both = [token for token in tokens if token in self._tokens[number]]
        both.sort(key=lambda token: (-self._weights[token], token))
        return tuple(both[:_REASONS])


def find_candidates(
    kalshi: Sequence[Features], polymarket: Sequence[Features], *, top: int, min_score: Decimal
) -> list[Candidate]:
    """Return up to `top` candidates for each Kalshi market, in the order given, best first."""
    index = CandidateIndex(polymarket)
    found = []
    for item in kalshi:
        for rank, (market_id, score, reasons) in enumerate(index.nearest(item, top, float(min_score)), start=1):
            found.append(Candidate(item.listing.market_id, market_id, rank, _rounded(score), reasons))
    return found


def find_candidates_for_new(
    kalshi: Sequence[Features],
    new_polymarket: Sequence[Features],
    *,
    top: int,
    min_score: Decimal,
) -> list[Candidate]:
    """Return the candidates of markets that are new on Polymarket; the search starts from them."""
    if not new_polymarket:
        return []
    index = CandidateIndex(kalshi)
    found = []
    for item in new_polymarket:
        for rank, (market_id, score, reasons) in enumerate(index.nearest(item, top, float(min_score)), start=1):
            found.append(Candidate(market_id, item.listing.market_id, rank, _rounded(score), reasons))
    return found


def _rounded(score: float) -> Decimal:
    """Scores are not money; four digits are kept."""
    return Decimal(f"{score:.4f}")
