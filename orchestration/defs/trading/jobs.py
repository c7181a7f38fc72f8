"""Trading runs, runs of single hedges, and settlement cycles."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import dagster as dg

from orchestration.execution.accounts.live_checks import prepare_accounts
from orchestration.execution.armed.armed_run import claimed, outcome_of
from orchestration.execution.armed.following import Follower
from orchestration.execution.armed.trading import Armed, trade_while_armed
from orchestration.execution.settlement_cycle import CycleResult, run_cycle
from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.execution.trading_context import open_trading_context
from orchestration.execution.unknown_orders.looking import look_on
from orchestration.resources import PlatformResource
from orchestration.tags import STATE_TAG, TRADE
from streams.logs import configure_logs
from streams.market.trading import OPEN_STATES, ExecutionRow, ExecutionState
from streams.market.units import CASH_SCALE
from streams.recorder.running import run_until_signalled
from streams.storage.database import Connection
from streams.storage.store.executions import figures_of, load_execution
from streams.storage.store.hedges.story import execution_of, load_story, money_of

_FOLLOW_S = 0.25
_BEGUN_WITHIN_S = 5.0
"""A run that has claimed a signal's group begins its execution within this time, or refuses it."""
_TABLES = ("executions", "orders", "fills", "ledger")


class ArmedConfig(dg.Config):
    """The version of code, settings and keys the run was started for; a run started by hand has none."""

    version: str = ""


@dg.op(out=dg.Out(dagster_type=dg.Nothing))
def trade_while_signals_open(context: dg.OpExecutionContext, config: ArmedConfig, platform: PlatformResource) -> None:
    """Hold the account, trade signals as they open, and end when another run takes over or the run is terminated."""
    settings = platform.settings()
    configure_logs(settings.log_level)
    armed = Armed(context.run_id, config.version)
    # After an outage it begins anew: signals that were traded are left alone, and what was under way is reconciled.
    ended = platform.ride_out(
        lambda _: run_until_signalled(lambda stop: trade_while_armed(platform.dsn(), settings, armed, stop))
    )
    context.add_output_metadata({"signals": dg.MetadataValue.json(dict(armed.tally.ended)), "why": armed.why_ended})
    context.log.info(f"signals by their end: {dict(armed.tally.ended)}; {armed.why_ended or 'it was told to stop'}")
    if ended.was_signalled:
        raise dg.DagsterExecutionInterruptedError


@dg.job(
    tags=TRADE,
    description="The armed trading run: trades every signal that opens, for as long as it runs. One is kept alive.",
)
def hedged_trade() -> None:
    """One op; everything it decides on is read fresh."""
    trade_while_signals_open()


class HedgeConfig(dg.Config):
    """The signal a run is for, and its execution where one has begun."""

    signal_id: int
    execution_id: int | None = None


@dg.op(out=dg.Out(dagster_type=dg.Nothing))
def follow_hedge(context: dg.OpExecutionContext, config: HedgeConfig, platform: PlatformResource) -> None:
    """Follow a hedge to its end and log what happens; one that no armed run has taken is traded here first."""
    execution_id = config.execution_id
    if execution_id is None:
        execution_id = platform.ride_out(lambda c: _take(c, platform, config.signal_id, context))
    if execution_id is None:
        _tag(context, "refused")
        return
    execution = platform.ride_out(
        lambda c: _follow(c, execution_id, platform.settings().execution_max_s, context.log.info)
    )
    _report(context, platform, execution)
    if execution.state is ExecutionState.ESCALATED or execution.state in OPEN_STATES:
        raise dg.Failure(f"Execution {execution_id} is {execution.state}; see docs/runbooks/escalated-trade.md.")


