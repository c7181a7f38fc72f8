"""One round of upkeep of the trading tables: kill, reconciliation, what people asked for, settlement, balances."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.execution.operator_commands import obey
from orchestration.execution.reconcile import Reconciled, reconcile
from orchestration.execution.send_orders import Accounts
from orchestration.execution.settlement import Balance, Settled, compare_balances, ensure_deposits, settle
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerts import alert_detail, clear_alert, merge_alert_detail, raise_alert
from streams.storage.store.executions import ABSENT
from streams.storage.store.risk import current_switch

_BALANCE_EVERY_S = 30
_KILL = "kill"
"""Key of the alarm that is open while trading is killed."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    reconciled: Reconciled
    commands: int
    settled: Settled
    balances: list[Balance]


async def run_round(connection: Connection, accounts: Accounts, run_id: str) -> Round:
    """Do everything that is due. Our resting orders are cancelled as they are read; a kill cancels all at first."""
    alarm_kill(connection)
    if current_switch(connection) == "kill":
        await cancel_resting(connection, accounts)
    await ensure_deposits(connection, accounts)
    reconciled = await reconcile(connection, accounts, run_id)
    commands = await obey(connection, accounts, run_id)
    settled = await settle(connection, accounts)
    return Round(reconciled, commands, settled, await compare_balances(connection, accounts))


def alarm_kill(connection: Connection) -> None:
    """Open the alarm of a kill, or close it when trading goes on."""
    if current_switch(connection) == "kill":
        message = "Trading is killed: nothing leaves; open exposure is escalated. `crossbook trade resume` lifts it."
        raise_alert(connection, "kill", "critical", _KILL, message)
    else:
        for key in (_KILL, *(f"resting:{venue}" for venue in Venue)):
            clear_alert(connection, key)


async def cancel_resting(connection: Connection, accounts: Accounts) -> None:
    """Cancel all that rests on the accounts, whoever sent it; the open alarm of the kill keeps what was found.

    Reads lag behind writes, so whether anything still rests is for the next round to see. What rests then, or an
    account that does not answer, is an alarm of its own.
    """
    before: dict[str, str] = alert_detail(connection, _KILL).get("resting", {})
    after: dict[str, str] = {}
    for venue, gateway in accounts.gateways.items():
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
    """Return why a round is due now, empty when nothing is."""
    row = connection.execute(
        """SELECT
               EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.mode = %(mode)s
                   AND e.state IN ('PLANNED', 'OPENING', 'COMPLETING', 'UNWINDING')
                   AND e.started_at < now() - interval '5 seconds') AS open,
               EXISTS (SELECT 1 FROM trading.orders WHERE state IN ('prepared', 'sent', 'unknown', 'resting')
                   AND prepared_at < now() - interval '5 seconds') AS unresolved,
               EXISTS (SELECT 1 FROM trading.orders WHERE state = 'expired' AND reason = %(absent)s
                   AND closed_at > now() - make_interval(secs => %(recheck_s)s)) AS absent,
               EXISTS (SELECT 1 FROM trading.commands WHERE kind = 'flatten' AND done_at IS NULL) AS flatten,
               EXISTS (SELECT 1 FROM trading.fills WHERE state = 'provisional') AS provisional,
               EXISTS (SELECT 1 FROM trading.positions AS p JOIN raw.market_state AS s
                       ON s.venue = p.venue AND s.market_id = p.market_id
                   JOIN raw.market_versions AS v USING (version_id)
                   WHERE p.mode = %(mode)s AND p.contracts_e6 <> 0
                     AND (s.status IN ('closed', 'determined', 'settled') OR v.close_time < now())) AS settling,
               EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.mode = %(mode)s AND e.settled_at IS NULL
                   AND e.state = 'FLAT') AS flat,
               (SELECT state FROM trading.switches ORDER BY switch_id DESC LIMIT 1) = 'kill'
                   AND NOT EXISTS (SELECT 1 FROM trading.alerts WHERE dedup_key = 'kill' AND cleared_at IS NULL
                       AND detail @> '{"resting": {"kalshi": "none", "polymarket": "none"}}') AS kill,
               NOT EXISTS (SELECT 1 FROM trading.balances
                   WHERE read_at > now() - make_interval(secs => %(every)s)) AS balances""",
        {
            "mode": settings.trading_mode,
            "absent": ABSENT,
            "recheck_s": settings.absent_recheck_s,
            "every": _BALANCE_EVERY_S,
        },
    ).fetchone()
    return ", ".join(name for name, is_due in (row or {}).items() if is_due)
