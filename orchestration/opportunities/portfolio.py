"""The best portfolio over the books of a market group: the quantities of all asks with the largest certain profit.

A linear program (`program`) proposes quantities: maximise the smallest payoff over the normal outcomes less cost and
fees. A proposal below a market's smallest order is repaired upwards to it. What is proposed is then rounded to each
leg's step and computed again in exact integers; only those figures are reported.
Pairs, strike ladders and sum-to-one events are all the same mathematics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import lcm
from typing import Any

import numpy as np

from orchestration.opportunities.edges import Offer, Taken, take
from orchestration.opportunities.outcomes import OutcomeCase
from orchestration.opportunities.program import Program, Switches
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE

_SWITCHED_MAX = 40
"""The most legs that are switched by a mixed integer program; of more, repairs are tried instead."""
_WIDE = 2**62


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
    """Return the portfolio with the largest certain profit within the limits; empty when no profit is certain.

    `binding` names what decided, also where nothing that would earn something fits.
    """
    usable = [leg for leg in legs if leg.offer.levels]
    if not usable:
        return evaluate([], cases)
    return _Search(usable, cases, limits).best()


def evaluate(taken: Sequence[tuple[Leg, Taken]], cases: Sequence[OutcomeCase]) -> Portfolio:
    """Return the exact figures of given legs."""
    payoffs = _paid_e6(payoffs_e4([leg for leg, _ in taken], cases), [t.size_e6 for _, t in taken])
    spent = sum(t.spent_e6 for _, t in taken)
    normal = min(payoff for payoff, case in zip(payoffs, cases, strict=True) if case.kind == "normal")
    stress = [payoff for payoff, case in zip(payoffs, cases, strict=True) if case.kind == "stress"]
    return Portfolio(tuple(taken), payoffs, normal - spent, max(0, spent - min(stress)) if stress else 0)


def payoffs_e4(legs: Sequence[Leg], cases: Sequence[OutcomeCase]) -> Any:
    """Return what one contract of each leg (columns) pays in each case (rows), as `price_e4`."""
    found = np.zeros((len(cases), len(legs)), dtype=np.int64)
    columns: dict[str, list[tuple[int, bool]]] = {}
    for number, leg in enumerate(legs):
        columns.setdefault(leg.market, []).append((number, leg.outcome == "yes"))
        if leg.outcome == "no":
            found[:, number] = PRICE_ONE_E4
    for row, case in enumerate(cases):
        for market, settlement in case.settles.items():
            for number, is_yes in columns.get(market, ()):
                found[row, number] = settlement if is_yes else PRICE_ONE_E4 - settlement
    return found


def _paid_e6(payoffs: Any, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return what sizes pay in each case; each leg is rounded down, as `cash_e6_of` does where we receive."""
    is_wide = sum(sizes) * PRICE_ONE_E4 >= _WIDE
    of = payoffs.astype(object) if is_wide else payoffs
    found = (of * np.array(sizes, dtype=object if is_wide else np.int64)) // PRICE_SCALE
    return tuple(int(paid) for paid in found.sum(axis=1))


