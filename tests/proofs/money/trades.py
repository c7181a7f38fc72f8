"""One trade of a run as it is judged, and the figures over all of them. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestration.execution.decide.hedge_plan import Plan
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE
from tests.proofs.money.bridge import STEPS, Done, Settled, bridge, locked_e6

PriceRanges = Sequence[tuple[int, int, int]]
"""[(start_e4, end_e4, step_e4)] of YES prices, as `MarketTerms.price_ranges`."""


@dataclass(frozen=True)
class Trade:
    """A trade that has ended; amounts in 1e-6 dollar.

    Attributes:
        ticks_e4: The price step of each leg's market at its planned price.
        orders: What its orders did.
        settled: What was paid out for it.
        locked_e6: Planned and locked result as `analytics.execution_quality` states them: `planned_e6`, `locked_e6`.
        floor_e6: Cash so far and the least payoff of what is held, as `analytics.trades` states it.
        cash_e6: What the ledger says that it has moved.
    """

    execution_id: int
    group_id: str
    leg_set: str
    kind: str
    ended_as: str
    plan: Plan
    ticks_e4: tuple[int, ...]
    orders: tuple[Done, ...]
    settled: Settled
    planned_e6: int
    locked_e6: int
    floor_e6: int
    cash_e6: int
    exposure_e6_s: int
    peak_exposure_e6: int

    @property
    def is_bought(self) -> bool:
        """Whether it bought anything."""
        return any(order.action == "buy" and order.filled_e6 for order in self.orders)

    @property
    def bought_e6(self) -> int:
        """Dollars spent on purchases, fees in."""
        return sum(order.cash_e6 + order.fee_e6 for order in self.orders if order.action == "buy")

    @property
    def allowed_shortfall_e6(self) -> int:
        """The smaller of one tick a leg and a quarter of the planned edge."""
        ticks = sum(self.ticks_e4) * self.plan.size_e6 // PRICE_SCALE
        return min(ticks, self.planned_e6 // 4)

    @property
    def is_as_planned(self) -> bool:
        """Whether it locked what was planned, less what is allowed."""
        return self.locked_e6 >= self.planned_e6 - self.allowed_shortfall_e6

    @property
    def is_as_planned_for_its_size(self) -> bool:
        """As `is_as_planned`, of the contracts that it holds alone: what was not filled counts as nothing lost."""
        unfilled = self.steps["not filled"]
        held = self.planned_e6 + unfilled
        return self.locked_e6 >= held - min(self.allowed_shortfall_e6, max(0, held) // 4)

    @property
    def is_beyond_budget(self) -> bool:
        """Whether it was exposed for more than its plan allows, in dollars or in dollars times seconds."""
        plan = self.plan
        return self.exposure_e6_s > plan.exposure_budget_e6_s or self.peak_exposure_e6 > plan.exposure_budget_e6

    @cached_property
    def steps(self) -> dict[str, int]:
        """Its bridge."""
        return bridge(self.plan, self.orders, self.settled)

    @property
    def differences(self) -> list[str]:
        """What the orders say otherwise than the marts and the ledger."""
        found = []
        if sum(self.steps.values()) != self.cash_e6:
            found.append(f"cash {sum(self.steps.values())} and {self.cash_e6} in the ledger")
        if locked_e6(self.plan, self.orders) != self.locked_e6:
            found.append(f"locked {locked_e6(self.plan, self.orders)} and {self.locked_e6} in the mart")
        if self.floor_e6 != self.result_e6:
            found.append(f"result {self.result_e6} and {self.floor_e6} in the mart")
        return found

    @property
    def result_e6(self) -> int:
        """Cash so far and the least that what is held pays in a normal outcome."""
        return self.cash_e6 - self.steps["not paid yet"]


def tick_e4(ranges: PriceRanges, price_e4: int, outcome: Outcome) -> int:
    """Return the price step at a price of an outcome; that of the last range where none holds it."""
    yes = price_e4 if outcome == "yes" else PRICE_ONE_E4 - price_e4
    return next((step for start, end, step in ranges if start <= yes < end), ranges[-1][2])


def total(trades: Sequence[Trade]) -> dict[str, int]:
    """Return the bridge of all trades together."""
    return {name: sum(trade.steps[name] for trade in trades) for name in STEPS}
