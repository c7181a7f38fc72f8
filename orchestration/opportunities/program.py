"""What quantities of all asks would earn most: a linear program (HiGHS) over levels, in floats.

A NO pays a dollar but where its market settles yes: the rows hold only what differs from that, so that a set of
hundreds of markets stays sparse. Where a smallest order or a number of legs binds, offers get an on/off switch (mixed
integer), or bounds where there are too many of them for that. What is proposed here is only ever rounded and computed
again in exact integers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from orchestration.opportunities.edges import Offer
from streams.market.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE

_SOLVER_LIMIT_S = 10.0
_PROBE = 1_000
_FIRST_LEVELS = 5
"""Most programs are decided by the best levels; the others are asked where one of these is bought up."""


@dataclass(frozen=True, slots=True)
class Switches:
    """The smallest order of each offer, and the most offers that may be bought."""

    least_e6: Sequence[int]
    max_legs: int | None


class Program:
    """The question of one set: what sizes earn most, with minimums or without.

    Args:
        offers: The offers, each with levels.
        payoffs_e4: What one contract of each offer pays (columns) in each normal outcome (rows).
        budgets: (dollars in 1/1,000,000, numbers of the offers whose cost with fees counts).
        min_edge_e6: What a dollar of the locked payoff must earn, in 1/1,000,000.
        min_return_e6: What a dollar of cost must earn.
    """

    def __init__(
        self,
        offers: Sequence[Offer],
        payoffs_e4: Any,
        budgets: Sequence[tuple[int, frozenset[int]]],
        *,
        min_edge_e6: int = 0,
        min_return_e6: int = 0,
    ) -> None:
        self.budgets = budgets
        self.weight = 1 - min_edge_e6 / CASH_SCALE
        self.cost_weight = 1 + min_return_e6 / CASH_SCALE
        self.sizes = [np.array([float(size) for _, size in offer.levels]) / SIZE_SCALE for offer in offers]
        self.costs = [np.array([_unit_cost(offer, price) for price, _ in offer.levels]) for offer in offers]
        # what an offer pays in most outcomes, as a NO its dollar, is no entry of any row
        self.base = (np.count_nonzero(payoffs_e4 >= PRICE_SCALE, axis=0) * 2 > len(payoffs_e4)).astype(float)
        table = payoffs_e4 / PRICE_SCALE - self.base
        once = {row.tobytes(): number for number, row in enumerate(table)}
        self.payoffs = sparse.csr_matrix(table[list(once.values())])

    def propose(self, floors_e6: Mapping[int, int] | None = None) -> list[int]:
        """Return the best size of each offer (`size_e6`) without minimums, all zero where nothing earns anything.

        Args:
            floors_e6: The least size of some offers by their numbers, all others are free; 0 leaves an offer out.
        """
        for depth in (_FIRST_LEVELS, None):
            layout = _Layout(self, depth)
            for number, floor in (floors_e6 or {}).items():
                layout.bound(number, floor / SIZE_SCALE)
            found = _solve(layout, [])
            if found is not None and not layout.is_bought_up(found):
                break
        return layout.found_sizes(found)

    def propose_few(self, max_legs: int) -> list[int]:
        """Return sizes that lean on few offers: the shares of their depths that are bought add up to `max_legs`."""
        layout = _Layout(self, None)
        return layout.found_sizes(_solve(layout, [layout.shares_row(max_legs)]))

    def propose_switched(self, switches: Switches, only: Collection[int] | None = None) -> list[int]:
        """Return the best size of each offer where each is bought from its smallest order on or not at all.

        Args:
            switches: The smallest orders, and the most offers.
            only: The numbers of the offers that may be bought; None for all.
        """
        layout = _Layout(self, None, is_switched=True)
        for number in range(len(self.sizes)):
            if only is not None and number not in only:
                layout.bound(number, 0)
        return layout.found_sizes(_solve(layout, layout.switch_rows(switches)))


def _solve(layout: _Layout, more: Sequence[LinearConstraint]) -> Any:
    answer = milp(
        layout.objective(),
        constraints=[layout.sum_rows(), layout.payoff_rows(), *layout.budget_rows(), *more],
        bounds=Bounds(layout.lower, layout.upper),
        integrality=layout.integrality,
        options={"time_limit": _SOLVER_LIMIT_S, "presolve": True},
    )
    return answer.x


class _Layout:
    """The columns of one program and the rows over them: levels, sizes of offers, the locked payoff, then switches.

    The locked payoff is counted less what the sizes pay in most outcomes.
    """

    def __init__(self, program: Program, depth: int | None, *, is_switched: bool = False) -> None:
        self._program = program
        counts = [len(sizes[:depth]) for sizes in program.sizes]
        self._columns, self._count = sum(counts), len(counts)
        self._owners = np.repeat(np.arange(self._count), counts)
        self._lasts = np.cumsum(counts) - 1
        self._is_cut = np.array([len(sizes) for sizes in program.sizes]) > np.array(counts)
        self._costs = np.concatenate([costs[:depth] for costs in program.costs])
        self._locked = self._columns + self._count
        self._width = self._locked + 1 + (self._count if is_switched else 0)
        self.lower, self.upper = np.zeros(self._width), np.full(self._width, np.inf)
        self.lower[self._locked] = -np.inf
        self.upper[: self._columns] = np.concatenate([sizes[:depth] for sizes in program.sizes])
        self.upper[self._locked + 1 :] = 1
        self.integrality = np.zeros(self._width, dtype=np.int64)
        self.integrality[self._locked + 1 :] = 1

    def bound(self, number: int, floor: float) -> None:
        """Buy at least `floor` of an offer; nothing where that is 0."""
        self.lower[self._columns + number] = floor
        if not floor:
            self.upper[self._columns + number] = 0

    def objective(self) -> Any:
        """Cost less the locked payoff, with what a dollar of either must earn."""
        found = np.zeros(self._width)
        found[: self._columns] = self._costs * self._program.cost_weight
        found[self._columns : self._locked] = -self._program.weight * self._program.base
        found[self._locked] = -self._program.weight
        return found

    def sum_rows(self) -> LinearConstraint:
        """An offer's size is what is bought of its levels."""
        return self._constraint([self._sums(), -sparse.eye(self._count)], 0, 0)

    def payoff_rows(self) -> LinearConstraint:
        """In each normal outcome what is paid is at least the locked payoff."""
        count = self._program.payoffs.shape[0]
        rows = [_none(count, self._columns), self._program.payoffs, np.full((count, 1), -1.0)]
        return self._constraint(rows, 0, np.inf)

    def budget_rows(self) -> list[LinearConstraint]:
        """No budget is passed."""
        return [
            self._constraint([self._costs * np.isin(self._owners, list(chosen))], -np.inf, most / CASH_SCALE)
            for most, chosen in self._program.budgets
        ]

    def switch_rows(self, switches: Switches) -> list[LinearConstraint]:
        """An offer is bought from its smallest order on, or not at all; no more offers than the most legs."""
        before, one = _none(self._count, self._columns), sparse.eye(self._count)
        depths = self._sums() @ self.upper[: self._columns]
        least = np.array([float(size) for size in switches.least_e6]) / SIZE_SCALE
        rows = [
            self._constraint([before, one, _none(self._count, 1), -sparse.diags(depths)], -np.inf, 0),
            self._constraint([before, one, _none(self._count, 1), -sparse.diags(least)], 0, np.inf),
        ]
        if switches.max_legs is not None:
            ahead = _none(1, self._locked + 1)
            rows.append(self._constraint([ahead, np.ones((1, self._count))], 0, switches.max_legs))
        return rows

    def shares_row(self, most: int) -> LinearConstraint:
        """The shares of the offers' depths that are bought, added up."""
        depths = self._sums() @ self.upper[: self._columns]
        return self._constraint([_none(1, self._columns), (1 / depths)[np.newaxis, :]], 0, most)

    def is_bought_up(self, found: Any) -> bool:
        """Whether an offer's last level here is bought up while its book goes on: then deeper levels may earn more."""
        is_full = found[self._lasts] >= self.upper[self._lasts] * (1 - 1e-9)
        return bool(np.any(is_full & self._is_cut))

    def found_sizes(self, found: Any) -> list[int]:
        """Return the size of each offer of a solution; zeros where there is none."""
        if found is None:
            return [0] * self._count
        return [round(float(value) * SIZE_SCALE) for value in found[self._columns : self._locked]]

    def _sums(self) -> Any:
        shape = (self._count, self._columns)
        return sparse.csr_matrix((np.ones(self._columns), (self._owners, np.arange(self._columns))), shape=shape)

    def _constraint(self, blocks: Sequence[Any], low: float, high: float) -> LinearConstraint:
        """Return rows whose first columns are `blocks`; the others are zero."""
        found = sparse.hstack([sparse.csr_matrix(block) for block in blocks])
        rest = _none(found.shape[0], self._width - found.shape[1])
        return LinearConstraint(sparse.hstack([found, rest], format="csr"), low, high)


def _none(rows: int, columns: int) -> Any:
    return sparse.csr_matrix((rows, columns))


def _unit_cost(offer: Offer, price: int) -> float:
    return price / PRICE_SCALE + offer.fees.of(price, _PROBE * SIZE_SCALE) / CASH_SCALE / _PROBE
