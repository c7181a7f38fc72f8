"""What quantities of all asks would earn most: a linear program (HiGHS) over levels, in floats.

A NO pays a dollar but where its market settles yes: the rows hold only what differs from that, so that a set of
hundreds of markets stays sparse. Where a smallest order or a number of legs binds, offers get an on/off switch (mixed
integer), or bounds where there are too many of them for that. What is proposed here is only ever rounded and computed
again in exact integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from orchestration.opportunities.edges import Offer
from streams.market.events import Levels
from streams.market.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE

_SOLVER_LIMIT_S = 10.0
_PROBE = 1_000
_FIRST_LEVELS = 5
"""Most programs are decided by the best levels; the others are asked where one of these is bought up."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: offers, what they pay, and what bounds them.

    Attributes:
        offers: The offers, each with levels.
        payoffs_e4: What one contract of each offer pays (columns) in each normal outcome (rows).
        budgets: (dollars in 1/1,000,000, numbers of the offers whose cost with fees counts).
        min_edge_e6: What a dollar of the locked payoff must earn, in 1/1,000,000.
        min_return_e6: What a dollar of cost must earn.
    """

    offers: Sequence[Offer]
    payoffs_e4: Any
    budgets: Sequence[tuple[int, frozenset[int]]]
    min_edge_e6: int
    min_return_e6: int


@dataclass(frozen=True, slots=True)
class Switches:
    """The smallest order of each offer, and the most offers that may be bought."""

    least_e6: Sequence[int]
    max_legs: int | None


def propose(question: Question, floors_e6: Mapping[int, int] | None = None) -> list[int]:
    """Return the best size of each offer (`size_e6`) without minimums, all zero where nothing earns anything.

    Args:
        question: What is asked.
        floors_e6: The least size of some offers by their numbers, all others are free; 0 leaves an offer out.
    """
    for depth in (_FIRST_LEVELS, None):
        layout = _Layout(question, depth)
        for number, floor in (floors_e6 or {}).items():
            layout.lower[layout.columns + number] = floor / SIZE_SCALE
            if not floor:
                layout.upper[layout.columns + number] = 0
        found = _solve(layout, [], {})
        if found is not None and not layout.is_bought_up(found):
            break
    return layout.sizes(found)


def propose_switched(question: Question, switches: Switches) -> list[int]:
    """Return the best size of each offer where each is bought from its smallest order on or not at all."""
    layout = _Layout(question, None, is_switched=True)
    return layout.sizes(_solve(layout, layout.switch_rows(switches), {}))


def _solve(layout: _Layout, more: Sequence[LinearConstraint], options: Mapping[str, Any]) -> Any:
    answer = milp(
        layout.objective(),
        constraints=[layout.sum_rows(), layout.payoff_rows(), *layout.budget_rows(), *more],
        bounds=Bounds(layout.lower, layout.upper),
        integrality=layout.integrality,
        options={"time_limit": _SOLVER_LIMIT_S, "presolve": True, **options},
    )
    return answer.x


class _Layout:
    """The columns of one program and the rows over them: levels, sizes of offers, the locked payoff, then switches.

    The locked payoff is counted less what the sizes pay nearly always (`_base`).
    """

    def __init__(self, question: Question, depth: int | None, *, is_switched: bool = False) -> None:
        self._question = question
        books: list[Levels] = [offer.levels[:depth] for offer in question.offers]
        counts = [len(levels) for levels in books]
        self.columns, self._count = sum(counts), len(counts)
        self._owners = np.repeat(np.arange(self._count), counts)
        self._lasts = np.cumsum(counts) - 1
        self._is_cut = np.array([len(offer.levels) for offer in question.offers]) > np.array(counts)
        self._costs = np.array(
            [
                _unit_cost(offer, price)
                for offer, levels in zip(question.offers, books, strict=True)
                for price, _ in levels
            ]
        )
        self._base = (np.median(question.payoffs_e4, axis=0) >= PRICE_SCALE).astype(float)
        self._locked = self.columns + self._count
        self._width = self._locked + 1 + (self._count if is_switched else 0)
        self.lower, self.upper = np.zeros(self._width), np.full(self._width, np.inf)
        self.lower[self._locked] = -np.inf
        self.upper[: self.columns] = np.array([float(size) for levels in books for _, size in levels]) / SIZE_SCALE
        self.upper[self._locked + 1 :] = 1
        self.integrality = np.zeros(self._width, dtype=np.int64)
        self.integrality[self._locked + 1 :] = 1

    def objective(self) -> Any:
        """Cost less the locked payoff, with what a dollar of either must earn."""
        weight = 1 - self._question.min_edge_e6 / CASH_SCALE
        found = np.zeros(self._width)
        found[: self.columns] = self._costs * (1 + self._question.min_return_e6 / CASH_SCALE)
        found[self.columns : self._locked] = -weight * self._base
        found[self._locked] = -weight
        return found

    def sum_rows(self) -> LinearConstraint:
        """An offer's size is what is bought of its levels."""
        return self._constraint([self._sums(), -sparse.eye(self._count)], 0, 0)

    def payoff_rows(self) -> LinearConstraint:
        """In each normal outcome what is paid is at least the locked payoff."""
        payoffs = np.unique(self._question.payoffs_e4 / PRICE_SCALE - self._base, axis=0)
        count = len(payoffs)
        return self._constraint([_none(count, self.columns), payoffs, np.full((count, 1), -1.0)], 0, np.inf)

    def budget_rows(self) -> list[LinearConstraint]:
        """No budget is passed."""
        return [
            self._constraint([self._costs * np.isin(self._owners, list(chosen))], -np.inf, most / CASH_SCALE)
            for most, chosen in self._question.budgets
        ]

    def switch_rows(self, switches: Switches) -> list[LinearConstraint]:
        """An offer is bought from its smallest order on, or not at all; no more offers than the most legs."""
        before, one = _none(self._count, self.columns), sparse.eye(self._count)
        depths = self._sums() @ self.upper[: self.columns]
        least = np.array([float(size) for size in switches.least_e6]) / SIZE_SCALE
        rows = [
            self._constraint([before, one, _none(self._count, 1), -sparse.diags(depths)], -np.inf, 0),
            self._constraint([before, one, _none(self._count, 1), -sparse.diags(least)], 0, np.inf),
        ]
        if switches.max_legs is not None:
            ahead = _none(1, self._locked + 1)
            rows.append(self._constraint([ahead, np.ones((1, self._count))], 0, switches.max_legs))
        return rows

    def is_bought_up(self, found: Any) -> bool:
        """Whether an offer's last level here is bought up while its book goes on: then deeper levels may earn more."""
        is_full = found[self._lasts] >= self.upper[self._lasts] * (1 - 1e-9)
        return bool(np.any(is_full & self._is_cut))

    def sizes(self, found: Any) -> list[int]:
        """Return the size of each offer of a solution; zeros where there is none."""
        if found is None:
            return [0] * self._count
        return [round(float(value) * SIZE_SCALE) for value in found[self.columns : self._locked]]

    def _sums(self) -> Any:
        shape = (self._count, self.columns)
        return sparse.csr_matrix((np.ones(self.columns), (self._owners, np.arange(self.columns))), shape=shape)

    def _constraint(self, blocks: Sequence[Any], low: float, high: float) -> LinearConstraint:
        """Return rows whose first columns are `blocks`; the others are zero."""
        found = sparse.hstack([sparse.csr_matrix(block) for block in blocks])
        rest = _none(found.shape[0], self._width - found.shape[1])
        return LinearConstraint(sparse.hstack([found, rest], format="csr"), low, high)


def _none(rows: int, columns: int) -> Any:
    return sparse.csr_matrix((rows, columns))


def _unit_cost(offer: Offer, price: int) -> float:
    return price / PRICE_SCALE + offer.fees.of(price, _PROBE * SIZE_SCALE) / CASH_SCALE / _PROBE
