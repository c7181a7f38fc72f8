"""The state machine of one hedge. PURE: facts about orders come in, the next step comes out.

    PLANNED -> OPENING -> COMPLETING / UNWINDING -> HEDGED | FLAT | ESCALATED -> SETTLED

Nothing is remembered between calls: the step follows from the plan, the orders so far and fresh books, so that a run
that was killed is continued by whoever reads the same rows. Legs are bought at their planned prices while the plan's
books are young: all at once where the plan says so, else one after the other, the least sure first; what one leg got is
what the others must match. What is out of balance is mended in the cheapest way that its loss bound allows (`mending`).
While an order's outcome is not known nothing is placed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestration.execution.decide.exposure import alarm_e6_s
from orchestration.execution.decide.hedge_plan import (
    OrderFact,
    Plan,
    PlanLeg,
    exposure_e6,
    floor_size,
    holdings,
    spent_e6,
    unmatched_e6,
)
from orchestration.execution.decide.mending import Bounds, Mend, MendLeg, best_mend
from streams.market.events import Levels
from streams.market.trading import Action, ExecutionState, Purpose, SwitchState
from streams.market.units import PRICE_SCALE, cash_e6_of
from streams.market.venue_traits import TRAITS

MAX_COMPLETIONS = 4
MAX_UNWINDS = 8
TINY_E6 = 20_000
"""Two cents: what spending whole cents leaves unmatched is not worth an order."""
TOO_LONG = "exposed for too long"


@dataclass(frozen=True, slots=True)
class LegBook:
    """A leg's market right now: `asks` to buy from and `bids` to sell into, best first, in prices of the outcome.

    `sellable_e6`: contracts the venue would let us sell (on Polymarket only what is confirmed). `fee`: (price_e4,
    size_e6) -> the taker's fee of one fill.
    """

    asks: Levels
    bids: Levels
    sellable_e6: int
    fee: Callable[[int, int], int]


@dataclass(frozen=True, slots=True)
class RunConditions:
    """What holds beside the orders: the switch, and how much for how long the execution has been exposed."""

    switch: SwitchState
    exposure_usd_seconds_e6: int
    is_overdue: bool
    """The time this execution may take is over."""
    may_exceed_plan: bool = True
    """False once an abandoned order has filled after all: nothing is bought beyond the planned size, and nothing at all
    where a leg is empty, because the hedge had ended flat and what was held back for it is free again."""
    is_plan_fresh: bool = False
    """The books of the plan are within the decision's life: its legs may still be bought as planned."""
    day_loss_left_e6: int | None = None
    """What mending may still lose today, of all hedges together; None: no bound but the hedge's own."""


@dataclass(frozen=True, slots=True)
class Place:
    """Send one order that takes what is there and leaves nothing resting.

    Attributes:
        cost_e6: What it should cost or bring, without fees.
        mend: Why it is sent, where it mends: its target, break-even and stop, and what holding would leave.
    """

    leg_no: int
    purpose: Purpose
    action: Action
    limit_price_e4: int
    size_e6: int
    cost_e6: int
    mend: Mend | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PlaceAtOnce:
    """Send an order for every leg before any is answered.

    `holds_ms`: by order, how long it is held back after the first has left, so that all match together.
    """

    places: tuple[Place, ...]
    holds_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now; look again with fresh facts."""

    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The execution ends in `state`."""

    state: ExecutionState
    why: str


Step = Place | PlaceAtOnce | Wait | Finish


def state_of(orders: Sequence[OrderFact]) -> ExecutionState:
    """Return the open state the orders so far leave an execution in."""
    if not orders:
        return ExecutionState.PLANNED
    return {
        "open": ExecutionState.OPENING,
        "complete": ExecutionState.COMPLETING,
        "unwind": ExecutionState.UNWINDING,
        "complement": ExecutionState.UNWINDING,
        "flatten": ExecutionState.UNWINDING,
    }[orders[-1].purpose]


def next_step(
    plan: Plan, orders: Sequence[OrderFact], books: Mapping[int, LegBook | None], conditions: RunConditions
) -> Step:
    """Return what to do now.

    Args:
        plan: What was decided.
        orders: All orders of the execution, in the order they were written.
        books: Fresh book per leg number; None where there is none that may be trusted.
        conditions: Switch, budgets and time.
    """
    is_too_much = _is_over_cap(plan, orders)
    is_spent = is_too_much or conditions.exposure_usd_seconds_e6 >= plan.exposure_budget_e6_s
    if any(not order.is_resolved for order in orders):
        if conditions.is_overdue or conditions.switch == "kill" or is_spent:
            return Finish(ExecutionState.ESCALATED, "the outcome of an order is not known")
        return Wait("the outcome of an order is not known yet")
    if not orders:
        return _open(plan, conditions)
    held = holdings(plan, orders)
    target = max(held.values())
    gaps = [(leg, target - held[leg.leg_no]) for leg in plan.legs]
    if unmatched_e6(plan, orders) <= TINY_E6 or all(floor_size(gap, leg) == 0 for leg, gap in gaps):
        return _balanced(plan, orders, target)
    if conditions.switch == "kill":
        return Finish(ExecutionState.ESCALATED, "killed with open exposure")
    if is_spent:
        return Finish(ExecutionState.ESCALATED, "more is exposed than the cap allows" if is_too_much else TOO_LONG)
    step = _as_planned(plan, orders, conditions) or _mend(plan, orders, books, conditions)
    if isinstance(step, Place):
        step = _within_cap(plan, orders, step)
    if isinstance(step, Wait) and conditions.is_overdue:
        return Finish(ExecutionState.ESCALATED, step.why)
    return step


