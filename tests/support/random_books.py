"""Random books of bundles, asked twice: the walk down the levels, and the linear program over all quantities.

Both answer the same question where equal sizes are best (pairs, two strikes of a ladder, every YES of an exhaustive
event); of sums of NO the program may also buy unequal sizes, so there it may only earn more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.opportunities.bundles import guaranteed_payoff_e4
from orchestration.opportunities.edges import Offer, walk
from orchestration.opportunities.outcomes import OutcomeCase, parse_outcomes
from orchestration.opportunities.portfolio import Leg, Limits, best_portfolio
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.identity import Outcome
from streams.market.taker_fees import taker_fees

SCHEDULES: tuple[FeeSchedule, ...] = (
    KalshiFeeSchedule(),
    KalshiFeeSchedule(multiplier_e6=500_000, account="fcm"),
    KalshiFeeSchedule(multiplier_e6=0),
    PolymarketFeeSchedule(),
    PolymarketFeeSchedule(rate_e6=40_000),
    PolymarketFeeSchedule(rate_e6=72_000, rounding="floor"),
)
_ONE = 1_000_000


@dataclass(frozen=True)
class Bundle:
    """Offers of legs that together pay at least `payoff_e4`; `is_even`: equal sizes are best."""

    kind: str
    legs: Sequence[Leg]
    cases: tuple[OutcomeCase, ...]
    payoff_e4: int
    is_even: bool


@dataclass(frozen=True)
class Compared:
    """What both found, in 1/1,000,000 dollar, and how far apart they may be.

    Attributes:
        kind: The kind of the bundle.
        walked_e6: The profit of the walk, 0 for none.
        solved_e6: The profit of the program.
        below_e6: The most the program may fall short: the rounding of each fill's fee.
        above_e6: The most it may earn more: that, and one step of size, which the walk always rounds down.
    """

    kind: str
    walked_e6: int
    solved_e6: int
    below_e6: int
    above_e6: float

    @property
    def agrees(self) -> bool:
        """Whether both are the same but for rounding."""
        return -self.below_e6 <= self.solved_e6 - self.walked_e6 <= self.above_e6


def bundle(seed: int) -> Bundle:
    """Return a bundle of books that cross in about half of all seeds."""
    source = random.Random(seed)
    kind = source.choice(["pair", "inverted", "ladder", "every yes", "every no"])
    names = list("abcde")[: 2 if kind in ("pair", "inverted", "ladder") else source.randrange(2, 6)]
    outcomes, sides = _shape(kind, names)
    cases = parse_outcomes(outcomes, names)
    keys = list(zip(names, sides, strict=True))
    payoff = guaranteed_payoff_e4(keys, cases)
    step = source.choice([10_000, 10_000, _ONE])
    legs = [_leg(source, name, side, payoff // len(names), step) for name, side in keys]
    return Bundle(kind, legs, cases, payoff, kind != "every no")


def compare(found: Bundle) -> Compared:
    """Ask both."""
    offers = [leg.offer for leg in found.legs]
    edge = walk(offers, found.payoff_e4)
    solved = best_portfolio(found.legs, found.cases, Limits())
    rounding = sum(2 * len(offer.levels) * (offer.fees.over_e6 + offer.fees.under_e6 + 2) for offer in offers)
    step = math.lcm(*(offer.size_step_e6 for offer in offers))
    gain = max(0, found.payoff_e4 - sum(offer.levels[0][0] for offer in offers))
    above = rounding + gain * step // 10_000 if found.is_even else math.inf
    return Compared(found.kind, edge.profit_e6 if edge else 0, solved.locked_e6, rounding, above)


def _shape(kind: str, names: list[str]) -> tuple[list[list[str]], list[Outcome]]:
    if kind == "pair":
        return [names, []], ["yes", "no"]
    if kind == "inverted":
        return [[names[0]], [names[1]]], ["yes", "yes"]
    if kind == "ladder":
        return [[], names[:1], names], ["yes", "no"]
    each = [[name] for name in names]
    return (each, ["yes"] * len(names)) if kind == "every yes" else ([*each, []], ["no"] * len(names))


def _leg(source: random.Random, name: str, side: Outcome, share: int, step: int) -> Leg:
    grid = source.choice([100, 100, 10])
    best = min(9_900, max(grid, (share - source.randrange(-150, 450)) // grid * grid))
    prices = range(best, min(best + grid * source.randrange(1, 13), 10_000), grid)
    levels = [(price, source.randrange(1, 900) * source.choice([step, 10 * step])) for price in prices]
    venue, schedule = (
        ("kalshi", source.choice(SCHEDULES[:3]))
        if source.random() < 0.5
        else (
            "polymarket",
            source.choice(SCHEDULES[3:]),
        )
    )
    return Leg(name, side, Offer(f"{name}:{side}", levels, taker_fees(schedule), step, 0), venue)
