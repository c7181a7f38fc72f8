"""What `trading.executions.detail` says of an execution under way: its plan, its exposure, a flatten. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestration.execution.decide.exposure import ExposureSum, exposure_sum
from orchestration.execution.decide.hedge_plan import Plan
from orchestration.execution.decide.plan import plan_from_json
from streams.market.documents import JsonDocument


@dataclass(frozen=True, slots=True)
class FlattenDetail:
    """A person's order to sell everything, as far as it has come.

    Attributes:
        command_id: The command that asked for it.
        floors_e4: Per leg number, the least price it may be sold at; bound to the first bids that were seen.
    """

    command_id: int | None = None
    floors_e4: Mapping[int, int] = field(default_factory=dict)

    def to_json(self) -> JsonDocument:
        """Return the value of the key `flatten`."""
        return {"command_id": self.command_id, "floors_e4": dict(self.floors_e4)}


@dataclass(frozen=True, slots=True)
class ExecutionDetail:
    """The typed view of an execution's detail.

    Attributes:
        plan: What was decided.
        exposure: What is exposed, and the sum over time.
        has_late_fill: An abandoned order has filled after all.
        flatten: What was sold because a person asked for it; None where nobody has.
    """

    plan: Plan
    exposure: ExposureSum = field(default_factory=ExposureSum)
    has_late_fill: bool = False
    flatten: FlattenDetail | None = None


def execution_detail(stored: JsonDocument) -> ExecutionDetail:
    """Return the typed view of `trading.executions.detail`.

    Raises:
        KeyError: If it holds no plan.
    """
    asked = stored.get("flatten") or None
    return ExecutionDetail(
        plan=plan_from_json(stored["plan"]),
        exposure=exposure_sum(stored),
        has_late_fill=bool(stored.get("late_fill")),
        flatten=None if asked is None else _flatten(asked),
    )


def _flatten(asked: JsonDocument) -> FlattenDetail:
    floors = {int(leg_no): int(floor) for leg_no, floor in asked.get("floors_e4", {}).items()}
    return FlattenDetail(asked.get("command_id"), floors)
