"""Late fills: what reopens an ended execution, written in the transaction that learns of it.

A crash must not forget it.
"""

from __future__ import annotations

from streams.market.trading import ExecutionState
from streams.storage.database import Connection
from streams.storage.store import executions
from streams.storage.store.alerts import clear_alert, raise_alert


def reopen_failed(connection: Connection, execution_id: int) -> None:
    """Reopen an execution one of whose fills will never settle: what the other legs hold has lost its counterpart."""
    if not executions.load_execution(connection, execution_id).is_open:
        executions.change_state(connection, execution_id, ExecutionState.COMPLETING, "a fill failed to settle")


def reopen_late(connection: Connection, execution_id: int, *, is_paid: bool) -> None:
    """Reopen an execution whose abandoned order has filled: it buys nothing any more, and sells the excess.

    Where the market has paid already there is nothing to sell: the fill was paid with it, and is told of.
    """
    why = "an order that was given up has filled"
    executions.merge_detail(connection, execution_id, {"late_fill": True})
    if not is_paid:
        executions.take_back_settlement(connection, execution_id)
    raise_alert(
        connection,
        "late_fill",
        "critical",
        f"late_fill:{execution_id}",
        f"Execution {execution_id}: an order that its venue did not know has filled after all.",
        {"execution_id": execution_id},
    )
    if is_paid:
        executions.note_event(connection, execution_id, f"{why}; its market has paid, and so was it")
        clear_alert(connection, f"late_fill:{execution_id}")
        return
    execution = executions.load_execution(connection, execution_id)
    if not execution.is_open and execution.state is not ExecutionState.ESCALATED:
        executions.change_state(connection, execution_id, ExecutionState.UNWINDING, why)
