"""How many contracts of a bundle may be bought: the least of what depth, limits, cash and budgets allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.opportunities.edges import Edge, Offer, walk
from streams.market.units import PRICE_SCALE


@dataclass(frozen=True, slots=True)
class Cap:
    """One limit on the size; `name` is the refusal reason when nothing is left.

    `legs` are the indexes of the legs whose cost with fees counts against `cash_e6`.
    """

    name: str
    cash_e6: int
    legs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sized:
    """The edge at the size that may be bought, or None, and the limit that decided ("depth" when none did)."""

    edge: Edge | None
    binding: str


def size_bundle(
    offers: Sequence[Offer], payoff_e4: int, *, threshold_e4: int, max_contracts_e6: int, caps: Sequence[Cap]
) -> Sized:
    """Walk the books within every cap.

    The cost of a leg is estimated by its dearest level walked plus the fee there, then checked: no cap is passed.
    """
    free = walk(offers, payoff_e4, threshold_e4=threshold_e4, max_size_e6=max_contracts_e6)
    if free is None:
        unlimited = walk(offers, payoff_e4, threshold_e4=threshold_e4)
        return Sized(None, "below_minimum" if unlimited is None else "limit_order")
    size, binding = free.size_e6, "limit_order" if free.size_e6 >= max_contracts_e6 else "depth"
    for cap in caps:
        allowed = _contracts_for(free, cap, size)
        if allowed < size:
            size, binding = allowed, cap.name
    if size == free.size_e6:
        return Sized(free, binding)
    edge = walk(offers, payoff_e4, threshold_e4=threshold_e4, max_size_e6=max(size, 0))
    # What a fill rounds up does not shrink with the size, so the estimate can be a few millionths too large.
    while edge is not None and (passed := next((cap for cap in caps if _spent_e6(edge, cap) > cap.cash_e6), None)):
        size, binding = _contracts_for(edge, passed, edge.size_e6 - 1), passed.name
        edge = walk(offers, payoff_e4, threshold_e4=threshold_e4, max_size_e6=size)
    return Sized(edge, binding)


def _spent_e6(edge: Edge, cap: Cap) -> int:
    return sum(edge.legs[index].cost_e6 + edge.legs[index].fee_bound_e6 for index in cap.legs)


def _contracts_for(edge: Edge, cap: Cap, size: int) -> int:
    if _spent_e6(edge, cap) <= cap.cash_e6:
        return size
    if cap.cash_e6 <= 0:
        return 0
    legs = [edge.legs[index] for index in cap.legs]
    per_contract = sum(leg.limit_price_e4 + -(-leg.fee_bound_e6 * PRICE_SCALE // edge.size_e6) for leg in legs)
    return min(size, cap.cash_e6 * PRICE_SCALE // per_contract)
