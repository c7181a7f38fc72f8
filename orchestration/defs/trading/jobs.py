"""Trading runs and settlement cycles."""

import asyncio
from typing import Any

import dagster as dg

from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.settlement_cycle import CycleResult, run_cycle
from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.execution.trading_context import open_trading_context
from orchestration.execution.trading_run import trade_and_wait
from orchestration.resources import PlatformResource
from orchestration.tags import TRADE
from streams.storage.database import Connection
from streams.storage.store.executions import figures_of


class TradeConfig(dg.Config):
    """Which signals a run takes, one after the other, and how long it then waits for more (seconds)."""

    signal_ids: list[int]
    stay_s: float = 0.0


@dg.op(out=dg.Out(dagster_type=dg.Nothing))
def trade_signals(context: dg.OpExecutionContext, config: TradeConfig, platform: PlatformResource) -> None:
    """Take each signal through gate, plan and orders to HEDGED, FLAT or ESCALATED, or note why not; then stay."""
    # After an outage it begins anew: signals that were traded are left alone, and what was under way is reconciled.
    results = platform.ride_out(lambda c: asyncio.run(_trade(c, platform, config, context.run_id)))
    for result in results:
        context.log.info(_sentence(result))
    context.add_output_metadata(platform.ride_out(lambda connection: _metadata(connection, results)))
    if any(result.execution_id is not None for result in results):
        for table in ("executions", "orders", "fills", "ledger"):
            context.log_event(dg.AssetMaterialization(asset_key=["trading", table]))


async def _trade(
    connection: Connection, platform: PlatformResource, config: TradeConfig, run_id: str
) -> list[TradeResult]:
    settings = platform.settings()
    async with open_trading_context(settings, connection) as trading:
        await ensure_deposits(connection, trading)
        trader = SignalTrader(connection, trading, run_id)
        return await trade_and_wait(connection, settings, trader.trade, config.signal_ids, config.stay_s)


def _sentence(result: TradeResult) -> str:
    if result.state is not None:
        return f"signal {result.signal_id}: execution {result.execution_id} is {result.state}"
    refusal = result.refusal
    return f"signal {result.signal_id}: refused, {refusal.reason if refusal else 'unknown'}"


def _metadata(connection: Connection, results: list[TradeResult]) -> dict[str, Any]:
    ids = [result.execution_id for result in results if result.execution_id is not None]
    done = figures_of(connection, ids)
    figures = {
        "orders": done.orders,
        "fills": done.fills,
        "fees_usd": str(done.fees_usd.normalize()),
        "expected_pnl_usd": str(done.expected_pnl_usd.normalize()),
    }
    states = {f"signal {o.signal_id}": str(o.state or (o.refusal and o.refusal.reason)) for o in results}
    return {"executions": len(ids), **figures, "outcomes": dg.MetadataValue.json(states)}


@dg.job(
    tags=TRADE,
    description="Trade some signals: each ends HEDGED, FLAT, ESCALATED with an alarm, or refused with a reason.",
)
def hedged_trade() -> None:
    """One op; everything it decides on is read fresh."""
    trade_signals()


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
        return await run_cycle(connection, trading, run_id)


@dg.job(
    tags=TRADE,
    description="Reconcile executions with the venues, book settlements, compare balances.",
)
def settle_trades() -> None:
    """One op; safe to run at any time."""
    settle_and_reconcile()
