"""One settlement cycle: a kill enforced, reconciliation, what people asked for, payouts, balances."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.execution.operator_commands import obey
from orchestration.execution.reconcile import Reconciled, reconcile
from orchestration.execution.settlement import Balance, Settled, compare_balances, ensure_deposits, settle
from orchestration.execution.trading_context import TradingContext
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerts import alert_detail, clear_alert, merge_alert_detail, raise_alert
from streams.storage.store.ledger import compact_totals
from streams.storage.store.risk import current_switch
from streams.storage.store.settlement import due_work

_BALANCE_EVERY_S = 30
_KILL = "kill"
"""Key of the alarm that is open while trading is killed."""


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What one settlement cycle did."""

    reconciled: Reconciled
    commands: int
    settled: Settled
    balances: list[Balance]


async def run_cycle(connection: Connection, context: TradingContext, run_id: str) -> CycleResult:
    """Do everything that is due. Our resting orders are cancelled as they are read; a kill cancels all at first."""
    alarm_kill(connection)
    if current_switch(connection) == "kill":
        await cancel_resting(connection, context)
    await ensure_deposits(connection, context)
    reconciled = await reconcile(connection, context, run_id)
    commands = await obey(connection, context, run_id)
    settled = await settle(connection, context)
    compact_totals(connection)
    return CycleResult(reconciled, commands, settled, await compare_balances(connection, context))


def alarm_kill(connection: Connection) -> None:
    """Open the alarm of a kill, or close it when trading goes on."""
    if current_switch(connection) == "kill":
        message = "Trading is killed: nothing leaves; open exposure is escalated. `crossbook trade resume` lifts it."
        raise_alert(connection, "kill", "critical", _KILL, message)
    else:
        for key in (_KILL, *(f"resting:{venue}" for venue in Venue)):
            clear_alert(connection, key)


async def cancel_resting(connection: Connection, context: TradingContext) -> None:
    """Cancel all that rests on the accounts, whoever sent it; the open alarm of the kill keeps what was found.

    Reads lag behind writes, so whether anything still rests is for the next cycle to see. What rests then, or an
    account that does not answer, is an alarm of its own.
    """
    before: dict[str, str] = alert_detail(connection, _KILL).get("resting", {})
    after: dict[str, str] = {}
    for venue, gateway in context.gateways.items():
        try:
            found = await gateway.open_orders()
            if found:
                await gateway.cancel_all()
            after[venue] = "asked" if found else "none"
            what = f"orders still rest: {len(found)}" if found and before.get(venue) == "asked" else ""
        except StreamsError as error:
            get_logger().warning("resting orders could not be cancelled", venue=venue.value, error=str(error))
            after[venue] = "unknown"
            what = "whether orders rest is not known"
        if what:
            message = f"Trading is killed; on {venue} {what}. They are cancelled again until none is left."
            raise_alert(connection, "resting", "critical", f"resting:{venue}", message)
        else:
            clear_alert(connection, f"resting:{venue}")
    merge_alert_detail(connection, _KILL, {"resting": after})


def why_due(connection: Connection, settings: Settings) -> str:
    """Return why a settlement cycle is due now, empty when nothing is."""
    due = due_work(
        connection,
        settings.trading_mode,
        absent_within_s=settings.absent_recheck_s,
        balances_every_s=_BALANCE_EVERY_S,
    )
    return ", ".join(due.reasons)
