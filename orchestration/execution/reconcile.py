"""Reconciliation after a crash and from time to time: what Postgres and the venues say of each execution, made one.

Executions nobody works on any more are continued to their end; unknown orders are read; provisional fills are followed
until they are confirmed or failed, and a failed one reopens its execution. So does a fill of an order that was
abandoned because its venue did not know it: what it brought too much is sold.

Whoever reconciles holds the account's lease, so that an order is looked for by one reader at a time, as often as its
age asks for and without an end.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from orchestration.execution.decide import absence
from orchestration.execution.decide.execution_detail import execution_detail
from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.late_fills import settle_down
from orchestration.execution.run_execution import targets_of
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from streams.logs import get_logger
from streams.market.errors import TransientError
from streams.market.trading import BootTime, ExecutionRow
from streams.storage.database import ROW_REFUSED, Connection
from streams.storage.store import executions, orders
from streams.storage.store.alerts import raise_alert
from streams.storage.store.hedges import watches
from streams.storage.store.hedges.fences import take_over
from streams.storage.store.leases import (
    Lease,
    LeaseLost,
    acquire,
    heartbeat,
    market_lease,
    process_holder,
    release,
    release_dead,
)


@dataclass(slots=True)
class Reconciled:
    """What one reconciliation did: executions continued, followed, reopened, left to another run, and failed."""

    continued: int = 0
    followed: int = 0
    reopened: int = 0
    busy: int = 0
    failed: int = 0


def account_lease(mode: str) -> str:
    """Return the name of the lease under which the account of a trading mode is reconciled."""
    return f"reconcile:{mode}"


def looks_due(connection: Connection, mode: str, now: BootTime, *, since_s: float = 0.0) -> list[watches.WatchedOrder]:
    """Return the orders that are to be looked for and were to be so `since_s` seconds ago."""
    return [
        order
        for order in watches.load_watched(connection, mode)
        if absence.due_in_s(order.watch, now, is_given_up=order.is_given_up) <= -since_s
    ]


async def reconcile(
    connection: Connection, context: TradingContext, run_id: str, *, with_provisional: bool = True
) -> Reconciled:
    """Bring every execution that is not finished, or whose orders or fills are not final, up to what the venues say.

    Where another process holds the account's lease nothing is done.

    Args:
        connection: Where the rows are.
        context: Whose they are.
        run_id: Of the run that does it.
        with_provisional: Ask for fills that are not final, too.
    """
    result = Reconciled()
    name = account_lease(context.mode)
    release_dead(connection, name)
    ttl_s = context.settings.lease_ttl_s
    lease = acquire(connection, name, process_holder(), run_id, ttl_s, is_renewable=False)
    if lease is None:
        result.busy += 1
        return result
    try:
        await _reconcile(connection, context, run_id, result, lease, with_provisional=with_provisional)
    except LeaseLost:
        get_logger().warning("another process reconciles now", lease=name)
    finally:
        release(connection, lease)
    return result


async def _reconcile(
    connection: Connection,
    context: TradingContext,
    run_id: str,
    result: Reconciled,
    lease: Lease,
    *,
    with_provisional: bool,
) -> None:
    trader = SignalTrader(connection, context, run_id)
    due = {order.execution_id for order in looks_due(connection, context.mode, context.boot_clock())}
    for row in executions.load_unfinished(connection, context.mode, due, with_provisional=with_provisional):
        heartbeat(connection, lease)
        try:
            await _reconcile_one(connection, context, trader, row, result)
        except Exception as error:  # whatever one execution fails with, the others are worked on
            if isinstance(error, psycopg.Error) and not isinstance(error, ROW_REFUSED):
                raise
            result.failed += 1
            _note_failure(connection, row, error)


def _note_failure(connection: Connection, row: ExecutionRow, error: Exception) -> None:
    """Log that an execution was not reconciled; where the next cycle will not do better, a person must look at it."""
    get_logger().warning("not reconciled", execution_id=row.execution_id, error=f"{type(error).__name__}: {error}")
    if row.is_open and not isinstance(error, TransientError | LeaseLost):
        message = (
            f"Execution {row.execution_id} is {row.state} and cannot be worked on ({type(error).__name__}: {error})."
            " A person must look at it."
        )
        detail = {"execution_id": row.execution_id}
        raise_alert(connection, "escalated", "critical", f"execution:{row.execution_id}", message, detail)


async def _reconcile_one(
    connection: Connection, context: TradingContext, trader: SignalTrader, row: ExecutionRow, result: Reconciled
) -> None:
    plan = execution_detail(row.detail).plan
    for key in plan.market_keys:
        release_dead(connection, market_lease(key))
    leases = trader.acquire(plan)
    if leases is None:
        result.busy += 1
        return
    try:
        execution_id = row.execution_id
        targets = targets_of(connection, plan)
        held = take_over(connection, execution_id, leases[0].epoch)
        follower = OrderFollower(connection, context, held)
        was_open = executions.load_execution(connection, execution_id).is_open
        due = {order.watch.order_id for order in looks_due(connection, context.mode, context.boot_clock())}
        given_up = [order for order in orders.load_given_up(connection, execution_id) if order.order_id in due]
        await follower.recheck(given_up, targets)
        if not was_open:
            await follower.resolve(orders.load_to_follow(connection, execution_id), targets)
            result.followed += 1
        execution = executions.load_execution(connection, execution_id)
        if not execution.is_open:
            settle_down(connection, held)
            return
        result.continued += was_open
        result.reopened += not was_open
        await trader.run_execution(execution, targets, leases)
    finally:
        for lease in leases:
            release(connection, lease)
