"""Late fills: what follows when an order of an execution that nobody works on any more fills, fails or is corrected.

It is written in the transaction that learns of it, so that a crash does not forget it, and however long after the end
that is. HEDGED and FLAT are opened again and mended. ESCALATED is priced and alarmed anew: it sends only what a person
releases. An order that filled for more than was ordered counts with all of it, and alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from orchestration.execution.decide.execution_detail import execution_detail
from orchestration.execution.decide.exposure import Moment
from orchestration.execution.decide.hedge_plan import exposure_e6, holdings, locked_e6, order_facts, unmatched_e6
from streams.market.trading import ExecutionRow, ExecutionState, NewFill, OrderRow
from streams.market.units import CASH_SCALE, SIZE_SCALE
from streams.storage.database import Connection
from streams.storage.store import executions, orders
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.storage.store.hedges.fences import Fence

_CENT_E6 = 10_000


@dataclass(frozen=True, slots=True)
class OrderChange:
    """An order as it was before a reading, the fills that came, failed or changed, and whether its market has paid."""

    order: OrderRow
    fills: Sequence[NewFill]
    is_paid: bool

    @property
    def has_failed(self) -> bool:
        """Whether one of the fills will never settle."""
        return any(fill.state == "failed" for fill in self.fills)

    @property
    def why(self) -> str:
        """What happened, as events and alarms say it."""
        if self.order.was_abandoned:
            return "an order that was given up has filled"
        if self.has_failed:
            return "a fill failed to settle"
        return (
            "an order that had ended has filled or was corrected" if self.order.is_resolved else "an order has filled"
        )


def follow_change(connection: Connection, held: Fence, change: OrderChange, now: Moment) -> None:
    """Do what follows from a change of an order; call in the transaction that has booked it.

    What an execution that is opened again holds without a counterpart is exposed from now on.

    Raises:
        LeaseLost: If somebody else works on the execution now.
    """
    rows = orders.load_orders(connection, held.execution_id)
    _alarm_over_fill(connection, next(row for row in rows if row.order_id == change.order.order_id))
    execution = executions.load_execution(connection, held.execution_id)
    if execution.is_open:
        return
    if not change.order.is_resolved and not change.has_failed:
        # It was waited for: an end that already counted its answer stays as it is.
        plan = execution_detail(execution.detail).plan
        if unmatched_e6(plan, order_facts(rows)) <= plan.dust_e6:
            return
    _tell(connection, change, execution)
    if change.is_paid:
        executions.note_event(connection, held.execution_id, f"{change.why}; its market has paid, and so was it")
        clear_alert(connection, f"late_fill:{held.execution_id}")
        return
    executions.take_back_settlement(connection, held)
    if execution.state is ExecutionState.ESCALATED:
        escalate_again(connection, held, change.why)
        return
    detail = execution_detail(execution.detail)
    exposed = detail.exposure.moved(exposure_e6(detail.plan, order_facts(rows)), now)
    executions.merge_detail(connection, held, exposed.to_json())
    if change.order.is_resolved and not change.has_failed:
        executions.merge_detail(connection, held, {"late_fill": True})
        executions.change_state(connection, held, ExecutionState.UNWINDING, change.why)
    else:
        executions.change_state(connection, held, ExecutionState.COMPLETING, change.why)


def escalate_again(connection: Connection, held: Fence, why: str) -> None:
    """Price what an escalated execution holds by its orders as they are now, and alarm anew; nothing is sent."""
    execution_id = held.execution_id
    execution = executions.load_execution(connection, execution_id)
    plan, facts = execution_detail(execution.detail).plan, order_facts(orders.load_orders(connection, execution_id))
    left, exposure = unmatched_e6(plan, facts), exposure_e6(plan, facts)
    executions.note_expected_pnl(connection, held, locked_e6(plan, facts))
    executions.merge_detail(connection, held, {"unmatched_e6": left, "why": why})
    executions.note_event(connection, execution_id, why, {"unmatched_e6": left, "exposure_e6": exposure})
    clear_alert(connection, f"execution:{execution_id}")  # what was told of it before is no longer so
    message = (
        f"Execution {execution_id} is ESCALATED and has changed: {why}. What it holds without a counterpart has cost"
        f" {_usd(left)}, and {_usd(exposure)} may be lost. A person must look at it."
    )
    detail = {"execution_id": execution_id, "unmatched_e6": left, "exposure_e6": exposure}
    raise_alert(connection, "escalated", "critical", f"execution:{execution_id}", message, detail)


def settle_down(connection: Connection, held: Fence) -> None:
    """Let an escalated execution whose unknown orders proved harmless be hedged or flat after all."""
    execution_id = held.execution_id
    execution = executions.load_execution(connection, execution_id)
    rows = orders.load_orders(connection, execution_id)
    if execution.state is ExecutionState.ESCALATED and all(order.is_resolved for order in rows):
        plan, facts = execution_detail(execution.detail).plan, order_facts(rows)
        if unmatched_e6(plan, facts) <= plan.dust_e6:
            state = ExecutionState.HEDGED if min(holdings(plan, facts).values()) else ExecutionState.FLAT
            executions.change_state(connection, held, state, "the unknown order is resolved")
            executions.merge_detail(connection, held, {"ended_as": state})
            executions.note_expected_pnl(connection, held, locked_e6(plan, facts))
            for kind in ("execution", "late_fill", "exposed"):
                clear_alert(connection, f"{kind}:{execution_id}")
    executions.close_if_empty(connection, held)


def _tell(connection: Connection, change: OrderChange, execution: ExecutionRow) -> None:
    number = execution.execution_id
    message = f"Execution {number}, which was {execution.state}: {change.why} ({_order(change.order)})."
    raise_alert(connection, "late_fill", "critical", f"late_fill:{number}", message, {"execution_id": number})


def _alarm_over_fill(connection: Connection, order: OrderRow) -> None:
    """Alarm an order that has filled for more than was ordered. All of it is booked, and counts."""
    is_spending = order.spend_e6 is not None
    over = order.cash_e6 - (order.spend_e6 or 0) - 2 * _CENT_E6 if is_spending else order.filled_e6 - order.size_e6
    if over <= 0:
        return
    filled, ordered = (
        (_usd(order.cash_e6), _usd(order.spend_e6 or 0))
        if is_spending
        else (f"{_contracts(order.filled_e6)} contracts", _contracts(order.size_e6))
    )
    message = f"{_order(order)} of execution {order.execution_id} has filled for {filled} and was for {ordered}."
    detail = {"execution_id": order.execution_id, "order_id": order.order_id}
    raise_alert(connection, "over_fill", "critical", f"over_fill:{order.order_id}", message, detail)


def _order(order: OrderRow) -> str:
    return f"order {order.order_id} on {order.market_key}"


def _usd(amount_e6: int) -> str:
    return f"{Decimal(amount_e6) / CASH_SCALE:f} USD"


def _contracts(size_e6: int) -> str:
    return f"{Decimal(size_e6) / SIZE_SCALE:f}"
