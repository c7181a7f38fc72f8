"""The state machine of one hedge. PURE: facts about orders come in, the next step comes out.

    PLANNED -> OPENING -> COMPLETING / UNWINDING -> HEDGED | FLAT | ESCALATED -> SETTLED

Nothing is remembered between calls: the step follows from the plan, the orders so far and fresh books, so that a run
that was killed is continued by whoever reads the same rows. Legs are bought one after the other, the hardest first;
what one leg got is what the others must match. A leg that stays short is completed within the slippage bound, else the
excess of the others is sold. While an order's outcome is not known nothing is placed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from streams.market.events import Levels
from streams.market.identity import Outcome, Venue, market_key
from streams.market.trading import Action, ExecutionState, OrderRow, Purpose, SwitchState
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE

MAX_COMPLETIONS = 4
MAX_UNWINDS = 8
TINY_E6 = 20_000
"""Two cents: what spending whole cents leaves unmatched is not worth an order."""
_MAX_ENUMERATED = 10


@dataclass(frozen=True, slots=True)
class PlanLeg:
    """One leg as decided.

    `pays_e4`: what one contract pays in each normal outcome, in one order for all legs. `cost_e6`: what the planned
    size costs on the books it was decided on, without fees.
    """

    leg_no: int
    venue: Venue
    market_id: str
    outcome: Outcome
    limit_price_e4: int
    pays_e4: tuple[int, ...]
    cost_e6: int
    size_step_e6: int = 10_000
    min_size_e6: int = 10_000
    min_notional_e6: int = 0

    @property
    def market_key(self) -> str:
        """Its market's name "venue:market_id"."""
        return market_key(self.venue, self.market_id)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided: legs in the order they are bought, contracts of each, and the bounds."""

    legs: tuple[PlanLeg, ...]
    size_e6: int
    slippage_e4: int
    exposure_budget_e6: int
    exposure_budget_e6_s: int
    dust_e6: int
    """Exposure that is too small to be traded away is accepted up to this, and written down."""
    loss_bound_e6: int = 0
    """The most the whole hedge may lose; 0 in plans of before there was one."""

    @property
    def market_keys(self) -> list[str]:
        """The markets of its legs as "venue:market_id", each once, in alphabetical order."""
        return sorted({leg.market_key for leg in self.legs})


@dataclass(frozen=True, slots=True)
class OrderFact:
    """One order of the execution as it is known now.

    Attributes:
        spent_e6: Cash that left for what filled, fees included; negative for a sale.
        filled_e6: Contracts by the fills that were read, and by the venue's answer for the rest.
        is_resolved: No more of it can fill: a reading or the answer is proof.
        rest_e6 / rest_spent_e6: If not resolved: contracts that may still fill and the worst cash they take.
    """

    leg_no: int
    purpose: Purpose
    action: Action
    filled_e6: int
    spent_e6: int
    is_resolved: bool
    rest_e6: int = 0
    rest_spent_e6: int = 0


@dataclass(frozen=True, slots=True)
class LegBook:
    """A leg's market right now: `asks` to buy from and `bids` to sell into, best first, in prices of the outcome.

    `sellable_e6`: contracts the venue would let us sell (on Polymarket only what is confirmed).
    """

    asks: Levels
    bids: Levels
    sellable_e6: int


@dataclass(frozen=True, slots=True)
class RunConditions:
    """What holds beside the orders: the switch, and how much for how long the execution has been exposed."""

    switch: SwitchState
    exposure_usd_seconds_e6: int
    is_overdue: bool
    """The time this execution may take is over."""
    may_complete: bool = True
    """Short legs may be bought; not once an abandoned order has filled after all."""


@dataclass(frozen=True, slots=True)
class Place:
    """Send one order that takes what is there and leaves nothing resting. `cost_e6`: what it should cost or bring."""

    leg_no: int
    purpose: Purpose
    action: Action
    limit_price_e4: int
    size_e6: int
    cost_e6: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now; look again with fresh facts."""

    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The execution ends in `state`."""

    state: ExecutionState
    why: str


Step = Place | Wait | Finish


def order_facts(orders: Sequence[OrderRow]) -> list[OrderFact]:
    """Return what an execution's orders mean for its hedge."""
    return [
        OrderFact(
            leg_no=order.leg_no,
            purpose=order.purpose,
            action=order.action,
            filled_e6=order.known_e6,
            spent_e6=order.spent_e6,
            is_resolved=order.has_ended,
            rest_e6=order.rest_e6,
            rest_spent_e6=order.rest_spent_e6,
        )
        for order in orders
    ]


