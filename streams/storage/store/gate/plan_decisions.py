"""What each plan, and each refusal of one, was decided on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class NewPlanDecision:
    """A decision to be written; `reason` is empty, and `execution_id` known, where there is a plan."""

    signal_id: int
    execution_id: int | None
    mode: str
    environment: str
    reason: str
    inputs: JsonDocument
    result: JsonDocument


@dataclass(frozen=True, slots=True)
class PlanDecision:
    """A row of `trading.plan_decisions`; `decisions`: how often this episode was refused for this reason."""

    plan_decision_id: int
    signal_id: int
    execution_id: int | None
    mode: str
    environment: str
    reason: str
    inputs: JsonDocument
    result: JsonDocument
    decisions: int
    decided_at: datetime
    last_decided_at: datetime


def write_plan_decision(connection: Connection, new: NewPlanDecision, at: datetime) -> None:
    """Write a decision; a refusal that this episode has had before is counted on its row, with its inputs of now."""
    connection.execute(
        """INSERT INTO trading.plan_decisions AS d (signal_id, execution_id, mode, environment, reason, inputs, result,
               decided_at, last_decided_at)
           VALUES (%(signal)s, %(execution)s, %(mode)s, %(environment)s, %(reason)s, %(inputs)s, %(result)s, %(at)s,
               %(at)s)
           ON CONFLICT (signal_id, mode, reason) WHERE reason <> '' DO UPDATE
           SET decisions = d.decisions + 1, last_decided_at = excluded.last_decided_at, inputs = excluded.inputs,
               result = excluded.result""",
        {
            "signal": new.signal_id,
            "execution": new.execution_id,
            "mode": new.mode,
            "environment": new.environment,
            "reason": new.reason,
            "inputs": Jsonb(dict(new.inputs)),
            "result": Jsonb(dict(new.result)),
            "at": at,
        },
    )


def list_plan_decisions(connection: Connection, signal_id: int) -> list[PlanDecision]:
    """Return the decisions on a signal, oldest first."""
    return fetch_all(
        connection,
        PlanDecision,
        """SELECT plan_decision_id, signal_id, execution_id, mode, environment, reason, inputs, result, decisions,
               decided_at, last_decided_at
           FROM trading.plan_decisions WHERE signal_id = %s ORDER BY plan_decision_id""",
        (signal_id,),
    )


def forget_plan_decisions(connection: Connection, before: datetime) -> int:
    """Delete the decisions whose last one is older than `before`; return how many rows."""
    return connection.execute("DELETE FROM trading.plan_decisions WHERE last_decided_at < %s", (before,)).rowcount
