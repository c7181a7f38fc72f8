"""The best portfolio over the books of a market group: the quantities of all asks with the largest certain profit.

A linear program (HiGHS) proposes quantities: maximise the smallest payoff over the normal outcomes less cost and fees.
Where minimum sizes, notionals or a number of legs bind, legs get an on/off switch (mixed integer). What it proposes is
then rounded to each leg's step and computed again in exact integers; only those figures are reported.
Pairs, strike ladders and sum-to-one events are all the same mathematics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from orchestration.opportunities.edges import Offer, Taken, take
from orchestration.opportunities.outcomes import OutcomeCase, normal_cases
from streams.market.identity import Outcome
from streams.market.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE, cash_e6_of

_SOLVER_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Leg:
    """One outcome of one market that can be bought. `account` is whose cash pays for it (the venue)."""

    market: str
    outcome: Outcome
    offer: Offer
    account: str
    cost_step_e6: int = 1
    """An order's cost is a multiple of this (venues that take dollars): the cost is rounded up to it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a portfolio; None where nothing does.

    `min_edge_e6` is what every dollar of locked payoff must earn at least, at the margin; `min_return_e6` what every
    dollar of capital must earn until the cash is back (an annualised return times days / 365), in 1/1,000,000.
    """

    max_cost_e6: int | None = None
    cost_by_account_e6: Mapping[str, int] = field(default_factory=dict)
    min_edge_e6: int = 0
    min_return_e6: int = 0
    max_legs: int | None = None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Exact figures of a set of bought legs; all amounts in 1/1,000,000 dollar.

    Attributes:
        legs: (leg, what was taken), sizes above zero.
        payoffs_e6: What the legs pay in each outcome, in the order of the cases (normal and stress).
        locked_e6: The smallest payoff over the normal outcomes less cost and fees.
        stress_loss_e6: The most that can be lost over the stress outcomes, at least 0.
        binding: Which limits decided.
    """

    legs: tuple[tuple[Leg, Taken], ...]
    payoffs_e6: tuple[int, ...]
    locked_e6: int
    stress_loss_e6: int
    binding: tuple[str, ...] = ()

    @property
    def cost_e6(self) -> int:
        """Cost of all legs without fees."""
        return sum(taken.cost_e6 for _, taken in self.legs)

    @property
    def fee_e6(self) -> int:
        """Fees of all legs."""
        return sum(taken.fee_e6 for _, taken in self.legs)

    @property
    def fee_bound_e6(self) -> int:
        """The most the fees can be."""
        return sum(taken.fee_bound_e6 for _, taken in self.legs)


def best_portfolio(legs: Sequence[Leg], cases: Sequence[OutcomeCase], limits: Limits) -> Portfolio:
    """Return the portfolio with the largest certain profit within the limits; empty when no profit is certain."""
    usable = [leg for leg in legs if leg.offer.levels]
    best = evaluate([], cases)
    if not usable:
        return best
    proposal = _solve(usable, cases, limits, switched=False)
    options = _roundings(usable, cases, limits, proposal)
    if not options or any(_violates(usable, option, limits) for option in options):
        options += _roundings(usable, cases, limits, _solve(usable, cases, limits, switched=True))
    for sizes in options:
        taken = _take_all(usable, sizes)
        if taken is None or _violates(usable, sizes, limits) or not _within(taken, limits):
            continue
        found = evaluate(taken, cases)
        if found.locked_e6 > best.locked_e6:
            best = found
    return _with_binding(best, usable, limits)


def evaluate(taken: Sequence[tuple[Leg, Taken]], cases: Sequence[OutcomeCase]) -> Portfolio:
    """Return the exact figures of given legs."""
    payoffs = tuple(
        sum(cash_e6_of(case.pays(leg.market, leg.outcome), t.size_e6, paying=False) for leg, t in taken)
        for case in cases
    )
    spent = sum(t.spent_e6 for _, t in taken)
    normal = min(payoff for payoff, case in zip(payoffs, cases, strict=True) if case.kind == "normal")
    stress = [payoff for payoff, case in zip(payoffs, cases, strict=True) if case.kind == "stress"]
    return Portfolio(tuple(taken), payoffs, normal - spent, max(0, spent - min(stress)) if stress else 0)


