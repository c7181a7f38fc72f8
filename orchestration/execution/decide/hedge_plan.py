"""What a hedge is and how it stands: its plan, what its orders have come to, and the figures that follow. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from streams.market.events import Levels
from streams.market.identity import Outcome, Venue, market_key
from streams.market.trading import Action, OrderRow, Purpose
from streams.market.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE

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
    """What was decided: legs in the order they are bought, contracts of each, and the bounds.

    `holds_ms`: by leg, how long its order is held back after the first has left, where all leave at once; empty where
    one leg is bought after the other.
    """

    legs: tuple[PlanLeg, ...]
    size_e6: int
    slippage_e4: int
    exposure_budget_e6: int
    exposure_budget_e6_s: int
    dust_e6: int
    """Exposure that is too small to be traded away is accepted up to this, and written down."""
    loss_bound_e6: int = 0
    """The most the whole hedge may lose; 0 in plans of before there was one."""
    planned_profit_e6: int = 0
    """What the plan locks, fees in."""
    exposure_alarm_e6_s: int = 0
    """Exposure times seconds at which a person is told and mending goes on; 0 in plans of before there was one."""
    holds_ms: tuple[int, ...] = ()

    @property
    def market_keys(self) -> list[str]:
        """The markets of its legs as "venue:market_id", each once, in alphabetical order."""
        return sorted({leg.market_key for leg in self.legs})


@dataclass(frozen=True, slots=True)
class OrderFact:
    """One order of the execution as it is known now.

    Attributes:
        spent_e6: Cash that left for what filled, fees included; negative for a sale.
        action: As it changes the leg: buying its complement is a sale.
        filled_e6: Contracts by the fills that were read, and by the venue's answer for the rest.
        is_resolved: No more of it can fill: a reading or the answer is proof.
        rest_e6 / rest_spent_e6: If not resolved: contracts that may still fill and the worst cash they take.
        was_sent: It left, or nobody knows yet whether it did.
    """

    leg_no: int
    purpose: Purpose
    action: Action
    filled_e6: int
    spent_e6: int
    is_resolved: bool
    rest_e6: int = 0
    rest_spent_e6: int = 0
    was_sent: bool = True


def order_facts(orders: Sequence[OrderRow]) -> list[OrderFact]:
    """Return what an execution's orders mean for its hedge.

    A complement that was bought is a sale of its leg: of each contract a pair is left, which pays a dollar in every
    outcome and counts as that dollar.
    """
    return [_order_fact(order) for order in orders]


def _order_fact(order: OrderRow) -> OrderFact:
    is_pair = order.purpose == "complement"
    return OrderFact(
        leg_no=order.leg_no,
        purpose=order.purpose,
        action="sell" if is_pair else order.action,
        filled_e6=order.known_e6,
        spent_e6=order.spent_e6 - (_pairs_e6(order.known_e6) if is_pair else 0),
        is_resolved=order.has_ended,
        rest_e6=order.rest_e6,
        rest_spent_e6=order.rest_spent_e6 - (_pairs_e6(order.rest_e6) if is_pair else 0),
        was_sent=order.sent_at is not None or not order.has_ended,
    )


def _pairs_e6(size_e6: int) -> int:
    return size_e6 * CASH_SCALE // SIZE_SCALE


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
