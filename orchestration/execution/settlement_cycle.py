"""One settlement cycle: a kill enforced, reconciliation, what people asked for, payouts, balances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestration.execution.accounts.check_accounts import check_accounts
from orchestration.execution.accounts.order_groups import keep_order_groups
from orchestration.execution.gate.breaker_watch import watch_breakers
from orchestration.execution.operator_commands import obey
from orchestration.execution.reconcile import Reconciled, looks_due, reconcile
from orchestration.execution.settlement import Balance, Settled, compare_balances, ensure_deposits, settle
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.unknown_orders.resolving import obey_resolutions
from orchestration.execution.venues.gateway import Gateway
from streams.logs import get_logger
from streams.market.errors import IncompleteList, StreamsError
from streams.market.identity import Venue
from streams.market.units import CASH_SCALE, PRICE_SCALE
from streams.processes.boot_clock import boot_now
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.discovered.sweeps import keep_unreadable
from streams.storage.kill_files import switch_in_force
from streams.storage.store.alerts import (
    alert_detail,
    clear_alert,
    clear_other_alerts,
    clear_settled_alerts,
    merge_alert_detail,
    raise_alert,
)
from streams.storage.store.ledger import account_totals, compact_totals
from streams.storage.store.settlement import YOUNG_S, awaited_redemptions, due_work, overdue_markets, restated_results

_BALANCE_EVERY_S = 30
_OVERDUE = timedelta(days=1)
_UNREDEEMED = timedelta(hours=1)
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
    """Do everything that is due. Our resting orders are cancelled as they are read; a kill cancels all at first.

    Raises:
        StreamsError: If an account's cash could not be read; everything else is done.
    """
    alarm_kill(connection, context.settings)
    if switch_in_force(connection, context.settings.home_dir) == "kill":
        await cancel_resting(connection, context)
    failure: StreamsError | None = None
    try:
        await ensure_deposits(connection, context)
        await keep_order_groups(connection, context, datetime.now(UTC))
    except StreamsError as error:  # that one account does not answer is said when all else is done
        failure = error
    commands = await obey_resolutions(connection, context, run_id)
    reconciled = await reconcile(connection, context, run_id)
    commands += await obey(connection, context, run_id)
    settled = await settle(connection, context)
    alarm_overdue(connection, context.mode)
    alarm_restated(connection, context.mode)
    alarm_unredeemed(connection, context.mode)
    alarm_suspense(connection, context.mode)
    watch_breakers(connection, context, datetime.now(UTC))
    clear_settled_alerts(connection)
    compact_totals(connection)
    balances = await compare_balances(connection, context)
    try:
        await check_accounts(connection, context)
    except StreamsError as error:
        failure = failure or error
    if failure is not None:
        raise failure
    return CycleResult(reconciled, commands, settled, balances)


def alarm_kill(connection: Connection, settings: Settings) -> None:
    """Open the alarm of a kill, or close it when trading goes on."""
    if switch_in_force(connection, settings.home_dir) == "kill":
        message = "Trading is killed: nothing leaves; open exposure is escalated. `crossbook trade resume` lifts it."
        raise_alert(connection, "kill", "critical", _KILL, message)
    else:
        for key in (_KILL, *(f"resting:{venue}" for venue in Venue)):
            clear_alert(connection, key)


def alarm_overdue(connection: Connection, mode: str) -> None:
    """Open an alert for each held market that has no final value long after its time; close those that are over."""
    keys: list[str] = []
    for market in overdue_markets(connection, mode, after=_OVERDUE):
        keys.append(f"unsettled:{market.venue}:{market.market_id}")
        message = (
            f"{market.market_id} of {market.venue} ({market.title[:100]}) is held and was to settle at"
            f" {market.due_at:%Y-%m-%d %H:%M} UTC; the venue gives no final value that is booked by itself."
            " See docs/runbooks/unsettled-market.md."
        )
        detail = {"venue": market.venue, "market_id": market.market_id}
        raise_alert(connection, "unsettled", "warning", keys[-1], message, detail)
    clear_other_alerts(connection, "unsettled", keys)


def alarm_restated(connection: Connection, mode: str) -> None:
    """Open an alert for each market that has paid by one result and states another; close those that paid by it."""
    keys: list[str] = []
    for market in restated_results(connection, mode):
        keys.append(f"restated:{market.venue}:{market.market_id}")
        paid, stated = (Decimal(value) / PRICE_SCALE for value in (market.paid_e4, market.stated_e4))
        message = (
            f"{market.market_id} of {market.venue} paid {paid:f} USD for one YES and is stated as {stated:f} now. It is"
            " booked anew when the venue pays by it. See docs/runbooks/unsettled-market.md."
        )
        raise_alert(connection, "restated", "warning", keys[-1], message, {"market_id": market.market_id})
    clear_other_alerts(connection, "restated", keys)


def alarm_unredeemed(connection: Connection, mode: str) -> None:
    """Open an alert for each resolved market whose payout does not arrive; close those that have paid."""
    keys: list[str] = []
    for market in awaited_redemptions(connection, mode, after=_UNREDEEMED):
        keys.append(f"unredeemed:{market.venue}:{market.market_id}")
        why = f": {market.reason}" if market.reason else ""
        message = (
            f"{market.market_id} of {market.venue} is resolved and owes {Decimal(market.due_e6) / CASH_SCALE:f} USD"
            f" that were not redeemed (the last attempt: {market.state}{why}). See docs/runbooks/unsettled-market.md."
        )
        raise_alert(connection, "unredeemed", "warning", keys[-1], message, {"market_id": market.market_id})
    clear_other_alerts(connection, "unredeemed", keys)


def alarm_suspense(connection: Connection, mode: str) -> None:
    """Open an alert for each account with dollars that nothing explains; close those of accounts without."""
    keys: list[str] = []
    for venue in Venue:
        stands = sum(t.amount_e6 for t in account_totals(connection, venue, mode) if t.account == "suspense")
        if stands:
            keys.append(f"suspense:{venue}")
            more = "less" if stands > 0 else "more"
            message = (
                f"{venue} has paid {abs(Decimal(stands)) / CASH_SCALE:f} USD {more} than our own arithmetic explains;"
                " they stand on suspense. See docs/runbooks/reconciliation.md."
            )
            raise_alert(connection, "suspense", "warning", keys[-1], message, {"venue": venue})
    clear_other_alerts(connection, "suspense", keys)


async def cancel_resting(connection: Connection, context: TradingContext) -> None:
    """Cancel all that rests on the accounts, whoever sent it; the open alarm of the kill keeps what was found.

    Reads lag behind writes, so whether anything still rests is for the next cycle to see. What rests then, or an
    account that does not answer, is an alarm of its own.
    """
    before: dict[str, str] = alert_detail(connection, _KILL).get("resting", {})
    after: dict[str, str] = {}
    for venue, gateway in context.gateways.items():
        try:
            count = await _count_open(connection, gateway)
            if count:
                await gateway.cancel_all()
            after[venue] = "asked" if count else "none"
            what = f"orders still rest: {count}" if count and before.get(venue) == "asked" else ""
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


async def _count_open(connection: Connection, gateway: Gateway) -> int:
    """Return how many orders rest; those that cannot be read rest too, as far as anybody knows."""
    try:
        return len(await gateway.open_orders())
    except IncompleteList as error:
        keep_unreadable(connection, gateway.venue, error)
        return len(error.items) + len(error.unreadable)


def why_due(connection: Connection, settings: Settings) -> str:
    """Return why a settlement cycle is due now, empty when nothing is."""
    due = due_work(connection, settings.trading_mode, balances_every_s=_BALANCE_EVERY_S)
    looks = looks_due(connection, settings.trading_mode, boot_now(), since_s=YOUNG_S)
    return ", ".join([*due.reasons, *(["looks"] if looks else [])])
