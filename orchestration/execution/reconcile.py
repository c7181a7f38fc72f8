"""After a crash and from time to time: what Postgres and the venues say of every execution is brought together.

Executions nobody works on any more are driven on to their end; unknown orders are read; provisional fills are followed
until they are confirmed or failed, and a failed one opens its execution again. So does an order that was given up as
never seen and has filled after all: what it brought too much is sold.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.execution.decide.hedge import OPEN_STATES, State, holdings, locked_e6, unmatched_e6
from orchestration.execution.decide.plan import plan_from_json
from orchestration.execution.run_execution import close_if_empty, targets_of
from orchestration.execution.send_orders import Accounts, Dispatcher, order_facts
from orchestration.execution.trade_signal import Desk
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.storage.database import Connection, Row
from streams.storage.store import executions as trading
from streams.storage.store.alerts import clear_alert
from streams.storage.store.leases import release, release_dead


@dataclass(slots=True)
class Reconciled:
    """What one round did."""

    driven: int = 0
    followed: int = 0
    reopened: int = 0
    busy: int = 0
    failed: int = 0


async def reconcile(connection: Connection, accounts: Accounts, run_id: str) -> Reconciled:
    """Bring every execution that is not finished, or whose orders or fills are not final, up to what the venues say."""
    result = Reconciled()
    desk = Desk(connection, accounts, run_id)
    for row in _unfinished(connection, accounts):
        try:
            await _one(connection, accounts, desk, row, result)
        except (StreamsError, LookupError) as error:
            result.failed += 1
            get_logger().warning("not reconciled", execution_id=row["execution_id"], error=str(error))
    return result


def _unfinished(connection: Connection, accounts: Accounts) -> list[Row]:
    return connection.execute(
        """SELECT e.* FROM trading.executions AS e WHERE e.mode = %(mode)s AND (
               e.state = ANY(%(open)s)
               OR EXISTS (SELECT 1 FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                   WHERE i.execution_id = e.execution_id AND (o.state = ANY(%(unresolved)s)
                       OR (o.state = 'expired' AND o.reason = %(absent)s
                           AND o.closed_at > clock_timestamp() - make_interval(secs => %(recheck_s)s))))
               OR EXISTS (SELECT 1 FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                   JOIN trading.intents AS i USING (intent_id)
                   WHERE i.execution_id = e.execution_id AND f.state = 'provisional'))
           ORDER BY e.execution_id""",
        {
            "mode": accounts.mode,
            "absent": trading.ABSENT,
            "recheck_s": accounts.settings.absent_recheck_s,
            "open": [str(state) for state in OPEN_STATES],
            "unresolved": list(trading.UNRESOLVED),
        },
    ).fetchall()


async def _one(connection: Connection, accounts: Accounts, desk: Desk, row: Row, result: Reconciled) -> None:
    plan = plan_from_json(row["detail"]["plan"])
    for leg in plan.legs:
        release_dead(connection, f"market:{leg.venue}:{leg.market_id}")
    leases = desk.acquire(plan)
    if leases is None:
        result.busy += 1
        return
    try:
        execution_id = row["execution_id"]
        targets = targets_of(connection, plan)
        dispatcher = Dispatcher(connection, accounts, leases)
        was_open = trading.load_execution(connection, execution_id)["state"] in OPEN_STATES
        absent = trading.load_absent(connection, execution_id, accounts.settings.absent_recheck_s)
        await dispatcher.recheck(absent, targets)
        if not was_open:
            await dispatcher.resolve(trading.load_to_follow(connection, execution_id), targets)
            result.followed += 1
        execution = trading.load_execution(connection, execution_id)
        if execution["state"] not in OPEN_STATES:
            _settle_down(connection, execution)
            return
        result.driven += was_open
        result.reopened += not was_open
        await desk.drive(execution, targets, leases)
    finally:
        for lease in leases:
            release(connection, lease)


def _settle_down(connection: Connection, execution: Row) -> None:
    """An escalated execution whose unknown orders proved harmless is hedged or flat after all."""
    execution_id = execution["execution_id"]
    rows = trading.load_orders(connection, execution_id)
    if execution["state"] == State.ESCALATED and all(row["state"] not in trading.UNRESOLVED for row in rows):
        plan, facts = plan_from_json(execution["detail"]["plan"]), order_facts(rows)
        if unmatched_e6(plan, facts) <= plan.dust_e6:
            state = State.HEDGED if min(holdings(plan, facts).values()) else State.FLAT
            trading.change_state(connection, execution_id, state, "the unknown order is resolved", {})
            trading.merge_detail(connection, execution_id, {"ended_as": state})
            connection.execute(
                "UPDATE trading.executions SET expected_pnl_e6 = %s WHERE execution_id = %s",
                (locked_e6(plan, facts), execution_id),
            )
            for kind in ("execution", "late_fill"):
                clear_alert(connection, f"{kind}:{execution_id}")
    close_if_empty(connection, execution_id)
