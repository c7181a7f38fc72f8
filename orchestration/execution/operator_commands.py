"""What people asked for in `trading.commands`: this is the consumer of `flatten`.

A command is taken up again until it has a result, so that a settlement cycle which dies leaves nothing undone; the
leases of the execution's markets keep two cycles from obeying the same one at the same time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import psycopg

from orchestration.execution.decide.execution_detail import FlattenDetail, execution_detail
from orchestration.execution.decide.hedge import Finish
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.run_execution import targets_of
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from streams.logs import get_logger
from streams.market.documents import JsonDocument
from streams.market.trading import ExecutionRow, ExecutionState
from streams.market.units import CASH_SCALE, PRICE_SCALE
from streams.storage.database import ROW_REFUSED, Connection
from streams.storage.kill_files import switch_in_force
from streams.storage.store import commands, executions
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.storage.store.hedges.fences import Fence, take_over
from streams.storage.store.leases import market_lease, release, release_dead


async def obey(connection: Connection, context: TradingContext, run_id: str) -> int:
    """Take up every pending flatten and return how many have a result now.

    One whose markets another run works on, or whose venue does not answer, stays pending for the next cycle.
    """
    trader = SignalTrader(connection, context, run_id)
    return await obey_each(connection, "flatten", lambda command: _flatten(connection, context, trader, command))


async def obey_each(
    connection: Connection, kind: commands.CommandKind, act: Callable[[commands.CommandRow], Awaitable[str]]
) -> int:
    """Take up every pending command of a kind and return how many have a result now.

    Args:
        connection: Where the commands are.
        kind: Of the commands.
        act: Obeys one and returns what became of it, empty when it has to wait.
    """
    done = after = 0
    while (command := commands.take(connection, kind, after)) is not None:
        after = command.command_id
        try:
            result = await act(command)
        except Exception as error:  # whatever one command fails with, the others are obeyed
            if isinstance(error, psycopg.Error) and not isinstance(error, ROW_REFUSED):
                raise
            reason = f"{type(error).__name__}: {error}"
            get_logger().warning("not obeyed yet", kind=kind, command_id=after, error=reason)
            continue
        if result:
            commands.finish(connection, after, result)
            done += 1
    return done


async def _flatten(
    connection: Connection, context: TradingContext, trader: SignalTrader, command: commands.CommandRow
) -> str:
    """Obey one command; returns what became of it, empty when it has to wait."""
    found = _execution_of(connection, context, command.subject)
    if isinstance(found, str):
        return found
    plan = execution_detail(found.detail).plan
    for key in plan.market_keys:
        release_dead(connection, market_lease(key))
    leases = trader.acquire(plan)
    if leases is None:
        return ""
    try:
        if commands.is_done(connection, command.command_id):
            return ""
        targets = targets_of(connection, plan)
        if len(targets) < len(plan.market_keys):
            return "refused: the terms of its markets are not known"
        take_over(connection, found.execution_id, leases[0].epoch)
        execution = executions.load_execution(connection, found.execution_id)
        execution = _bind_floors(connection, execution, command)
        finish = await trader.run_execution(execution, targets, leases, flatten=command.command_id)
    finally:
        for lease in leases:
            release(connection, lease)
    return _result(connection, execution.execution_id, finish)


def _bind_floors(connection: Connection, execution: ExecutionRow, command: commands.CommandRow) -> ExecutionRow:
    """Bind the sale to the worst prices the person confirmed, the first time the command is taken up."""
    prices = command.subject.get("worst_prices") or []
    detail = execution_detail(execution.detail)
    if not prices or (detail.flatten is not None and detail.flatten.command_id == command.command_id):
        return execution
    floor_of = {
        (f"{price['venue']}:{price['market_id']}", price["outcome"]): int(Decimal(price["price"]) * PRICE_SCALE)
        for price in prices
    }
    floors = {
        leg.leg_no: max(1, floor_of[leg.market_key, leg.outcome])
        for leg in detail.plan.legs
        if (leg.market_key, leg.outcome) in floor_of
    }
    bound = FlattenDetail(command.command_id, floors)
    executions.merge_detail(connection, Fence(execution.execution_id, execution.epoch), {"flatten": bound.to_json()})
    return executions.load_execution(connection, execution.execution_id)


def _execution_of(connection: Connection, context: TradingContext, subject: JsonDocument) -> ExecutionRow | str:
    """Return the execution that a command names, or why it is refused."""
    try:
        execution = executions.load_execution(connection, int(subject["execution_id"]))
    except (LookupError, TypeError, ValueError):
        return "refused: there is no such trade"
    if execution.settled_at is not None:
        is_flat = execution.state is ExecutionState.FLAT
        return _flat(execution, "nothing is held any more") if is_flat else "refused: it settled"
    if execution.mode != context.mode:
        return f"refused: it was made in mode {execution.mode}, trading is in mode {context.mode}"
    if switch_in_force(connection, context.settings.home_dir) == "kill":
        return "refused: trading is killed"
    return execution


def _result(connection: Connection, execution_id: int, finish: Finish | Refusal) -> str:
    """Say what became of it, with an alarm when it is not flat."""
    execution = executions.load_execution(connection, execution_id)
    why = finish.why if isinstance(finish, Finish) else f"refused: {finish.reason}"
    key = f"flatten:{execution_id}"
    if execution.state is not ExecutionState.FLAT:
        message = f"Execution {execution_id} was to be flattened and is {execution.state}: {why}."
        raise_alert(connection, "flatten", "warning", key, message, {"execution_id": execution_id})
        return f"{execution.state}: {why}"
    clear_alert(connection, key)
    return _flat(execution, why)


def _flat(execution: ExecutionRow, why: str) -> str:
    if execution.settled_at is None or execution.realised_pnl_e6 is None:
        return f"FLAT: {why}; its profit is booked when nothing is unconfirmed or held any more"
    realised = Decimal(execution.realised_pnl_e6) / CASH_SCALE
    return f"FLAT: {why}; realised {realised:+.6f} USD"
