"""What mends a hedge that is out of balance: completing, unwinding, buying the complement of the excess, holding. PURE.

All ways are compared by one measure: what the worst normal outcome pays for what is held then, less all cash, fees in.
A level of matched contracts is chosen on the books of this moment: legs below it are bought up to it, legs above are
unwound down to it. The complement of a leg is the other outcome of its market: both together pay a dollar whatever
happens, so buying it at 1 - p is a sale at p of contracts that the venue does not let us sell yet; the pair is paid at
the result, or when somebody merges it.

Every order has three prices, those at which all that is out of balance, done at that price, leaves the planned profit
(target), nothing (break-even), and the loss bound (stop). No order goes beyond its stop: that is the floor under every
sale and the ceiling over every purchase. Where no way stays within it, what is held is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from streams.market.events import Levels
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE, cash_e6_of

Way = Literal["complete", "unwind", "complement"]


@dataclass(frozen=True, slots=True)
class MendLeg:
    """One leg: what is held of it and what its market offers now.

    Attributes:
        held_e6: Contracts, less those that a complement pairs.
        pays_e4: What one contract pays in each normal outcome.
        likely_e4: The price that counts for it where its book shows none.
        asks / bids: In prices of the outcome, best first; empty where there is no book that may be trusted.
        sellable_e6: Contracts that the venue lets us sell now.
        fee: (price_e4, size_e6) -> the taker's fee of one fill.
        can_pair: Its complement can be bought: the other outcome is a token of its own.
        may_buy / may_sell: Orders of that kind are not used up.
    """

    leg_no: int
    held_e6: int
    pays_e4: tuple[int, ...]
    likely_e4: int
    asks: Levels
    bids: Levels
    sellable_e6: int
    fee: Callable[[int, int], int]
    size_step_e6: int = 10_000
    min_size_e6: int = 10_000
    min_notional_e6: int = 0
    can_pair: bool = False
    may_buy: bool = True
    may_sell: bool = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """Results (1e-6 dollar) at which an order has its target, its break-even and its stop.

    `most_e6`: contracts of each leg beyond which nothing is bought; None: as many as the leg that holds most.
    """

    planned_e6: int
    loss_e6: int
    most_e6: int | None = None


@dataclass(frozen=True, slots=True)
class Mend:
    """One order.

    Attributes:
        limit_price_e4: Of what is bought or sold; for a complement the price of the other outcome.
        cost_e6: What it should cost or bring, without fees.
        result_e6: What is locked when all orders of the chosen way have filled; `held_e6`: what is, if nothing is done.
        target_e4 / break_even_e4 / stop_e4: In prices of the leg's outcome, also for a complement.
    """

    leg_no: int
    way: Way
    limit_price_e4: int
    size_e6: int
    cost_e6: int
    result_e6: int
    held_e6: int
    target_e4: int
    break_even_e4: int
    stop_e4: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a leg that is bought (`size_e6` > 0) or given up (< 0), and the cash it takes, fees in."""

    leg: MendLeg
    way: Way
    size_e6: int
    limit_e4: int
    walked_e6: int
    spent_e6: int


def best_mend(legs: Sequence[MendLeg], spent_e6: int, bounds: Bounds) -> Mend | None:
    """Return the first order of the cheapest way to balance, None where holding is.

    Args:
        legs: All legs of the hedge.
        spent_e6: Cash that left for all fills so far, fees in; a dollar of each pair counts as come back.
        bounds: What no order may go beyond.
    """
    now = _locked(legs, {}, spent_e6)
    stops = {leg.leg_no: _stops(legs, leg, spent_e6, bounds) for leg in legs}
    found: _Found = (now, 0, [])
    prices_of = stops
    for level in _levels(legs, bounds.most_e6):
        # where not all of the most held leg can be matched, a part is sold whatever else is done
        own = (
            stops
            if bounds.most_e6 is None
            else {leg.leg_no: _stops(legs, leg, spent_e6, bounds, level) for leg in legs}
        )
        balanced = _balanced_at(legs, level, spent_e6, own)
        if balanced[2] and _merit(balanced) >= _merit(found) and balanced[0] > now:
            found, prices_of = balanced, own
    if not found[2]:
        return None
    part = max(found[2], key=lambda one: _locked(legs, {one.leg.leg_no: one.size_e6}, spent_e6 + one.spent_e6))
    prices = prices_of[part.leg.leg_no][part.size_e6 > 0]
    size, limit = abs(part.size_e6), part.limit_e4
    limit = PRICE_ONE_E4 - limit if part.way == "complement" else limit
    return Mend(part.leg.leg_no, part.way, limit, size, part.walked_e6, found[0], now, *prices)