def _take_all(legs: Sequence[Leg], sizes: Sequence[int]) -> list[tuple[Leg, Taken]] | None:
    result: list[tuple[Leg, Taken]] = []
    for leg, size in zip(legs, sizes, strict=True):
        if not size:
            continue
        taken = take(leg.offer, size)
        if taken is None:
            return None
        cost = -(-taken.cost_e6 // leg.cost_step_e6) * leg.cost_step_e6
        result.append((leg, Taken(size, cost, taken.fee_e6, taken.fee_bound_e6, taken.limit_price_e4)))
    return result


def _within(taken: Sequence[tuple[Leg, Taken]], limits: Limits) -> bool:
    spent = sum(t.spent_e6 for _, t in taken)
    if limits.max_cost_e6 is not None and spent > limits.max_cost_e6:
        return False
    for account, most in limits.cost_by_account_e6.items():
        if sum(t.spent_e6 for leg, t in taken if leg.account == account) > most:
            return False
    return True


def _violates(legs: Sequence[Leg], sizes: Sequence[int], limits: Limits) -> bool:
    used = [(leg, size) for leg, size in zip(legs, sizes, strict=True) if size]
    if limits.max_legs is not None and len(used) > limits.max_legs:
        return True
    for leg, size in used:
        taken = take(leg.offer, size)
        if taken is None or size < leg.offer.min_size_e6 or taken.cost_e6 < leg.offer.min_notional_e6:
            return True
    return False


# -- proposal by linear programming; floats never leave this part ------------------------------------------------------


def _solve(legs: Sequence[Leg], cases: Sequence[OutcomeCase], limits: Limits, *, switched: bool) -> list[int]:
    """Return proposed sizes per leg (size_e6). Columns: levels, leg quantities, the locked payoff, then switches."""
    levels = [(number, price, size) for number, leg in enumerate(legs) for price, size in leg.offer.levels]
    count, columns = len(legs), len(levels)
    width = columns + count + 1 + (count if switched else 0)
    unit_costs = np.array([_unit_cost(legs[number], price) for number, price, _ in levels])
    objective = np.zeros(width)
    objective[:columns] = unit_costs * (1 + limits.min_return_e6 / CASH_SCALE)
    objective[columns + count] = -(1 - limits.min_edge_e6 / CASH_SCALE)
    upper = np.full(width, np.inf)
    upper[:columns] = [size / SIZE_SCALE for _, _, size in levels]
    lower = np.zeros(width)
    integrality = np.zeros(width, dtype=np.int64)
    if switched:
        upper[columns + count + 1 :] = 1
        integrality[columns + count + 1 :] = 1
    constraints = _constraints(legs, cases, limits, _Columns(levels, unit_costs, width, switched))
    answer = milp(
        objective,
        constraints=constraints,
        bounds=Bounds(lower, upper),
        integrality=integrality,
        options={"time_limit": _SOLVER_LIMIT_S, "presolve": True},
    )
    if answer.x is None:
        return [0] * count
    return [round(float(value) * SIZE_SCALE) for value in answer.x[columns : columns + count]]


def _unit_cost(leg: Leg, price: int) -> float:
    probe = 1_000 * SIZE_SCALE
    return price / PRICE_SCALE + leg.offer.fees.of(price, probe) / CASH_SCALE / 1_000


@dataclass(frozen=True, slots=True)
class _Columns:
    """The variables of the program: levels as (leg, price, size) with their costs, `width` in all."""

    levels: Sequence[tuple[int, int, int]]
    unit_costs: Any
    width: int
    are_switched: bool


def _constraints(
    legs: Sequence[Leg], cases: Sequence[OutcomeCase], limits: Limits, variables: _Columns
) -> list[LinearConstraint]:
    levels, width = variables.levels, variables.width
    columns, count = len(levels), len(legs)
    sums = sparse.lil_matrix((count, width))
    for column, (number, _, _) in enumerate(levels):
        sums[number, column] = 1.0
    for number in range(count):
        sums[number, columns + number] = -1.0
    rows = [LinearConstraint(sums.tocsr(), 0, 0)]
    rows.append(_payoff_rows(legs, cases, columns, width))
    for most, chosen in _budgets(legs, limits):
        budget = np.zeros((1, width))
        for column, (number, _, _) in enumerate(levels):
            if number in chosen:
                budget[0, column] = variables.unit_costs[column]
        rows.append(LinearConstraint(budget, -np.inf, most / CASH_SCALE))
    if variables.are_switched:
        rows += _switch_rows(legs, limits, levels, width)
    return rows


def _payoff_rows(legs: Sequence[Leg], cases: Sequence[OutcomeCase], columns: int, width: int) -> LinearConstraint:
    """Payoff in each normal outcome less the locked payoff is at least 0; equal rows are kept once."""
    rows = {
        tuple(case.pays(leg.market, leg.outcome) / PRICE_SCALE for leg in legs): None for case in normal_cases(cases)
    }
    count = len(legs)
    payoffs = sparse.csr_matrix(np.array(list(rows)))
    left = sparse.csr_matrix((len(rows), columns))
    right = sparse.csr_matrix(np.full((len(rows), 1), -1.0))
    rest = sparse.csr_matrix((len(rows), width - columns - count - 1))
    return LinearConstraint(sparse.hstack([left, payoffs, right, rest], format="csr"), 0, np.inf)


def _budgets(legs: Sequence[Leg], limits: Limits) -> list[tuple[int, set[int]]]:
    budgets = [
        (most, {number for number, leg in enumerate(legs) if leg.account == account})
        for account, most in limits.cost_by_account_e6.items()
    ]
    if limits.max_cost_e6 is not None:
        budgets.append((limits.max_cost_e6, set(range(len(legs)))))
    return budgets


def _switch_rows(
    legs: Sequence[Leg], limits: Limits, levels: Sequence[tuple[int, int, int]], width: int
) -> list[LinearConstraint]:
    columns, count = len(levels), len(legs)
    first = columns + count + 1
    rows: list[LinearConstraint] = []
    for number, leg in enumerate(legs):
        depth = sum(size for _, size in leg.offer.levels) / SIZE_SCALE
        most, least, notional = np.zeros((1, width)), np.zeros((1, width)), np.zeros((1, width))
        most[0, columns + number], most[0, first + number] = 1.0, -depth
        least[0, columns + number], least[0, first + number] = 1.0, -leg.offer.min_size_e6 / SIZE_SCALE
        for column, (owner, price, _) in enumerate(levels):
            if owner == number:
                notional[0, column] = price / PRICE_SCALE
        notional[0, first + number] = -leg.offer.min_notional_e6 / CASH_SCALE
        rows += [LinearConstraint(most, -np.inf, 0), LinearConstraint(least, 0, np.inf)]
        rows.append(LinearConstraint(notional, 0, np.inf))
    if limits.max_legs is not None:
        every = np.zeros((1, width))
        every[0, first:] = 1.0
        rows.append(LinearConstraint(every, 0, limits.max_legs))
    return rows


# -- exact rounding ----------------------------------------------------------------------------------------------------


def _roundings(
    legs: Sequence[Leg], cases: Sequence[OutcomeCase], limits: Limits, proposal: Sequence[int]
) -> list[list[int]]:
    """Return the roundings worth computing exactly: up, nearest and down to each leg's step and to the common one."""
    if not any(proposal):
        return []
    steps = [leg.offer.size_step_e6 for leg in legs]
    common = [int(np.lcm.reduce(steps))] * len(legs)
    options: list[list[int]] = []
    for grid in (steps, common):
        down = [size - size % step for size, step in zip(proposal, grid, strict=True)]
        nearest = [(size + step // 2) // step * step for size, step in zip(proposal, grid, strict=True)]
        less = [max(0, size - step) for size, step in zip(nearest, grid, strict=True)]
        for sizes in (nearest, down, less):
            capped = [min(size, _depth(leg)) for size, leg in zip(sizes, legs, strict=True)]
            options += [capped, _trim(legs, cases, capped)]
    return [list(sizes) for sizes in dict.fromkeys(tuple(sizes) for sizes in options)]


def _depth(leg: Leg) -> int:
    depth = sum(size for _, size in leg.offer.levels)
    return depth - depth % leg.offer.size_step_e6


def _trim(legs: Sequence[Leg], cases: Sequence[OutcomeCase], sizes: Sequence[int]) -> list[int]:
    """Take away from each leg what no outcome's smallest payoff needs, dearest leg first."""
    normal = normal_cases(cases)
    result = list(sizes)
    totals = [
        sum(case.pays(leg.market, leg.outcome) * size for leg, size in zip(legs, result, strict=True))
        for case in normal
    ]
    floor = min(totals)
    for number in sorted(range(len(legs)), key=lambda index: -legs[index].offer.levels[0][0]):
        leg = legs[number]
        slack = result[number]
        for case, total in zip(normal, totals, strict=True):
            pays = case.pays(leg.market, leg.outcome)
            if pays:
                slack = min(slack, (total - floor) // pays)
        cut = slack - slack % leg.offer.size_step_e6
        if cut:
            result[number] -= cut
            totals = [
                total - case.pays(leg.market, leg.outcome) * cut for case, total in zip(normal, totals, strict=True)
            ]
    return result


def _with_binding(found: Portfolio, legs: Sequence[Leg], limits: Limits) -> Portfolio:
    """Name the limits that are used up to within the dearest single step."""
    binding: list[str] = []
    slack = max((leg.offer.levels[-1][0] * leg.offer.size_step_e6 // PRICE_SCALE for leg in legs), default=0) + 10_000
    spent = found.cost_e6 + found.fee_e6
    if found.legs and limits.max_cost_e6 is not None and spent + slack >= limits.max_cost_e6:
        binding.append("max_cost_usd")
    for account, most in limits.cost_by_account_e6.items():
        used = sum(taken.spent_e6 for leg, taken in found.legs if leg.account == account)
        if found.legs and used + slack >= most:
            binding.append(f"cost_by_account.{account}")
    if limits.max_legs is not None and len(found.legs) >= limits.max_legs:
        binding.append("max_legs")
    if any(taken.size_e6 >= _depth(leg) for leg, taken in found.legs):
        binding.append("depth")
    return Portfolio(found.legs, found.payoffs_e6, found.locked_e6, found.stress_loss_e6, tuple(binding))
