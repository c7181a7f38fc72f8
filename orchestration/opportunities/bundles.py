"""Bundles of a market group: equal contracts of a few legs that together pay enough in every normal outcome.

Two legs cover pairs (aligned and inverted) and the strikes of a ladder; all YES and all NO cover events. General
quantities over many legs are `orchestration.opportunities.portfolio`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from orchestration.opportunities.outcomes import OutcomeCase, normal_cases
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4

LegKey = tuple[str, Outcome]
"""("venue:market_id", outcome)."""

MOST_COMBINED = 8
"""Markets of a group in which sets of three legs or more are looked for: their number grows with a power of it."""
_BOTH: tuple[Outcome, Outcome] = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Equal contracts of `legs` pay at least `payoff_e4` per contract in every normal outcome."""

    legs: tuple[LegKey, ...]
    payoff_e4: int

    @property
    def leg_set(self) -> str:
        """The legs as the key of a signal: "venue:market_id:outcome" joined by "+", sorted."""
        return "+".join(sorted(f"{market}:{outcome}" for market, outcome in self.legs))


def guaranteed_payoff_e4(legs: Sequence[LegKey], cases: Sequence[OutcomeCase]) -> int:
    """Return the least that one contract of each leg pays together, over the normal outcomes."""
    return min(sum(case.pays(market, outcome) for market, outcome in legs) for case in normal_cases(cases))


def find_bundles(markets: Sequence[str], cases: Sequence[OutcomeCase], max_legs: int = 2) -> list[Bundle]:
    """Return every two-leg bundle that pays a dollar or more, sets of up to `max_legs`, and all-YES / all-NO.

    A set of three legs or more is returned where each of its legs adds to what it pays for certain: three NO of one
    exclusive event pay two dollars, any two of them one. YES and NO of one and the same market are left out: one book
    cannot be bought against itself.

    Args:
        markets: Their ids; sets beyond two legs are looked for among `MOST_COMBINED` at most.
        cases: The allowed outcomes.
        max_legs: Most legs of a set.
    """
    found: dict[frozenset[LegKey], Bundle] = {}
    for first, second in combinations(markets, 2):
        for sides in product(_BOTH, _BOTH):
            _add(found, ((first, sides[0]), (second, sides[1])), cases)
    if len(markets) <= MOST_COMBINED:
        for count in range(3, max_legs + 1):
            for chosen in combinations(markets, count):
                for outcomes in product(_BOTH, repeat=count):
                    legs = tuple(zip(chosen, outcomes, strict=True))
                    if _is_whole(legs, cases):
                        _add(found, legs, cases)
    if len(markets) >= 3:
        for outcome in _BOTH:
            _add(found, tuple((market, outcome) for market in markets), cases)
    return list(found.values())


def _add(found: dict[frozenset[LegKey], Bundle], legs: tuple[LegKey, ...], cases: Sequence[OutcomeCase]) -> None:
    payoff = guaranteed_payoff_e4(legs, cases)
    if payoff >= PRICE_ONE_E4:
        found.setdefault(frozenset(legs), Bundle(legs, payoff))


def _is_whole(legs: tuple[LegKey, ...], cases: Sequence[OutcomeCase]) -> bool:
    """Whether the bundle would pay less for certain without any one of its legs."""
    payoff = guaranteed_payoff_e4(legs, cases)
    return payoff >= PRICE_ONE_E4 and all(
        guaranteed_payoff_e4(legs[:index] + legs[index + 1 :], cases) < payoff for index in range(len(legs))
    )