def _is_over_cap(plan: Plan, orders: Sequence[OrderFact]) -> bool:
    """Whether what has filled exposes more than the cap: no order of ours does, but a fill that fails or comes late."""
    return exposure_e6(plan, [replace(order, is_resolved=True) for order in orders]) > plan.exposure_budget_e6


def _open(plan: Plan, conditions: RunConditions) -> Step:
    if conditions.switch != "run":
        return Finish(ExecutionState.FLAT, f"the switch says {conditions.switch}")
    if plan.holds_ms and exposure_e6(plan, [under_way(opening(plan, leg)) for leg in plan.legs]) <= (
        plan.exposure_budget_e6
    ):
        return PlaceAtOnce(tuple(opening(plan, leg) for leg in plan.legs), plan.holds_ms)
    step = _within_cap(plan, [], opening(plan, plan.legs[0]))
    return Finish(ExecutionState.FLAT, step.why) if isinstance(step, Wait) else step


def opening(plan: Plan, leg: PlanLeg) -> Place:
    """Return the order that buys a leg as planned."""
    return Place(leg.leg_no, "open", "buy", leg.limit_price_e4, plan.size_e6, leg.cost_e6)


def _balanced(plan: Plan, orders: Sequence[OrderFact], target: int) -> Step:
    """All legs match up to what no order can change."""
    is_empty = min(holdings(plan, orders).values()) < min(leg.size_step_e6 for leg in plan.legs)
    if is_empty and unmatched_e6(plan, orders) <= plan.dust_e6:
        return Finish(ExecutionState.FLAT, "what is left is within the accepted dust" if target else "nothing is held")
    if unmatched_e6(plan, orders) > plan.dust_e6:
        return Finish(ExecutionState.ESCALATED, "what is held is too small to trade and above what is accepted")
    return Finish(ExecutionState.HEDGED, "all legs are filled")


def needs_books(plan: Plan, orders: Sequence[OrderFact], conditions: RunConditions) -> bool:
    """Whether the next step depends on the books of this moment."""
    has_ended = bool(orders) and all(order.is_resolved for order in orders)
    return has_ended and unmatched_e6(plan, orders) != 0 and _as_planned(plan, orders, conditions) is None


