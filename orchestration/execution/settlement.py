"""What the venues paid, booked: ledger entries of settlements, executions realised, balances compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg.types.json import Jsonb

from orchestration.execution.decide.hedge import State
from orchestration.execution.decide.ledger import Entry, Lot, netting_target_e6, payout_e6, settlement_entries
from orchestration.execution.run_execution import close_if_empty
from orchestration.execution.send_orders import Accounts, Dispatcher
from orchestration.execution.venues.gateway import Gateway, Payout
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.storage.database import Connection, Row
from streams.storage.store import executions as trading
from streams.storage.store.signals import load_markets

_LOOK_BACK = timedelta(days=7)


@dataclass(slots=True)
class Settled:
    """What one round booked."""

    markets: int = 0
    entries: int = 0
    executions: int = 0
    paid_e6: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """A venue's cash and what our ledger says. `in_flight`: orders or fills that may explain a difference."""

    venue: Venue
    cash_e6: int
    ledger_cash_e6: int
    in_flight: int

    @property
    def difference_e6(self) -> int:
        """Venue less ledger."""
        return self.cash_e6 - self.ledger_cash_e6


async def ensure_deposits(connection: Connection, accounts: Accounts) -> None:
    """Book what an account held before we first used it, once per venue and mode."""
    for venue, gateway in accounts.gateways.items():
        key = f"deposit:{venue}:first"
        there = connection.execute(
            "SELECT 1 AS there FROM trading.ledger WHERE entry_key = %s", (f"{accounts.mode}:{key}",)
        ).fetchone()
        if there is None:
            cash = await gateway.cash_e6()
            Dispatcher(connection, accounts, []).write_entries(
                [Entry(key, "deposit", venue, None, None, cash)], datetime.now(UTC)
            )


async def settle(connection: Connection, accounts: Accounts) -> Settled:
    """Book every payout of markets we hold, and realise the executions that hold nothing any more."""
    result = Settled()
    for venue, gateway in accounts.gateways.items():
        held = _held_markets(connection, accounts.mode, venue)
        if not held:
            continue
        known = load_markets(connection, [f"{venue}:{market}" for market in held])
        settlements = {
            market: known[f"{venue}:{market}"].settlement_e4 if f"{venue}:{market}" in known else None
            for market in held
        }
        try:
            payouts = await gateway.payouts(settlements, datetime.now(UTC) - _LOOK_BACK)
        except StreamsError as error:
            result.errors += 1
            get_logger().warning("payouts could not be read", venue=venue.value, error=str(error))
            continue
        for payout in payouts:
            if payout.market_id in settlements:
                _book(connection, accounts, gateway, payout, result)
        for market in set(settlements) - {payout.market_id for payout in payouts}:
            value = settlements[market]
            if value is not None:  # what a venue has netted away entirely it does not list as settled
                payout = Payout(market, value, 0, datetime.now(UTC))
                _book(connection, accounts, gateway, payout, result, only_if_flat=True)
    result.executions += _realise(connection, accounts.mode)
    return result


def _held_markets(connection: Connection, mode: str, venue: Venue) -> list[str]:
    """Return markets with contracts in the ledger and nothing in flight."""
    rows = connection.execute(
        """SELECT DISTINCT l.market_id FROM (
               SELECT market_id, outcome FROM trading.ledger
               WHERE mode = %(mode)s AND venue = %(venue)s AND market_id IS NOT NULL
               GROUP BY market_id, outcome, execution_id HAVING sum(contracts_e6) <> 0) AS l
           WHERE NOT EXISTS (
               SELECT 1 FROM trading.intents AS i JOIN trading.orders AS o USING (intent_id)
               LEFT JOIN trading.fills AS f ON f.order_id = o.order_id AND f.state = 'provisional'
               WHERE i.venue = %(venue)s AND i.market_id = l.market_id
                 AND (o.state = ANY(%(unresolved)s) OR f.fill_id IS NOT NULL))""",
        {"mode": mode, "venue": venue.value, "unresolved": list(trading.UNRESOLVED)},
    ).fetchall()
    return [row["market_id"] for row in rows]


def _book(
    connection: Connection,
    accounts: Accounts,
    gateway: Gateway,
    payout: Payout,
    result: Settled,
    *,
    only_if_flat: bool = False,
) -> None:
    """Write a market's entries. A payout of unknown amount is booked as computed, but not before it has arrived."""
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{gateway.venue}:{payout.market_id}",)
        )
        rows = connection.execute(
            """SELECT execution_id, outcome, sum(contracts_e6)::bigint AS contracts_e6, sum(cash_e6)::bigint AS cash_e6
               FROM trading.ledger WHERE mode = %s AND venue = %s AND market_id = %s GROUP BY execution_id, outcome""",
            (accounts.mode, gateway.venue.value, payout.market_id),
        ).fetchall()
        due = _due_e6(gateway.venue, rows, payout.settlement_e4)
        if due and (
            only_if_flat or (payout.paid_e6 is None and gateway.venue is Venue.POLYMARKET and not gateway.is_simulated)
        ):
            return
        entries = settlement_entries(
            gateway.venue,
            payout.market_id,
            payout.settlement_e4,
            _lots(rows),
            advance_e6=sum(row["cash_e6"] for row in rows if row["outcome"] is None),
            paid_e6=due if payout.paid_e6 is None else payout.paid_e6,
        )
        Dispatcher(connection, accounts, []).write_entries(entries, payout.settled_at)
    result.markets += 1
    result.entries += len(entries)
    result.paid_e6 += sum(entry.cash_e6 for entry in entries)