def holdings(plan: Plan, orders: Sequence[OrderFact]) -> dict[int, int]:
    """Return contracts held per leg."""
    held = {leg.leg_no: 0 for leg in plan.legs}
    for order in orders:
        held[order.leg_no] += order.filled_e6 if order.action == "buy" else -order.filled_e6
    return held


def spent_e6(orders: Sequence[OrderFact]) -> int:
    """Return the cash that left for all fills, fees included, less what came in."""
    return sum(order.spent_e6 for order in orders)


def locked_e6(plan: Plan, orders: Sequence[OrderFact]) -> int:
    """Return what the fills so far are worth in the worst normal outcome, less what they cost. May be negative."""
    return _worst(plan, holdings(plan, orders), spent_e6(orders))


def exposure_e6(plan: Plan, orders: Sequence[OrderFact]) -> int:
    """Return max(0, -min over outcomes of (payoff - cash spent)); unknown orders counted both ways, the worse taken."""
    unresolved = [order for order in orders if not order.is_resolved and order.rest_e6]
    held, spent = holdings(plan, orders), spent_e6(orders)
    if len(unresolved) > _MAX_ENUMERATED:
        return max(0, spent + sum(max(0, order.rest_spent_e6) for order in unresolved))
    worst = 0
    for choice in product((False, True), repeat=len(unresolved)):
        case, cash = dict(held), spent
        for order, happened in zip(unresolved, choice, strict=True):
            if happened:
                case[order.leg_no] += order.rest_e6 if order.action == "buy" else -order.rest_e6
                cash += order.rest_spent_e6
        worst = min(worst, _worst(plan, case, cash))
    return -worst


def _worst(plan: Plan, held: Mapping[int, int], spent: int) -> int:
    outcomes = range(len(plan.legs[0].pays_e4))
    payoff_e10 = min(sum(leg.pays_e4[index] * held[leg.leg_no] for leg in plan.legs) for index in outcomes)
    return payoff_e10 // PRICE_SCALE - spent


