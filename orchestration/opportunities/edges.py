"""Walking the books of a bundle: equal numbers of contracts of every leg, level by level, in exact integers.

A bundle pays at least `payoff_e4` per contract in every normal outcome (one dollar for a pair and for two strikes of a
ladder, more for sums of NO). The walk stops at the last level that earns more than the threshold after both fees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from streams.market.events import Levels
from streams.market.units import PRICE_SCALE, SIZE_SCALE, cash_e6_of

FeeOf = Callable[[int, int], int]
"""(price_e4, size_e6) -> fee in 1/1,000,000 dollar of one fill as a taker, rounded against us."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be bought of one outcome of one market: levels cheapest first, and the rules for an order."""

    key: str
    levels: Levels
    fee: FeeOf
    size_step_e6: int = 10_000
    min_size_e6: int = 10_000
    min_notional_e6: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What buying some contracts from an offer costs. `fee_bound_e6`: the most the fees can be at these levels."""

    size_e6: int
    cost_e6: int
    fee_e6: int
    fee_bound_e6: int
    limit_price_e4: int

    @property
    def spent_e6(self) -> int:
        """Cost and fee together."""
        return self.cost_e6 + self.fee_e6


@dataclass(frozen=True, slots=True)
class Edge:
    """The profitable part of a bundle: `legs` in the order of the offers, all of the same size.

    `best_edge_e10` is the net edge of the best level per contract in 1e-10 dollar.
    """

    size_e6: int
    payoff_e6: int
    legs: tuple[Taken, ...]
    best_edge_e10: int

    @property
    def cost_e6(self) -> int:
        """What all legs cost without fees."""
        return sum(leg.cost_e6 for leg in self.legs)

    @property
    def fee_e6(self) -> int:
        """The fees of all legs."""
        return sum(leg.fee_e6 for leg in self.legs)

    @property
    def profit_e6(self) -> int:
        """What is locked in: payoff less cost and fees."""
        return self.payoff_e6 - self.cost_e6 - self.fee_e6

    @property
    def best_edge_usd(self) -> Decimal:
        """Net edge per contract at the best level, in dollars."""
        return Decimal(self.best_edge_e10).scaleb(-10)


def take(offer: Offer, size_e6: int) -> Taken | None:
    """Return what buying `size_e6` from the offer costs, None when its depth does not hold that much."""
    left, cost, fee, dearest, limit, fills = size_e6, 0, 0, PRICE_SCALE, 0, 0
    for price, size in offer.levels:
        if left <= 0:
            break
        part = min(left, size)
        cost += cash_e6_of(price, part, paying=True)
        fee += offer.fee(price, part)
        if abs(2 * price - PRICE_SCALE) < abs(2 * dearest - PRICE_SCALE):
            dearest = price
        limit, left, fills = price, left - part, fills + 1
    if left > 0:
        return None
    # A fill may come at a better price, where the fee can be higher: it peaks at one half. Fills may also come in other
    # pieces than levels; each piece rounds once, by at most a centicent.
    highest = offer.fee(dearest, size_e6) if fills else 0
    bound = max(fee, highest) + (100 * fills if highest else 0)
    return Taken(size_e6, cost, fee, bound, limit)


def top_edge_e4(offers: Sequence[Offer], payoff_e4: int) -> int | None:
    """Return payoff less the best prices before fees: the cheap test before a walk. None where a side is empty."""
    total = payoff_e4
    for offer in offers:
        if not offer.levels:
            return None
        total -= offer.levels[0][0]
    return total


def walk(
    offers: Sequence[Offer], payoff_e4: int, *, threshold_e4: int = 0, max_size_e6: int | None = None
) -> Edge | None:
    """Walk all ladders together to the last level that earns more than `threshold_e4` per contract after fees.

    Returns:
        The edge with its exact totals, rounded down to a size every leg accepts; None when no level earns enough or
        the size is below a minimum.
    """
    places = [0] * len(offers)
    remains = [offer.levels[0][1] if offer.levels else 0 for offer in offers]
    total = 0
    best: int | None = None
    while all(remains) and (max_size_e6 is None or total < max_size_e6):
        part = min(remains) if max_size_e6 is None else min(*remains, max_size_e6 - total)
        gain = _slice_gain_e10(offers, places, payoff_e4, part)
        if gain <= threshold_e4 * part:
            break
        if best is None:
            best = gain * SIZE_SCALE // part
        total += part
        _advance(offers, places, remains, part)
    return None if best is None else _settle(offers, payoff_e4, total, best)


def _slice_gain_e10(offers: Sequence[Offer], places: list[int], payoff_e4: int, part: int) -> int:
    gain = payoff_e4 * part
    for offer, place in zip(offers, places, strict=True):
        price = offer.levels[place][0]
        gain -= price * part + offer.fee(price, part) * PRICE_SCALE
    return gain


def _advance(offers: Sequence[Offer], places: list[int], remains: list[int], part: int) -> None:
    for index, offer in enumerate(offers):
        remains[index] -= part
        if remains[index] == 0 and places[index] + 1 < len(offer.levels):
            places[index] += 1
            remains[index] = offer.levels[places[index]][1]


def _settle(offers: Sequence[Offer], payoff_e4: int, total: int, best_e10: int) -> Edge | None:
    step = math.lcm(*(offer.size_step_e6 for offer in offers))
    size = total - total % step
    if size < max(offer.min_size_e6 for offer in offers) or size <= 0:
        return None
    legs: list[Taken] = []
    for offer in offers:
        taken = take(offer, size)
        if taken is None or taken.cost_e6 < offer.min_notional_e6:
            return None
        legs.append(taken)
    edge = Edge(size, cash_e6_of(payoff_e4, size, paying=False), tuple(legs), best_e10)
    return edge if edge.profit_e6 > 0 else None
