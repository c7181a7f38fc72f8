"""Trading runs and the rounds of settlement and reconciliation."""

import asyncio
from typing import Any

import dagster as dg

from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.settlement_cycle import Round, run_round
from orchestration.execution.trade_signal import Desk, Outcome
from orchestration.execution.trading_context import open_accounts
from orchestration.execution.trading_run import trade_and_stay
from orchestration.resources import PlatformResource
from streams.storage.database import Connection, Row

SIGNALS_TAG = "crossbook/signals"


class TradeConfig(dg.Config):
    """Which signals a run takes, one after the other, and how long it then waits for more (seconds)."""

    signal_ids: list[int]
    stay_s: float = 0.0


@dg.op(out=dg.Out(dagster_type=dg.Nothing))
def trade_signals(context: dg.OpExecutionContext, config: TradeConfig, platform: PlatformResource) -> None:
    """Take each signal through gate, plan and orders to HEDGED, FLAT or ESCALATED, or note why not; then stay."""
    with platform.connect() as connection:
        outcomes = asyncio.run(_trade(connection, platform, config, context.run_id))
        for outcome in outcomes:
            context.log.info(_sentence(outcome))
        context.add_output_metadata(_metadata(connection, outcomes))
    if any(outcome.execution_id is not None for outcome in outcomes):
        for table in ("executions", "orders", "fills", "ledger"):
            context.log_event(dg.AssetMaterialization(asset_key=["trading", table]))


async def _trade(connection: Connection, platform: PlatformResource, config: TradeConfig, run_id: str) -> list[Outcome]:
    settings = platform.settings()
    async with open_accounts(settings, connection) as accounts:
        await ensure_deposits(connection, accounts)
        desk = Desk(connection, accounts, run_id)
        return await trade_and_stay(connection, settings, desk.trade, config.signal_ids, config.stay_s)


def _sentence(outcome: Outcome) -> str:
    if outcome.state is not None:
        return f"signal {outcome.signal_id}: execution {outcome.execution_id} is {outcome.state}"
    refusal = outcome.refusal
    return f"signal {outcome.signal_id}: refused, {refusal.reason if refusal else 'unknown'}"


def _metadata(connection: Connection, outcomes: list[Outcome]) -> dict[str, Any]:
    ids = [outcome.execution_id for outcome in outcomes if outcome.execution_id is not None]
    row: Row | None = connection.execute(
        """SELECT (SELECT count(*) FROM trading.intents WHERE execution_id = ANY(%(ids)s)) AS orders,
               (SELECT count(*) FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                JOIN trading.intents AS i USING (intent_id) WHERE i.execution_id = ANY(%(ids)s)) AS fills,
               (SELECT coalesce(-sum(cash_e6), 0) / 1e6 FROM trading.ledger
                WHERE execution_id = ANY(%(ids)s) AND kind IN ('fee', 'rebate')) AS fees_usd,
               (SELECT coalesce(sum(expected_pnl_e6), 0) / 1e6 FROM trading.executions
                WHERE execution_id = ANY(%(ids)s)) AS expected_pnl_usd""",
        {"ids": ids},
    ).fetchone()
    states = {f"signal {o.signal_id}": str(o.state or (o.refusal and o.refusal.reason)) for o in outcomes}
    figures = {
        name: str(value.normalize()) if hasattr(value, "normalize") else value for name, value in (row or {}).items()
    }
    return {"executions": len(ids), **figures, "outcomes": dg.MetadataValue.json(states)}


@dg.job(
    tags={"crossbook/slot": "trade"},
    executor_def=dg.in_process_executor,
    description="Trade some signals: each ends HEDGED, FLAT, ESCALATED with an alarm, or refused with a reason.",
)
def hedged_trade() -> None:
    """One op; everything it decides on is read fresh."""
    trade_signals()


@dg.op(out=dg.Out(dagster_type=dg.Nothing))
def settle_and_reconcile(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Finish what runs left open, flatten what people asked for, follow fills, book payouts, compare balances."""
    with platform.connect() as connection:
        result = asyncio.run(_round(connection, platform, context.run_id))
    context.add_output_metadata(
        {
            "executions driven": result.reconciled.driven,
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


async def _round(connection: Connection, platform: PlatformResource, run_id: str) -> Round:
    async with open_accounts(platform.settings(), connection) as accounts:
        return await run_round(connection, accounts, run_id)


@dg.job(
    tags={"crossbook/slot": "trade"},
    executor_def=dg.in_process_executor,
    description="Reconcile executions with the venues, book settlements, compare balances.",
)
def settle_trades() -> None:
    """One op; safe to run at any time."""
    settle_and_reconcile()