def price_for(
    legs: Sequence[MendLeg], leg: MendLeg, spent_e6: int, result_e6: int, *, is_buy: bool, level: int | None = None
) -> int:
    """Return the worst price of the grid 0 to 1 at which all of a leg's imbalance still leaves a result.

    A leg is completed up to the most held one, or unwound down to the least held one, the others at their best prices;
    or all of them are brought to `level` contracts.
    0 for a purchase and 1 dollar for a sale mean that no price does.
    """
    if level is None:
        level = (max if is_buy else min)(one.held_e6 for one in legs)
    others = sum(_at_best(other, level - other.held_e6) for other in legs if other is not leg)
    size = max(0, level - leg.held_e6 if is_buy else leg.held_e6 - level)
    moved = {one.leg_no: level - one.held_e6 for one in legs} | {leg.leg_no: size if is_buy else -size}
    fixed = _locked(legs, moved, spent_e6 + others)
    low, high = (0, PRICE_ONE_E4 - 1) if is_buy else (1, PRICE_ONE_E4)
    while low < high:
        middle = (low + high + 1) // 2 if is_buy else (low + high) // 2
        is_enough = fixed - _spent(middle, size, leg, is_buy=is_buy) >= result_e6
        if is_buy:
            low, high = (middle, high) if is_enough else (low, middle - 1)
        else:
            low, high = (low, middle) if is_enough else (middle + 1, high)
    return low


def _at_best(leg: MendLeg, size: int) -> int:
    """Return the cash that buying (`size` > 0) or selling contracts at the best price takes, fees in."""
    if not size:
        return 0
    best = next(iter(leg.asks if size > 0 else leg.bids), (leg.likely_e4, 0))[0]
    return _spent(best, abs(size), leg, is_buy=size > 0)


_Stops = dict[bool, tuple[int, int, int]]
"""By whether it is bought: target, break-even and stop."""
_Found = tuple[int, int, list[_Part]]
"""What is locked at a level of matched contracts, the level, and the orders that lead to it."""


def _merit(found: _Found) -> tuple[int, int]:
    return found[0], found[1]


def _stops(legs: Sequence[MendLeg], leg: MendLeg, spent_e6: int, bounds: Bounds, level: int | None = None) -> _Stops:
    results = (bounds.planned_e6, 0, -bounds.loss_e6)
    return {
        is_buy: (
            price_for(legs, leg, spent_e6, results[0], is_buy=is_buy, level=level),
            price_for(legs, leg, spent_e6, results[1], is_buy=is_buy, level=level),
            price_for(legs, leg, spent_e6, results[2], is_buy=is_buy, level=level),
        )
        for is_buy in (True, False)
    }


def _levels(legs: Sequence[MendLeg], most_e6: int | None) -> Iterable[int]:
    """Give the levels of matched contracts at which the best one may lie: where a leg or a level of a book ends.

    None of them needs a purchase beyond `most_e6` contracts of a leg.
    """
    held = [leg.held_e6 for leg in legs]
    base, target = min(held), max(held)
    found = {base, target, *held}
    if most_e6 is not None:
        target = min(target, max(base, most_e6))
        found.add(target)
    for leg in legs:
        bought = sold = leg.held_e6
        for _, size in leg.asks:
            bought += size
            found.add(bought)
        for _, size in leg.bids:
            sold -= size
            found.add(sold)
        found |= {leg.held_e6 - leg.sellable_e6, leg.held_e6 + leg.min_size_e6, leg.held_e6 - leg.min_size_e6}
    return sorted(level for level in found if base <= level <= target)


