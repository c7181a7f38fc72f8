"""What opens an ended execution again, written in the transaction that learns of it: a crash must not forget it."""

from __future__ import annotations

from orchestration.execution.decide.hedge import OPEN_STATES, State
from streams.storage.database import Connection
from streams.storage.store import executions as trading
from streams.storage.store.alerts import raise_alert


def reopen_failed(connection: Connection, execution_id: int) -> None:
    """A match will never settle: what the other legs hold has lost its counterpart."""
    if trading.load_execution(connection, execution_id)["state"] not in OPEN_STATES:
        trading.change_state(connection, execution_id, State.COMPLETING, "a fill failed to settle", {})


def reopen_late(connection: Connection, execution_id: int) -> None:
    """An order that was given up has filled: raise the alarm; the execution buys nothing any more, and sells it."""
    why = "an order that was given up has filled"
    trading.merge_detail(connection, execution_id, {"late_fill": True})
    connection.execute(
        "UPDATE trading.executions SET settled_at = NULL, realised_pnl_e6 = NULL WHERE execution_id = %s",
        (execution_id,),
    )
    raise_alert(
        connection,
        "late_fill",
        "critical",
        f"late_fill:{execution_id}",
        f"Execution {execution_id}: an order that its venue did not know has filled after all.",
        {"execution_id": execution_id},
    )
    if trading.load_execution(connection, execution_id)["state"] not in (*OPEN_STATES, State.ESCALATED):
        trading.change_state(connection, execution_id, State.UNWINDING, why, {})