def state_of(orders: Sequence[OrderFact]) -> ExecutionState:
    """Return the open state the orders so far leave an execution in."""
    if not orders:
        return ExecutionState.PLANNED
    return {
        "open": ExecutionState.OPENING,
        "complete": ExecutionState.COMPLETING,
        "unwind": ExecutionState.UNWINDING,
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
    if any(not order.is_resolved for order in orders):
        if conditions.is_overdue or conditions.switch == "kill":
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
    step = _complete(plan, orders, gaps, books, conditions) or _unwind(plan, orders, held, books)
    if isinstance(step, Wait) and conditions.is_overdue:
        return Finish(ExecutionState.ESCALATED, step.why)
    return step


def _open(plan: Plan, conditions: RunConditions) -> Step:
    if conditions.switch != "run":
        return Finish(ExecutionState.FLAT, f"the switch says {conditions.switch}")
    first = plan.legs[0]
    return Place(first.leg_no, "open", "buy", first.limit_price_e4, plan.size_e6, first.cost_e6)


def _balanced(plan: Plan, orders: Sequence[OrderFact], target: int) -> Step:
    """All legs match up to what no order can change."""
    is_empty = min(holdings(plan, orders).values()) < min(leg.size_step_e6 for leg in plan.legs)
    if is_empty and unmatched_e6(plan, orders) <= plan.dust_e6:
        return Finish(ExecutionState.FLAT, "what is left is within the accepted dust" if target else "nothing is held")
    if unmatched_e6(plan, orders) > plan.dust_e6:
        return Finish(ExecutionState.ESCALATED, "what is held is too small to trade and above what is accepted")
    return Finish(ExecutionState.HEDGED, "all legs are filled")


def _complete(
    plan: Plan,
    orders: Sequence[OrderFact],
    gaps: Sequence[tuple[PlanLeg, int]],
    books: Mapping[int, LegBook | None],
    conditions: RunConditions,
) -> Place | Wait | None:
    """Return the order that fills the first leg that is short; None when completing is no longer the way."""
    is_over = any(order.purpose == "unwind" for order in orders) or not conditions.may_complete
    if is_over or conditions.exposure_usd_seconds_e6 > plan.exposure_budget_e6_s:
        return None
    for leg, gap in gaps:
        size = floor_size(gap, leg)
        if size == 0:
            continue
        tried = [order for order in orders if order.leg_no == leg.leg_no]
        if len(tried) > MAX_COMPLETIONS or size < leg.min_size_e6:
            return None
        book = books.get(leg.leg_no)
        if book is None:
            return None if conditions.is_overdue else Wait("no fresh book of a leg that is short")
        return _completing_order(plan, leg, size, book, purpose="complete" if tried else "open")
    return None


def _completing_order(plan: Plan, leg: PlanLeg, size: int, book: LegBook, *, purpose: Purpose) -> Place | None:
    bound = min(leg.limit_price_e4 + plan.slippage_e4, PRICE_ONE_E4 - 1)
    there = sum(level for price, level in book.asks if price <= bound)
    wanted = floor_size(min(size, there), leg)
    if wanted < max(leg.min_size_e6, leg.size_step_e6):
        return None
    limit, cost = walk_levels(book.asks, wanted)
    return None if cost < leg.min_notional_e6 else Place(leg.leg_no, purpose, "buy", limit, wanted, cost)


def _unwind(
    plan: Plan, orders: Sequence[OrderFact], held: Mapping[int, int], books: Mapping[int, LegBook | None]
) -> Step:
    """Return the sale of what is held beyond the least held leg."""
    base = min(held.values())
    if sum(order.purpose == "unwind" for order in orders) >= MAX_UNWINDS:
        return Finish(ExecutionState.ESCALATED, "the excess could not be sold")
    why = ""
    for leg in plan.legs:
        excess = floor_size(held[leg.leg_no] - base, leg)
        if excess < max(leg.min_size_e6, leg.size_step_e6):
            continue
        book = books.get(leg.leg_no)
        if book is None or not book.bids:
            why = "no bid to sell the excess to"
            continue
        sellable = floor_size(min(excess, book.sellable_e6, sum(size for _, size in book.bids)), leg)
        if sellable < max(leg.min_size_e6, leg.size_step_e6):
            why = "the excess cannot be sold yet"
            continue
        limit, brings = walk_levels(book.bids, sellable)
        return Place(leg.leg_no, "unwind", "sell", limit, sellable, brings)
    return Wait(why) if why else _accept(plan, orders, held)


def _accept(plan: Plan, orders: Sequence[OrderFact], held: Mapping[int, int]) -> Finish:
    """End with what no order can mend: accepted as dust, else with an alarm."""
    if unmatched_e6(plan, orders) > plan.dust_e6:
        return Finish(ExecutionState.ESCALATED, "what is left is too small to trade and above what is accepted")
    state = ExecutionState.HEDGED if min(held.values()) else ExecutionState.FLAT
    return Finish(state, "what is left is too small to trade and within what is accepted")


def unmatched_e6(plan: Plan, orders: Sequence[OrderFact]) -> int:
    """Return what the contracts beyond the least held leg have cost, fees included."""
    held = holdings(plan, orders)
    base = min(held.values())
    total = 0
    for leg in plan.legs:
        buys = [order for order in orders if order.leg_no == leg.leg_no and order.action == "buy" and order.filled_e6]
        bought = sum(order.filled_e6 for order in buys)
        if bought:
            total += (held[leg.leg_no] - base) * sum(order.spent_e6 for order in buys) // bought
    return total


def walk_levels(levels: Levels, size: int) -> tuple[int, int]:
    """Return the price of the last level needed for `size`, and what all of it costs (1e-6 dollar)."""
    left, limit, product_e10 = size, 0, 0
    for price, level in levels:
        part = min(left, level)
        product_e10 += price * part
        limit, left = price, left - part
        if left <= 0:
            break
    return limit, product_e10 // PRICE_SCALE


def floor_size(size: int, leg: PlanLeg) -> int:
    """Return the part of a size that orders of this leg can have; never negative."""
    return max(0, size - size % leg.size_step_e6)
