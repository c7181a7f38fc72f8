"""What the gate decided, each check with its limit and reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument, storable_text
from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to be written; `reason` is empty when it allows."""

    signal_id: int
    execution_id: int | None
    mode: str
    environment: str
    reason: str
    detail: str
    checks: Sequence[JsonDocument]


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A row of `trading.gate_decisions`."""

    decision_id: int
    signal_id: int
    execution_id: int | None
    mode: str
    environment: str
    is_allowed: bool
    reason: str
    detail: str
    checks: list[JsonDocument]
    decisions: int
    decided_at: datetime
    last_decided_at: datetime


def write_decision(connection: Connection, new: NewDecision, at: datetime) -> None:
    """Write a decision; a refusal that this episode has had before is counted on its row, with its readings of now."""
    connection.execute(
        """INSERT INTO trading.gate_decisions AS d (signal_id, execution_id, mode, environment, is_allowed, reason,
               detail, checks, decided_at, last_decided_at)
           VALUES (%(signal)s, %(execution)s, %(mode)s, %(environment)s, %(allowed)s, %(reason)s, %(detail)s,
               %(checks)s, %(at)s, %(at)s)
           ON CONFLICT (signal_id, mode, reason) WHERE NOT is_allowed DO UPDATE
           SET decisions = d.decisions + 1, last_decided_at = excluded.last_decided_at, checks = excluded.checks,
               detail = excluded.detail, execution_id = excluded.execution_id""",
        {
            "signal": new.signal_id,
            "execution": new.execution_id,
            "mode": new.mode,
            "environment": new.environment,
            "allowed": not new.reason,
            "reason": new.reason,
            "detail": storable_text(new.detail),
            "checks": Jsonb([dict(check) for check in new.checks]),
            "at": at,
        },
    )


def list_decisions(connection: Connection, signal_id: int) -> list[GateDecision]:
    """Return the decisions on a signal, the last one first."""
    return fetch_all(
        connection,
        GateDecision,
        """SELECT decision_id, signal_id, execution_id, mode, environment, is_allowed, reason, detail, checks,
               decisions, decided_at, last_decided_at
           FROM trading.gate_decisions WHERE signal_id = %s ORDER BY last_decided_at DESC, decision_id DESC""",
        (signal_id,),
    )


def forget_decisions(connection: Connection, before: datetime) -> int:
    """Delete the decisions whose last one is older than `before`; return how many rows."""
    return connection.execute("DELETE FROM trading.gate_decisions WHERE last_decided_at < %s", (before,)).rowcount