def _balanced_at(legs: Sequence[MendLeg], level: int, spent_e6: int, stops: dict[int, _Stops]) -> _Found:
    parts: list[_Part] = []
    for leg in legs:
        prices = stops[leg.leg_no]
        if leg.held_e6 < level:
            parts += _purchase(leg, level - leg.held_e6, prices[True][2])
        elif leg.held_e6 > level:
            parts += _unwinding(leg, leg.held_e6 - level, prices[False][2])
    moved = {part.leg.leg_no: part.size_e6 for part in parts}
    return _locked(legs, moved, spent_e6 + sum(part.spent_e6 for part in parts)), level, parts


def _purchase(leg: MendLeg, size: int, stop_e4: int) -> list[_Part]:
    there = [(price, depth) for price, depth in leg.asks if price <= stop_e4]
    size = _floor(min(size, sum(depth for _, depth in there)), leg)
    if not leg.may_buy or size < max(leg.min_size_e6, leg.size_step_e6):
        return []
    limit, walked, spent = _walk(there, size, leg, is_buy=True)
    return [] if walked < leg.min_notional_e6 else [_Part(leg, "complete", size, limit, walked, spent)]


def _unwinding(leg: MendLeg, size: int, stop_e4: int) -> list[_Part]:
    """Return the sale of a part, or the purchase of its complement where that gives more of it up."""
    there = [(price, depth) for price, depth in leg.bids if price >= stop_e4]
    size = _floor(min(size, sum(depth for _, depth in there)), leg)
    if not leg.may_sell or size < max(leg.min_size_e6, leg.size_step_e6):
        return []
    sold = _floor(min(size, leg.sellable_e6), leg)
    if leg.can_pair and sold < size:
        limit, brings, spent = _walk(there, size, leg, is_buy=False)
        costs = size - brings
        if costs >= leg.min_notional_e6:
            return [_Part(leg, "complement", -size, limit, costs, spent)]
    if sold < max(leg.min_size_e6, leg.size_step_e6):
        return []
    limit, brings, spent = _walk(there, sold, leg, is_buy=False)
    return [_Part(leg, "unwind", -sold, limit, brings, spent)] if spent < 0 else []


def _walk(levels: Levels, size: int, leg: MendLeg, *, is_buy: bool) -> tuple[int, int, int]:
    """Return the last price needed, what the walk costs or brings, and the cash that leaves, fees in."""
    left, limit, walked, fees = size, 0, 0, 0
    for price, depth in levels:
        part = min(left, depth)
        if part <= 0:
            continue
        walked += cash_e6_of(price, part, paying=is_buy)
        fees += leg.fee(price, part)
        limit, left = price, left - part
        if left <= 0:
            break
    return limit, walked, fees + (walked if is_buy else -walked)


def _spent(price_e4: int, size: int, leg: MendLeg, *, is_buy: bool) -> int:
    if not size or not 0 < price_e4 < PRICE_ONE_E4:
        return cash_e6_of(price_e4, size, paying=True) if is_buy else -cash_e6_of(price_e4, size, paying=False)
    return _walk([(price_e4, size)], size, leg, is_buy=is_buy)[2]


def _locked(legs: Sequence[MendLeg], moved: dict[int, int], spent_e6: int) -> int:
    """Return the least payoff over the outcomes of what is held and moved, less the cash that left."""
    outcomes = range(len(legs[0].pays_e4))
    held = [(leg, leg.held_e6 + moved.get(leg.leg_no, 0)) for leg in legs]
    payoff_e10 = min(sum(leg.pays_e4[index] * size for leg, size in held) for index in outcomes)
    return payoff_e10 // PRICE_SCALE - spent_e6


def _floor(size: int, leg: MendLeg) -> int:
    return max(0, size - size % leg.size_step_e6)
