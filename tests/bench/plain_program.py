"""The baseline of the bench of large sets: the linear program as it is written down first, every payoff an entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from orchestration.opportunities.outcomes import OutcomeCase
from orchestration.opportunities.portfolio import Leg, payoffs_e4
from streams.market.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE


def solve(legs: Sequence[Leg], cases: Sequence[OutcomeCase]) -> float:
    """Return the certain profit in dollars, without rounding sizes. Columns: levels, then the locked payoff."""
    levels = [(number, price, size) for number, leg in enumerate(legs) for price, size in leg.offer.levels]
    costs = [
        price / PRICE_SCALE + legs[number].offer.fees.of(price, 1_000 * SIZE_SCALE) / CASH_SCALE / 1_000
        for number, price, _ in levels
    ]
    payoffs = payoffs_e4(legs, cases)[:, [number for number, _, _ in levels]] / PRICE_SCALE
    rows = np.hstack([payoffs, np.full((len(cases), 1), -1.0)])
    upper = np.array([*(size / SIZE_SCALE for _, _, size in levels), np.inf])
    answer = milp(
        np.array([*costs, -1.0]),
        constraints=[LinearConstraint(rows, 0, np.inf)],
        bounds=Bounds(np.zeros(len(upper)), upper),
    )
    return -float(answer.fun)