def _due_e6(venue: Venue, rows: Sequence[Row], settlement_e4: int) -> int:
    """Return what the venue owes: on Kalshi for the net position, on Polymarket for each token; rounded once each."""
    held = {outcome: sum(row["contracts_e6"] for row in rows if row["outcome"] == outcome) for outcome in ("yes", "no")}
    matched = netting_target_e6(venue, held["yes"], held["no"])
    return payout_e6("yes", held["yes"] - matched, settlement_e4) + payout_e6("no", held["no"] - matched, settlement_e4)


def _lots(rows: Sequence[Row]) -> list[Lot]:
    return [Lot(row["execution_id"], row["outcome"], row["contracts_e6"]) for row in rows if row["outcome"] is not None]


def _realise(connection: Connection, mode: str) -> int:
    """Give every ended execution that holds nothing its realised PnL; what venues paid out becomes SETTLED."""
    rows = connection.execute(
        """SELECT e.execution_id, e.state,
               (SELECT count(*) FROM trading.ledger AS l WHERE l.execution_id = e.execution_id
                AND l.kind = 'settlement') AS settlements
           FROM trading.executions AS e
           WHERE e.mode = %s AND e.settled_at IS NULL AND e.state IN ('HEDGED', 'FLAT', 'ESCALATED')""",
        (mode,),
    ).fetchall()
    closed = 0
    for row in rows:
        with connection.transaction():
            if not close_if_empty(connection, row["execution_id"]):
                continue
            closed += 1
            if row["settlements"] and row["state"] != State.FLAT:
                trading.change_state(connection, row["execution_id"], State.SETTLED, "all legs are paid", {})
    _add_what_dust_paid(connection, mode)
    return closed


def _add_what_dust_paid(connection: Connection, mode: str) -> None:
    """Bring realised PnL up to the ledger where remains too small to sell were paid out after all."""
    connection.execute(
        """UPDATE trading.executions AS e SET realised_pnl_e6 = l.cash_e6, updated_at = clock_timestamp()
           FROM (SELECT execution_id, sum(cash_e6)::bigint AS cash_e6 FROM trading.ledger GROUP BY execution_id) AS l
           WHERE l.execution_id = e.execution_id AND e.mode = %s AND e.settled_at IS NOT NULL
             AND e.realised_pnl_e6 <> l.cash_e6""",
        (mode,),
    )


async def compare_balances(connection: Connection, accounts: Accounts) -> list[Balance]:
    """Read every account's cash, write it beside what the ledger says at the same moment, and return both."""
    result: list[Balance] = []
    for venue, gateway in accounts.gateways.items():
        flying = _in_flight(connection, accounts.mode, venue)
        ledger = trading.ledger_cash_e6(connection, venue.value, accounts.mode)
        cash = await gateway.cash_e6()
        if (
            _in_flight(connection, accounts.mode, venue) != flying
            or trading.ledger_cash_e6(connection, venue.value, accounts.mode) != ledger
        ):
            continue  # something moved while we looked; the next round compares
        balance = Balance(venue, cash, ledger, flying)
        result.append(balance)
        connection.execute(
            """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, detail)
               VALUES (%s, %s, %s, %s, %s)""",
            (
                venue.value,
                balance.cash_e6,
                balance.ledger_cash_e6,
                accounts.environment,
                Jsonb({"mode": accounts.mode, "in_flight": flying}),
            ),
        )
    return result


def _in_flight(connection: Connection, mode: str, venue: Venue) -> int:
    """Return how many orders have no last word, and held markets that are over but not yet booked."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                   JOIN trading.executions AS e USING (execution_id)
                   WHERE e.mode = %(mode)s AND o.venue = %(venue)s AND o.state = ANY(%(unresolved)s))
                + (SELECT count(*) FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                   JOIN trading.intents AS i USING (intent_id) JOIN trading.executions AS e USING (execution_id)
                   WHERE e.mode = %(mode)s AND f.venue = %(venue)s AND f.state = 'provisional')
                + (SELECT count(DISTINCT p.market_id) FROM trading.positions AS p JOIN raw.market_state AS s
                       ON s.venue = p.venue AND s.market_id = p.market_id
                   JOIN raw.market_versions AS v USING (version_id)
                   WHERE p.mode = %(mode)s AND p.venue = %(venue)s AND p.contracts_e6 <> 0
                     AND (s.status IN ('closed', 'determined', 'settled') OR v.close_time < now())) AS flying""",
        {"mode": mode, "venue": venue.value, "unresolved": list(trading.UNRESOLVED)},
    ).fetchone()
    return int(row["flying"]) if row else 0
