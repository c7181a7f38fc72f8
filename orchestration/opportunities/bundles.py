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


def find_bundles(markets: Sequence[str], cases: Sequence[OutcomeCase]) -> list[Bundle]:
    """Return every two-leg bundle that pays a dollar or more, and all-YES / all-NO of three or more markets.

    YES and NO of one and the same market are left out: one book cannot be bought against itself.
    """
    found: list[Bundle] = []
    for first, second in combinations(markets, 2):
        for sides in product(_BOTH, _BOTH):
            legs = ((first, sides[0]), (second, sides[1]))
            payoff = guaranteed_payoff_e4(legs, cases)
            if payoff >= PRICE_ONE_E4:
                found.append(Bundle(legs, payoff))
    if len(markets) >= 3:
        for outcome in _BOTH:
            every = tuple((market, outcome) for market in markets)
            payoff = guaranteed_payoff_e4(every, cases)
            if payoff >= PRICE_ONE_E4:
                found.append(Bundle(every, payoff))
    return found