def _take(
    connection: Connection, platform: PlatformResource, signal_id: int, context: dg.OpExecutionContext
) -> int | None:
    """Return the execution of a signal: another run's, else one of our own; None where it is refused."""
    with claimed(connection, signal_id) as is_ours:
        result = asyncio.run(_trade(connection, platform, signal_id, context.run_id)) if is_ours else None
    if result is not None:
        context.log.info(f"no armed run has taken signal {signal_id}; traded here: {outcome_of(result)}")
        return result.execution_id
    deadline = time.monotonic() + _BEGUN_WITHIN_S
    while (found := execution_of(connection, signal_id)) is None and time.monotonic() < deadline:
        time.sleep(_FOLLOW_S)
    return found


async def _trade(connection: Connection, platform: PlatformResource, signal_id: int, run_id: str) -> TradeResult:
    async with open_trading_context(platform.settings(), connection) as trading:
        await prepare_accounts(connection, trading)
        return await SignalTrader(connection, trading, run_id).trade(signal_id)


def _follow(connection: Connection, execution_id: int, limit_s: float, say: Callable[[str], object]) -> ExecutionRow:
    """Say what happens to an execution until it has ended, or is worked on for far longer than it may be."""
    follower = Follower()
    deadline = time.monotonic() + limit_s
    while True:
        execution = load_execution(connection, execution_id)
        for sentence in follower.news(load_story(connection, execution_id)):
            say(sentence)
        if not execution.is_open or time.monotonic() > deadline:
            return execution
        time.sleep(_FOLLOW_S)


def _report(context: dg.OpExecutionContext, platform: PlatformResource, execution: ExecutionRow) -> None:
    """Tag the run with the end, and report the trading tables with the hedge's figures."""
    figures = platform.ride_out(lambda c: figures_of(c, [execution.execution_id]))
    money = platform.ride_out(lambda c: money_of(c, execution.execution_id))
    metadata: dict[str, Any] = {
        "execution": execution.execution_id,
        "state": str(execution.state),
        "orders": figures.orders,
        "fills": figures.fills,
        "fees_usd": str(figures.fees_usd.normalize()),
    }
    if money is not None:
        amounts = {"planned": money.planned_e6, "locked": money.locked_e6, "settled": money.settled_e6}
        metadata |= {
            f"{name}_usd": "not yet" if amount is None else f"{amount / CASH_SCALE:.6f}"
            for name, amount in amounts.items()
        }
    _tag(context, str(execution.state))
    context.add_output_metadata(metadata)
    for table in _TABLES:
        context.log_event(dg.AssetMaterialization(asset_key=["trading", table], metadata=metadata))


def _tag(context: dg.OpExecutionContext, state: str) -> None:
    context.instance.add_run_tags(context.run_id, {STATE_TAG: state})


@dg.job(
    tags=TRADE,
    description="One hedge: its orders, fills and end, followed; green for HEDGED and FLAT, red for ESCALATED.",
)
def hedge() -> None:
    """One op."""
    follow_hedge()


@dg.op(out=dg.Out(dagster_type=dg.Nothing))
def settle_and_reconcile(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Finish what runs left open, flatten what people asked for, follow fills, book payouts, compare balances."""
    result = platform.ride_out(lambda connection: asyncio.run(_settle(connection, platform, context.run_id)))
    context.add_output_metadata(
        {
            "executions driven": result.reconciled.continued,
            "executions reopened": result.reconciled.reopened,
            "commands obeyed": result.commands,
            "markets paid": result.settled.markets,
            "paid_usd": f"{result.settled.paid_e6 / 1e6:.6f}",
            "executions realised": result.settled.executions,
            **{f"{balance.venue} cash less ledger (1e-6 usd)": balance.difference_e6 for balance in result.balances},
        }
    )
    if result.settled.entries:
        context.log_event(dg.AssetMaterialization(asset_key=["trading", "ledger"]))


async def _settle(connection: Connection, platform: PlatformResource, run_id: str) -> CycleResult:
    async with open_trading_context(platform.settings(), connection) as trading:
        result = await run_cycle(connection, trading, run_id)
        await look_on(connection, trading, run_id)
        return result


@dg.job(
    tags=TRADE,
    description="Reconcile executions with the venues, book settlements, compare balances.",
)
def settle_trades() -> None:
    """One op; safe to run at any time."""
    settle_and_reconcile()
