"""Walking the books of a bundle: equal numbers of contracts of every leg, level by level, in exact integers.

A bundle pays at least `payoff_e4` per contract in every normal outcome (one dollar for a pair and for two strikes of a
ladder, more for sums of NO). The walk stops at the last level that earns more than the threshold after both fees.

The rounding of a fee moves what a slice of levels earns by a bounded amount. Nearly every slice lies further from the
threshold than that and is decided by its unrounded fees, one multiplication; only the rest is computed to the last
digit. The answer is the same. A slice so small that rounding alone eats what it earns is walked over when a deeper one
earns: a hundredth of a contract at the top of a book hides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from streams.market.events import Levels
from streams.market.fees import piecewise_fee_bound_e6
from streams.market.taker_fees import TakerFees
from streams.market.units import PRICE_SCALE, SIZE_SCALE, cash_e6_of

_E4_TO_E12 = 10**8
_E6_TO_E18 = 10**12


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be bought of one outcome of one market: levels cheapest first, and the rules for an order."""

    key: str
    levels: Levels
    fees: TakerFees
    size_step_e6: int = 10_000
    min_size_e6: int = 10_000
    min_notional_e6: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What buying some contracts from an offer costs.

    `fee_bound_e6`: the most the fees can be at these levels in pieces of at least one contract.
    """

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

    `best_edge_e10` is the net edge of the best level that earns, per contract in 1e-10 dollar.
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
        """The certain profit: payoff less cost and fees."""
        return self.payoff_e6 - self.cost_e6 - self.fee_e6

    @property
    def best_edge_usd(self) -> Decimal:
        """Net edge per contract at the best level, in dollars."""
        return Decimal(self.best_edge_e10).scaleb(-10)


def take(offer: Offer, size_e6: int) -> Taken | None:
    """Return what buying `size_e6` from the offer costs, None when its depth does not hold that much."""
    fee_of = offer.fees.of
    left, cost, fee, limit, fills = size_e6, 0, 0, 0, 0
    for price, size in offer.levels:
        if left <= 0:
            break
        part = left if left < size else size
        cost -= -price * part // PRICE_SCALE
        fee += fee_of(price, part)
        limit = price
        left -= part
        fills += 1
    if left > 0:
        return None
    # Fills may come in other pieces than levels, and each is rounded apart.
    prices = [price for price, _ in offer.levels[:fills]]
    bound = piecewise_fee_bound_e6(prices, size_e6, offer.fees.schedule, splits=fills) if fills else 0
    return Taken(size_e6, cost, fee, max(fee, bound), limit)


def walk(
    offers: Sequence[Offer], payoff_e4: int, *, threshold_e4: int = 0, max_size_e6: int | None = None
) -> Edge | None:
    """Walk all ladders together to the last level that earns more than `threshold_e4` per contract after fees.

    Returns:
        The edge with its exact totals, rounded down to a size every leg accepts; None when no level earns enough or
        the size is below a minimum.
    """
    if not all(offer.levels for offer in offers):
        return None
    depth = _depth_of_two if len(offers) == 2 else _depth_of_many
    total, part, prices = depth(offers, payoff_e4, threshold_e4, max_size_e6)
    if not part:
        return None
    best_e10 = _slice_gain_e10(offers, prices, payoff_e4, part) * SIZE_SCALE // part
    return _settle(offers, payoff_e4, total, best_e10)


def _depth_of_two(
    offers: Sequence[Offer], payoff_e4: int, threshold_e4: int, max_size_e6: int | None
) -> tuple[int, int, Sequence[int]]:
    """`_depth_of_many` for two legs, written out: pairs and ladders are asked on every quote."""
    one, two = offers
    ones, twos = iter(one.levels), iter(two.levels)
    costs_one, costs_two = one.fees.costs_e12, two.fees.costs_e12
    over = _E6_TO_E18 * (one.fees.over_e6 + two.fees.over_e6)
    under = _E6_TO_E18 * (one.fees.under_e6 + two.fees.under_e6)
    asked_e12 = (payoff_e4 - threshold_e4) * _E4_TO_E12
    price_one, left_one = next(ones)
    price_two, left_two = next(twos)
    cost_one, cost_two = costs_one[price_one], costs_two[price_two]
    total = first = over_dust = 0
    best: Sequence[int] = ()
    while max_size_e6 is None or total + over_dust < max_size_e6:
        part = left_one if left_one < left_two else left_two
        if max_size_e6 is not None and part > max_size_e6 - total - over_dust:
            part = max_size_e6 - total - over_dust
        margin = (asked_e12 - cost_one - cost_two) * part
        if margin > over or (
            margin + 2 * part + under > 0
            and _slice_gain_e10(offers, (price_one, price_two), payoff_e4, part) > threshold_e4 * part
        ):
            if not first:
                first, best = part, (price_one, price_two)
            total += over_dust + part
            over_dust = 0
        elif margin > 0:
            over_dust += part
        else:
            break
        left_one -= part
        left_two -= part
        if not left_one:
            price_one, left_one = next(ones, (0, 0))
            if not left_one:
                break
            cost_one = costs_one[price_one]
        if not left_two:
            price_two, left_two = next(twos, (0, 0))
            if not left_two:
                break
            cost_two = costs_two[price_two]
    return total, first, best


def _depth_of_many(
    offers: Sequence[Offer], payoff_e4: int, threshold_e4: int, max_size_e6: int | None
) -> tuple[int, int, Sequence[int]]:
    """Return the size down to the last level that earns more than the threshold, and size and prices of the first."""
    ladders = [iter(offer.levels) for offer in offers]
    over = _E6_TO_E18 * sum(offer.fees.over_e6 for offer in offers)
    under = _E6_TO_E18 * sum(offer.fees.under_e6 for offer in offers)
    asked_e12 = (payoff_e4 - threshold_e4) * _E4_TO_E12
    levels = [next(ladder) for ladder in ladders]
    total = first = over_dust = 0
    best: Sequence[int] = ()
    while max_size_e6 is None or total + over_dust < max_size_e6:
        part = min(size for _, size in levels)
        if max_size_e6 is not None:
            part = min(part, max_size_e6 - total - over_dust)
        spent_e12 = sum(offer.fees.costs_e12[price] for offer, (price, _) in zip(offers, levels, strict=True))
        margin = (asked_e12 - spent_e12) * part
        # costs_e12 are rounded up, by less than 1e-12 dollar a contract and leg
        if margin > over or (
            margin + len(offers) * part + under > 0
            and _slice_gain_e10(offers, [price for price, _ in levels], payoff_e4, part) > threshold_e4 * part
        ):
            if not first:
                first, best = part, [price for price, _ in levels]
            total += over_dust + part
            over_dust = 0
        elif margin > 0:
            over_dust += part
        else:
            break
        levels = [
            (price, size - part) if size > part else next(ladder, (0, 0))
            for ladder, (price, size) in zip(ladders, levels, strict=True)
        ]
        if not all(size for _, size in levels):
            break
    return total, first, best


def may_earn(tops: Sequence[tuple[int, int, TakerFees]], payoff_e4: int, threshold_e4: int) -> bool:
    """Return whether walking the books could find an edge, from the best (price_e4, size_e6, fees) of each leg.

    False only where `walk` returns None: the cheap test before sorting whole books.
    """
    part = min(size for _, size, _ in tops)
    if part <= 0:
        return False
    margin_e12 = (payoff_e4 - threshold_e4) * _E4_TO_E12 - sum(fees.costs_e12[price] for price, _, fees in tops)
    under = _E6_TO_E18 * sum(fees.under_e6 for _, _, fees in tops)
    return (margin_e12 + len(tops)) * part + under > 0


def _slice_gain_e10(offers: Sequence[Offer], prices: Sequence[int], payoff_e4: int, part: int) -> int:
    gain = payoff_e4 * part
    for offer, price in zip(offers, prices, strict=True):
        gain -= price * part + offer.fees.of(price, part) * PRICE_SCALE
    return gain


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