class _Search:
    """The search over one set: proposals, their roundings, and the best of them in exact figures."""

    def __init__(self, legs: Sequence[Leg], cases: Sequence[OutcomeCase], limits: Limits) -> None:
        self._legs, self._cases, self._limits = legs, cases, limits
        table = payoffs_e4(legs, cases)
        self._payoffs = table[[number for number, case in enumerate(cases) if case.kind == "normal"]]
        self._depths = [_depth(leg.offer) for leg in legs]
        self._least = [smallest_order_e6(leg.offer) for leg in legs]
        self._takes: dict[tuple[int, int], Taken | None] = {}
        self._program = Program(
            [leg.offer for leg in legs],
            self._payoffs,
            _budgets(legs, limits),
            min_edge_e6=limits.min_edge_e6,
            min_return_e6=limits.min_return_e6,
        )

    def best(self) -> Portfolio:
        """Return the best portfolio of all proposals."""
        best = evaluate([], self._cases)
        free = self._program.propose()
        options = self._roundings(free)
        if not options or self._violates(free):
            options += [option for sizes in self._repaired(free) for option in self._roundings(sizes)]
        for sizes in options:
            taken = None if self._violates(sizes) else self._taken(sizes)
            if taken is None or not self._is_within(taken):
                continue
            found = evaluate(taken, self._cases)
            if found.locked_e6 > best.locked_e6:
                best = found
        return self._with_binding(best, free)

    # -- proposals -----------------------------------------------------------------------------------------------------

    def _repaired(self, free: Sequence[int]) -> list[list[int]]:
        """Return proposals that keep to the smallest orders and the number of legs."""
        switches = Switches(self._least, self._limits.max_legs)
        if len(self._legs) <= _SWITCHED_MAX:
            return [self._program.propose_switched(switches)]
        if switches.max_legs is not None and sum(1 for size in free if size) > switches.max_legs:
            return [self._program.propose_switched(switches, self._few(switches.max_legs))]
        out = {number: 0 for number, least in enumerate(self._least) if least > self._depths[number]}

        small = {number for number, size in enumerate(free) if 0 < size < self._least[number]}
        raised = {number: self._least[number] for number in small if number not in out}
        split = {number: least if 2 * free[number] >= least else 0 for number, least in raised.items()}
        return [self._program.propose(out | floors) for floors in ([raised, split] if split != raised else [raised])]

    def _few(self, max_legs: int) -> set[int]:
        """Return the legs that are worth switching where only a few of many may be bought."""
        few = self._program.propose_few(max_legs)
        shares = [size / max(depth, 1) for size, depth in zip(few, self._depths, strict=True)]
        ranked = sorted((number for number, share in enumerate(shares) if share), key=lambda number: -shares[number])
        return set(ranked[:_SWITCHED_MAX])

    def _roundings(self, proposal: Sequence[int]) -> list[list[int]]:
        """Return the roundings worth computing exactly, to each leg's step and to the common one.

        A size is never rounded below the market's smallest order, but up to it.
        """
        if not any(proposal):
            return []
        steps = [leg.offer.size_step_e6 for leg in self._legs]
        common = lcm(*steps)
        options: list[list[int]] = []
        for grid in dict.fromkeys((tuple(steps), (common,) * len(steps))):
            down = [size - size % step for size, step in zip(proposal, grid, strict=True)]
            nearest = [(size + step // 2) // step * step for size, step in zip(proposal, grid, strict=True)]
            less = [max(0, size - step) for size, step in zip(nearest, grid, strict=True)]
            for sizes in (nearest, down, less):
                capped = [self._fitted(number, size) for number, size in enumerate(sizes)]
                options += [capped, self._trim(capped)]
        return [list(sizes) for sizes in dict.fromkeys(tuple(sizes) for sizes in options)]

    def _fitted(self, number: int, size: int) -> int:
        """Return a size raised to the smallest order, within the depth."""
        raised = max(size, self._least[number]) if size else 0
        return min(raised, self._depths[number])

    def _trim(self, sizes: Sequence[int]) -> list[int]:
        """Take away from each leg what no outcome's smallest payoff needs, dearest leg first."""
        result = list(sizes)
        is_wide = sum(sizes) * PRICE_ONE_E4 >= _WIDE
        payoffs = self._payoffs.astype(object) if is_wide else self._payoffs
        totals = payoffs @ np.array(result, dtype=object if is_wide else np.int64)
        spare = totals - totals.min()
        # a leg that can spare no step now can spare none later
        most = np.where(payoffs > 0, spare[:, np.newaxis] // np.maximum(payoffs, 1), _WIDE).min(axis=0)
        for number in sorted(range(len(result)), key=lambda index: -self._legs[index].offer.levels[0][0]):
            if not result[number] or most[number] < self._legs[number].offer.size_step_e6:
                continue
            pays = payoffs[:, number]
            paying = pays > 0
            slack = min(result[number], int((spare[paying] // pays[paying]).min())) if paying.any() else result[number]
            cut = self._cut(number, result[number], slack)
            if cut:
                result[number] -= cut
                spare = spare - pays * cut
        return result

    def _cut(self, number: int, size: int, slack: int) -> int:
        """Return how much of a leg goes of what may go: all of it, or no more than leaves the smallest order."""
        step = self._legs[number].offer.size_step_e6
        cut = slack - slack % step
        if 0 < size - cut < self._least[number]:
            cut = max(0, size - self._least[number])
        return cut

    # -- exact figures -------------------------------------------------------------------------------------------------

    def _violates(self, sizes: Sequence[int]) -> bool:
        most = self._limits.max_legs
        if most is not None and sum(1 for size in sizes if size) > most:
            return True
        return any(0 < size < least for size, least in zip(sizes, self._least, strict=True))

    def _taken(self, sizes: Sequence[int]) -> list[tuple[Leg, Taken]] | None:
        """Return what buying the sizes costs, None where a book does not hold one."""
        result: list[tuple[Leg, Taken]] = []
        for number, (leg, size) in enumerate(zip(self._legs, sizes, strict=True)):
            if not size:
                continue
            if (number, size) not in self._takes:
                self._takes[number, size] = _take(leg, size)
            taken = self._takes[number, size]
            if taken is None:
                return None
            result.append((leg, taken))
        return result

    def _is_within(self, taken: Sequence[tuple[Leg, Taken]]) -> bool:
        limits = self._limits
        if limits.max_cost_e6 is not None and sum(t.spent_e6 for _, t in taken) > limits.max_cost_e6:
            return False
        return all(
            sum(t.spent_e6 for leg, t in taken if leg.account == account) <= most
            for account, most in limits.cost_by_account_e6.items()
        )

    # -- what decided --------------------------------------------------------------------------------------------------

    def _with_binding(self, found: Portfolio, free: Sequence[int]) -> Portfolio:
        """Name the limits that are used up to within the dearest single step, and the minimums that decided."""
        limits = self._limits
        used = found if found.legs else self._unfitting(free)
        binding: list[str] = []
        if used.legs:
            steps = [leg.offer.levels[-1][0] * leg.offer.size_step_e6 // PRICE_SCALE for leg in self._legs]
            slack = max(steps) + 10_000
            if limits.max_cost_e6 is not None and used.cost_e6 + used.fee_e6 + slack >= limits.max_cost_e6:
                binding.append("max_cost_usd")
            for account, most in limits.cost_by_account_e6.items():
                if sum(t.spent_e6 for leg, t in used.legs if leg.account == account) + slack >= most:
                    binding.append(f"cost_by_account.{account}")
        if limits.max_legs is not None and len(used.legs) >= limits.max_legs:
            binding.append("max_legs")
        if any(t.size_e6 >= _depth(leg.offer) for leg, t in found.legs):
            binding.append("depth")
        binding += self._minimums(used, free)
        return Portfolio(found.legs, found.payoffs_e6, found.locked_e6, found.stress_loss_e6, tuple(binding))

    def _unfitting(self, free: Sequence[int]) -> Portfolio:
        """Return what would earn something if orders could be as small as one likes; empty where nothing would."""
        nothing = evaluate([], self._cases)
        taken = self._taken(free)
        if taken is None:
            return nothing
        found = evaluate(taken, self._cases)
        return found if found.locked_e6 > 0 else nothing

    def _minimums(self, used: Portfolio, free: Sequence[int]) -> list[str]:
        """Return which rules for the smallest order are above what would be bought without them."""
        if not used.legs:
            return []
        names = [
            _rule_of_smallest(leg.offer)
            for leg, size, least in zip(self._legs, free, self._least, strict=True)
            if 0 < size < least
        ]
        return list(dict.fromkeys(names))


def smallest_order_e6(offer: Offer) -> int:
    """Return the fewest contracts that an order may have: more than the depth where the depth holds no order.

    A cost only grows with the size, so a least cost is a least size.
    """
    step = offer.size_step_e6
    fewest = _up(max(offer.min_size_e6, 1), step)
    cost_e10, size = 0, 0
    wanted_e10 = offer.min_notional_e6 * PRICE_SCALE
    for price, offered in offer.levels:
        if cost_e10 + price * offered >= wanted_e10:
            return max(fewest, _up(size + -(-(wanted_e10 - cost_e10) // price), step))
        cost_e10 += price * offered
        size += offered
    return max(fewest, _up(size + 1, step))


def _rule_of_smallest(offer: Offer) -> str:
    """Return the rule that decides the smallest order."""
    smallest = smallest_order_e6(offer)
    if smallest > _up(max(offer.min_size_e6, 1), offer.size_step_e6):
        return "min_notional"
    return "min_size" if offer.min_size_e6 > offer.size_step_e6 else "size_step"


def _up(size: int, step: int) -> int:
    return -(-size // step) * step


def _depth(offer: Offer) -> int:
    depth = sum(size for _, size in offer.levels)
    return depth - depth % offer.size_step_e6


def _take(leg: Leg, size: int) -> Taken | None:
    taken = take(leg.offer, size)
    if taken is None:
        return None
    cost = _up(taken.cost_e6, leg.cost_step_e6)
    return Taken(size, cost, taken.fee_e6, taken.fee_bound_e6, taken.limit_price_e4)


def _budgets(legs: Sequence[Leg], limits: Limits) -> list[tuple[int, frozenset[int]]]:
    budgets = [
        (most, frozenset(number for number, leg in enumerate(legs) if leg.account == account))
        for account, most in limits.cost_by_account_e6.items()
    ]
    if limits.max_cost_e6 is not None:
        budgets.append((limits.max_cost_e6, frozenset(range(len(legs)))))
    return budgets