def _as_planned(plan: Plan, orders: Sequence[OrderFact], conditions: RunConditions) -> Place | None:
    """Return the next leg at its planned price while the books of the plan are young, and nothing has gone wrong."""
    is_as_planned = conditions.is_plan_fresh and conditions.may_exceed_plan
    if not is_as_planned or any(order.action == "sell" for order in orders):
        return None
    held, tried = holdings(plan, orders), {order.leg_no for order in orders if order.was_sent}
    for leg in plan.legs:
        size = floor_size(min(max(held.values()) - held[leg.leg_no], plan.size_e6), leg)
        if leg.leg_no in tried or size < max(leg.min_size_e6, leg.size_step_e6):
            continue
        cost = -(-leg.cost_e6 * size // plan.size_e6)
        return None if cost < leg.min_notional_e6 else Place(leg.leg_no, "open", "buy", leg.limit_price_e4, size, cost)
    return None


def _mend(
    plan: Plan, orders: Sequence[OrderFact], books: Mapping[int, LegBook | None], conditions: RunConditions
) -> Step:
    """Return the first order of the cheapest way to balance; where holding is, wait for other books."""
    held = holdings(plan, orders)
    uneven = [leg for leg in plan.legs if held[leg.leg_no] != min(held.values())] + [
        leg for leg in plan.legs if held[leg.leg_no] != max(held.values())
    ]
    if not conditions.is_overdue and any(books.get(leg.leg_no) is None for leg in uneven):
        return Wait("no fresh book of a leg that is out of balance")
    legs = [_mend_leg(leg, held[leg.leg_no], books.get(leg.leg_no), orders) for leg in plan.legs]
    most = None if conditions.may_exceed_plan else plan.size_e6 if min(held.values()) else 0
    spent, bounds = spent_e6(orders), Bounds(plan.planned_profit_e6, _loss_bound_e6(plan, conditions), most)
    if conditions.is_overdue or conditions.exposure_usd_seconds_e6 >= alarm_e6_s(plan):
        found = best_mend(legs, spent, bounds)
    else:
        # The way is chosen as if all could be sold: what cannot be yet is waited for, not tied up until the result.
        found = best_mend([replace(leg, sellable_e6=max(leg.sellable_e6, leg.held_e6)) for leg in legs], spent, bounds)
        if found is not None and found.way == "unwind" and found.size_e6 > _sellable_e6(legs, found.leg_no):
            found = best_mend([replace(leg, can_pair=False, may_buy=False) for leg in legs], spent, bounds)
            if found is None:
                return Wait("the excess cannot be sold yet")
    if found is None:
        is_used_up = not any(leg.may_buy or leg.may_sell for leg in legs)
        if is_used_up or unmatched_e6(plan, orders) <= plan.dust_e6 or not _is_tradable(plan, held):
            return _accept(plan, orders, held)
        return Wait("no way to balance is within the loss bound")
    action: Action = "sell" if found.way == "unwind" else "buy"
    is_first = not any(order.leg_no == found.leg_no for order in orders)
    purpose: Purpose = "open" if found.way == "complete" and is_first else found.way
    return Place(found.leg_no, purpose, action, found.limit_price_e4, found.size_e6, found.cost_e6, found)


def _sellable_e6(legs: Sequence[MendLeg], leg_no: int) -> int:
    return next(leg.sellable_e6 for leg in legs if leg.leg_no == leg_no)


def _mend_leg(leg: PlanLeg, held: int, book: LegBook | None, orders: Sequence[OrderFact]) -> MendLeg:
    bought = sum(order.leg_no == leg.leg_no and order.purpose in ("open", "complete") for order in orders)
    given_up = sum(order.purpose in ("unwind", "complement") for order in orders)
    return MendLeg(
        leg_no=leg.leg_no,
        held_e6=held,
        pays_e4=leg.pays_e4,
        likely_e4=leg.limit_price_e4,
        asks=[] if book is None else book.asks,
        bids=[] if book is None else book.bids,
        sellable_e6=0 if book is None else book.sellable_e6,
        fee=_no_fee if book is None else book.fee,
        size_step_e6=leg.size_step_e6,
        min_size_e6=leg.min_size_e6,
        min_notional_e6=leg.min_notional_e6,
        can_pair=TRAITS[leg.venue].fills_are_provisional,
        may_buy=bought <= MAX_COMPLETIONS,
        may_sell=given_up < MAX_UNWINDS,
    )


def _no_fee(_price_e4: int, _size_e6: int) -> int:
    """The fee where there is no book: nothing can be traded there, so nothing is charged."""
    return 0


def _loss_bound_e6(plan: Plan, conditions: RunConditions) -> int:
    """Return what the hedge may lose now; plans of before there was a bound have the one of their slippage."""
    bound = plan.loss_bound_e6 or plan.slippage_e4 * plan.size_e6 // PRICE_SCALE
    left = conditions.day_loss_left_e6
    return bound if left is None else min(bound, max(0, left))


def _is_tradable(plan: Plan, held: Mapping[int, int]) -> bool:
    """Whether an order of a size that its market takes could change the balance at all."""
    base, target = min(held.values()), max(held.values())
    return any(
        floor_size(max(held[leg.leg_no] - base, target - held[leg.leg_no]), leg)
        >= max(leg.min_size_e6, leg.size_step_e6)
        for leg in plan.legs
    )


def _within_cap(plan: Plan, orders: Sequence[OrderFact], step: Place) -> Place | Wait:
    """Return an order as large as the dollar cap on exposure allows, its outcome counted both ways.

    One that does not raise exposure is never made smaller.
    """
    leg = plan.legs[step.leg_no]
    allowed = max(plan.exposure_budget_e6, exposure_e6(plan, orders))

    def cut(size: int) -> Place:
        return replace(step, size_e6=size, cost_e6=-(-step.cost_e6 * size // step.size_e6))

    def fits(size: int) -> bool:
        return exposure_e6(plan, [*orders, under_way(cut(size))]) <= allowed

    if fits(step.size_e6):
        return step
    low, high = 0, step.size_e6 // leg.size_step_e6
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle * leg.size_step_e6) else (low, middle - 1)
    size = low * leg.size_step_e6
    if size < max(leg.min_size_e6, leg.size_step_e6) or cut(size).cost_e6 < leg.min_notional_e6:
        return Wait("no order fits the cap on exposure")
    return cut(size)


def under_way(step: Place) -> OrderFact:
    """Return an order of which nobody knows yet whether it fills."""
    cash = cash_e6_of(step.limit_price_e4, step.size_e6, paying=True)
    if step.purpose == "complement":
        return OrderFact(step.leg_no, step.purpose, "sell", 0, 0, False, step.size_e6, cash - step.size_e6)
    worst = max(cash, step.cost_e6) if step.action == "buy" else -step.cost_e6
    return OrderFact(step.leg_no, step.purpose, step.action, 0, 0, False, step.size_e6, worst)


def _accept(plan: Plan, orders: Sequence[OrderFact], held: Mapping[int, int]) -> Finish:
    """End with what no order can mend: accepted as dust, else with an alarm."""
    if unmatched_e6(plan, orders) > plan.dust_e6:
        return Finish(ExecutionState.ESCALATED, "what is left is too small to trade and above what is accepted")
    state = ExecutionState.HEDGED if min(held.values()) else ExecutionState.FLAT
    return Finish(state, "what is left is too small to trade and within what is accepted")
