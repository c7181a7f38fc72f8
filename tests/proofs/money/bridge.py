"""From a trade's gross edge to its cash, step by step. PURE.

The steps are exact fractions of the plan and of what the orders did; each is rounded to the millionth of a dollar in
such a way that they add up to the cash exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from orchestration.execution.decide.hedge_plan import Plan
from streams.market.trading import Action, Purpose
from streams.market.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE

STEPS = (
    "gross edge",
    "planned fees",
    "not filled",
    "opening slippage",
    "completing slippage",
    "fee slippage",
    "unwinds",
    "dust",
    "void",
    "not paid yet",
)
"""The steps in their order; all but the first take from the gross edge, or give back where they are above 0."""


@dataclass(frozen=True, slots=True)
class Done:
    """What one order did: contracts, cash without fees (paid or received, at least 0) and its fee, all in 1e-6.

    A `complement` buys the other outcome of its leg: it counts as a sale for what is left of the dollar that both pay.
    """

    leg_no: int
    purpose: Purpose
    action: Action
    filled_e6: int
    cash_e6: int
    fee_e6: int

    @property
    def is_buy(self) -> bool:
        """Whether it adds to its leg."""
        return self.action == "buy" and self.purpose != "complement"

    @property
    def pairs_e6(self) -> int:
        """What the pairs pay that a complement has made, in any outcome."""
        return self.filled_e6 * CASH_SCALE // SIZE_SCALE if self.purpose == "complement" else 0

    @property
    def received_e6(self) -> int:
        """What a sale brought before its fee; of a complement the dollar of each pair less its price."""
        return self.pairs_e6 - self.cash_e6 if self.purpose == "complement" else self.cash_e6


@dataclass(frozen=True, slots=True)
class Settled:
    """What the venues have paid out for a trade so far (1e-6 dollar), and whether all of it is paid."""

    paid_e6: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg as it ended: what it bought and sold, exactly."""

    orders: tuple[Done, ...]
    planned_cost_e6: int

    @property
    def bought_e6(self) -> int:
        """Contracts bought."""
        return sum(order.filled_e6 for order in self.orders if order.is_buy)

    @property
    def sold_e6(self) -> int:
        """Contracts sold, or paired with their complement."""
        return sum(order.filled_e6 for order in self.orders if not order.is_buy)

    @property
    def held_e6(self) -> int:
        """Contracts kept."""
        return self.bought_e6 - self.sold_e6

    @property
    def spent_e6(self) -> int:
        """Cash and fees of the purchases."""
        return sum(order.cash_e6 + order.fee_e6 for order in self.orders if order.is_buy)

    def share(self, contracts_e6: int) -> Fraction:
        """Return the part of its purchases that some contracts are; 0 where nothing was bought."""
        return Fraction(contracts_e6, self.bought_e6) if self.bought_e6 else Fraction(0)


def locked_e6(plan: Plan, orders: Sequence[Done]) -> int:
    """Return cash so far plus the least that what is held pays in a normal outcome (1e-6 dollar), payouts left out."""
    return _least_payoff_e6(plan, _legs(plan, orders)) + _pairs_e6(orders) - _cash_out_e6(orders)


def bridge(plan: Plan, orders: Sequence[Done], settled: Settled) -> dict[str, int]:
    """Return each of `STEPS` in 1e-6 dollar; they add up to the trade's cash so far.

    Args:
        plan: What was decided.
        orders: What all its orders did.
        settled: What was paid out since.
    """
    found: dict[str, int] = {}
    exact, rounded = Fraction(0), 0
    for name, step in zip(STEPS, _steps(plan, _legs(plan, orders), orders, settled), strict=True):
        exact += step
        found[name] = round(exact) - rounded
        rounded = round(exact)
    return found


def _steps(plan: Plan, legs: Mapping[int, Leg], orders: Sequence[Done], settled: Settled) -> Iterator[Fraction]:
    gross = Fraction(_payoff_e10(plan, dict.fromkeys(legs, plan.size_e6)), PRICE_SCALE)
    gross -= sum(leg.planned_cost_e6 for leg in legs.values())
    fees = gross - plan.planned_profit_e6
    matched = min(leg.held_e6 for leg in legs.values())
    part = Fraction(matched, plan.size_e6)
    yield gross
    yield -fees
    yield -plan.planned_profit_e6 * (1 - part)
    yield -sum((_slippage(plan, leg, matched, ("open",)) for leg in legs.values()), Fraction(0))
    yield -sum((_slippage(plan, leg, matched, ("complete",)) for leg in legs.values()), Fraction(0))
    paid = sum((leg.share(matched) * _buy_fees_e6(leg) for leg in legs.values()), Fraction(0))
    yield fees * part - paid
    yield sum((_unwound(leg) for leg in legs.values()), Fraction(0))
    least = _least_payoff_e6(plan, legs)
    yield (least - Fraction(_payoff_e10(plan, dict.fromkeys(legs, matched)), PRICE_SCALE) - _excess(legs, matched))
    due = least + _pairs_e6(orders)
    yield Fraction(settled.paid_e6 - due if settled.is_over else 0)
    yield Fraction(0 if settled.is_over else settled.paid_e6 - due)


def _legs(plan: Plan, orders: Sequence[Done]) -> dict[int, Leg]:
    return {
        leg.leg_no: Leg(tuple(order for order in orders if order.leg_no == leg.leg_no), leg.cost_e6)
        for leg in plan.legs
    }


def _slippage(plan: Plan, leg: Leg, matched: int, purposes: Sequence[Purpose]) -> Fraction:
    """Return what the matched contracts of some orders cost beyond the plan's average price of the leg."""
    buys = [order for order in leg.orders if order.is_buy and order.purpose in purposes]
    planned = Fraction(leg.planned_cost_e6, plan.size_e6)
    return leg.share(matched) * sum((order.cash_e6 - planned * order.filled_e6 for order in buys), Fraction(0))


def _unwound(leg: Leg) -> Fraction:
    """Return what sales brought less what was paid for what they sold."""
    sales = [order for order in leg.orders if not order.is_buy]
    return sum(order.received_e6 - order.fee_e6 for order in sales) - leg.share(leg.sold_e6) * leg.spent_e6


def _excess(legs: Mapping[int, Leg], matched: int) -> Fraction:
    """Return what the contracts beyond the matched ones cost, fees in."""
    return sum((leg.share(leg.held_e6 - matched) * leg.spent_e6 for leg in legs.values()), Fraction(0))


def _buy_fees_e6(leg: Leg) -> int:
    return sum(order.fee_e6 for order in leg.orders if order.is_buy)


def _pairs_e6(orders: Sequence[Done]) -> int:
    return sum(order.pairs_e6 for order in orders)


def _cash_out_e6(orders: Sequence[Done]) -> int:
    return sum(order.fee_e6 + (order.cash_e6 if order.action == "buy" else -order.cash_e6) for order in orders)


def _least_payoff_e6(plan: Plan, legs: Mapping[int, Leg]) -> int:
    return _payoff_e10(plan, {number: leg.held_e6 for number, leg in legs.items()}) // PRICE_SCALE


def _payoff_e10(plan: Plan, held: Mapping[int, int]) -> int:
    """Return the least that holdings pay over the normal outcomes."""
    cases = range(len(plan.legs[0].pays_e4))
    return min(sum(leg.pays_e4[case] * held[leg.leg_no] for leg in plan.legs) for case in cases)
