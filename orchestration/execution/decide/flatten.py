"""Selling all that an execution holds, because a person asked for it. PURE, like the hedge whose types it uses.

Balanced legs are sold in equal pieces, no larger than what every one of them can sell at that moment, so that a leg
without buyers stops the sale while the hedge still holds. Between the legs of a piece exposure rises; the leg whose
sale leaves the least of it goes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestration.execution.decide.hedge import Finish, LegBook, Place, RunConditions, Step, Wait
from orchestration.execution.decide.hedge_plan import (
    OrderFact,
    Plan,
    PlanLeg,
    exposure_e6,
    floor_size,
    holdings,
    unmatched_e6,
    walk_levels,
)
from streams.market.trading import ExecutionState

MAX_SALES = 24
"""Orders one flatten may take; each sells what is there and leaves nothing resting."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a flatten may go.

    Attributes:
        floors_e4: Per leg number, the least price it may be sold at; a leg without one has shown no bid yet.
        sales: Orders this flatten has sent.
    """

    floors_e4: Mapping[int, int]
    sales: int


def is_flattening(orders: Sequence[OrderFact]) -> bool:
    """Whether a person's flatten has begun: from then on nothing is bought for this execution."""
    return any(order.purpose == "flatten" for order in orders)


def floor_of(book: LegBook, slippage_e4: int) -> int | None:
    """Return the least price a leg may be sold at, from the best bid; None without a bid."""
    return max(1, book.bids[0][0] - slippage_e4) if book.bids else None


def flatten_step(
    plan: Plan,
    orders: Sequence[OrderFact],
    books: Mapping[int, LegBook | None],
    conditions: RunConditions,
    bound: Bound,
) -> Step:
    """Return what to do now to hold nothing any more.

    Args:
        plan: What was decided when it was opened.
        orders: All orders of the execution, in the order they were written.
        books: Fresh book per leg number; None where there is none that may be trusted.
        conditions: Switch and time.
        bound: Least prices and orders already used.
    """
    if any(not order.is_resolved for order in orders):
        if conditions.is_overdue or conditions.switch == "kill":
            return Finish(ExecutionState.ESCALATED, "the outcome of an order is not known")
        return Wait("the outcome of an order is not known yet")
    held = holdings(plan, orders)
    if all(floor_size(held[leg.leg_no], leg) == 0 for leg in plan.legs):
        return end_of(plan, orders, "what is left is too small to sell" if any(held.values()) else "all is sold")
    if conditions.switch == "kill":
        return end_of(plan, orders, "killed before all was sold")
    if bound.sales >= MAX_SALES:
        return end_of(plan, orders, "not all could be sold in the orders it may take")
    sales = _sales(plan, held, books, bound)
    if not sales:
        why = _why_not(plan, held, books, bound)
        return end_of(plan, orders, why) if conditions.is_overdue else Wait(why)
    return min(sales, key=lambda sale: (exposure_e6(plan, [*orders, _as_filled(sale)]), sale.leg_no))


def _sales(plan: Plan, held: Mapping[int, int], books: Mapping[int, LegBook | None], bound: Bound) -> list[Place]:
    """Return the sales that may be made now: of what exceeds the least held leg, else a piece of each."""
    base = min(held.values())
    uneven = [leg for leg in plan.legs if floor_size(held[leg.leg_no] - base, leg)]
    can_sell = {leg.leg_no: _sellable_e6(leg, held[leg.leg_no], books, bound) for leg in plan.legs}
    piece = min(can_sell[leg.leg_no] for leg in plan.legs if floor_size(held[leg.leg_no], leg))
    wanted = {leg.leg_no: held[leg.leg_no] - base for leg in uneven} or {leg.leg_no: piece for leg in plan.legs}
    result: list[Place] = []
    for leg in plan.legs:
        book = books.get(leg.leg_no)
        size = floor_size(min(wanted.get(leg.leg_no, 0), can_sell[leg.leg_no]), leg)
        if book is None or size < max(leg.min_size_e6, leg.size_step_e6):
            continue
        limit, brings = walk_levels(book.bids, size)
        result.append(Place(leg.leg_no, "flatten", "sell", limit, size, brings))
    return result


def _sellable_e6(leg: PlanLeg, held: int, books: Mapping[int, LegBook | None], bound: Bound) -> int:
    """Return contracts of a leg that could be sold now at its floor or better."""
    book, floor = books.get(leg.leg_no), bound.floors_e4.get(leg.leg_no)
    if book is None or floor is None:
        return 0
    depth = sum(size for price, size in book.bids if price >= floor)
    return floor_size(min(held, book.sellable_e6, depth), leg)


def _why_not(plan: Plan, held: Mapping[int, int], books: Mapping[int, LegBook | None], bound: Bound) -> str:
    """Return why nothing can be sold, naming the first leg in the way."""
    for leg in plan.legs:
        if _sellable_e6(leg, held[leg.leg_no], books, bound) or not floor_size(held[leg.leg_no], leg):
            continue
        book, name = books.get(leg.leg_no), f"{leg.outcome} of {leg.venue}:{leg.market_id}"
        if book is None:
            return f"no fresh book of {name}"
        if floor_size(min(held[leg.leg_no], book.sellable_e6), leg) == 0:
            return f"{name} is not confirmed and cannot be sold yet"
        return f"no bid for {name} within the bound"
    return "no leg can sell a piece that the others can match"


def _as_filled(sale: Place) -> OrderFact:
    return OrderFact(sale.leg_no, "flatten", "sell", sale.size_e6, -sale.cost_e6, is_resolved=True)


def end_of(plan: Plan, orders: Sequence[OrderFact], why: str) -> Finish:
    """Return the end as what is left says: nothing, a smaller hedge, or a leg that stands alone."""
    if unmatched_e6(plan, orders) > plan.dust_e6:
        return Finish(ExecutionState.ESCALATED, why)
    is_empty = min(holdings(plan, orders).values()) < min(leg.size_step_e6 for leg in plan.legs)
    return Finish(ExecutionState.FLAT if is_empty else ExecutionState.HEDGED, why)
