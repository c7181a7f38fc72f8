"""Executions, intents, orders, fills and the ledger: typed reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from streams.storage.database import Connection, Row

UNRESOLVED = ("prepared", "sent", "unknown", "resting")
ABSENT = "the venue never saw it"
"""Reason of an order that was given up because its venue did not know it."""
FillState = Literal["provisional", "confirmed", "failed"]


@dataclass(frozen=True, slots=True)
class NewExecution:
    """An execution to be written."""

    signal_id: int
    attempt: int
    group_id: str
    environment: str
    mode: str
    state: str
    run_id: str
    epoch: int
    edge_usd: Any
    contracts_e6: int
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewIntent:
    """An order that was decided, with what identifies it at the venue; both rows are written together."""

    execution_id: int
    leg_no: int
    purpose: str
    venue: str
    market_id: str
    outcome: str
    action: str
    limit_price_e4: int
    size_e6: int
    spend_e6: int | None
    reserved_e6: int
    epoch: int
    environment: str
    decided_at: datetime
    expires_at: datetime
    client_order_id: str
    request: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewFill:
    """One executed piece as the venue states it; amounts in 1e-6, at least 0 except a rebated fee."""

    venue_fill_id: str
    contracts_e6: int
    cash_e6: int
    fee_e6: int
    state: FillState
    filled_at: datetime
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A row of the ledger."""

    key: str
    kind: str
    venue: str
    market_id: str | None
    outcome: str | None
    cash_e6: int
    contracts_e6: int
    execution_id: int | None
    order_id: int | None
    happened_at: datetime


def create_execution(connection: Connection, new: NewExecution) -> int | None:
    """Write an execution; None when this attempt on the signal exists already (the constraint decides)."""
    try:
        row = connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, run_id, epoch,
                   edge_usd, contracts_e6, detail)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING execution_id""",
            (
                new.signal_id,
                new.attempt,
                new.group_id,
                new.environment,
                new.mode,
                new.state,
                new.run_id,
                new.epoch,
                new.edge_usd,
                new.contracts_e6,
                Jsonb(new.detail),
            ),
        ).fetchone()
    except psycopg.errors.UniqueViolation:
        return None
    assert row is not None
    return int(row["execution_id"])


def load_execution(connection: Connection, execution_id: int) -> Row:
    """Return one row of trading.executions."""
    row = connection.execute("SELECT * FROM trading.executions WHERE execution_id = %s", (execution_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no execution {execution_id}")
    return row


def change_state(connection: Connection, execution_id: int, state: str, what: str, detail: dict[str, Any]) -> None:
    """Move an execution to a state and write the event; nothing is written when it is there already for that cause."""
    with connection.transaction():
        connection.execute(
            "UPDATE trading.executions SET state = %s, updated_at = clock_timestamp() WHERE execution_id = %s",
            (state, execution_id),
        )
        connection.execute(
            "INSERT INTO trading.execution_events (execution_id, state, what, detail) VALUES (%s, %s, %s, %s)",
            (execution_id, state, what, Jsonb(detail)),
        )


def merge_detail(connection: Connection, execution_id: int, detail: dict[str, Any]) -> None:
    """Add keys to an execution's detail."""
    connection.execute(
        "UPDATE trading.executions SET detail = detail || %s, updated_at = clock_timestamp() WHERE execution_id = %s",
        (Jsonb(detail), execution_id),
    )


def write_refusal(
    connection: Connection, signal_id: int, reason: str, detail: str, environment: str, execution_id: int | None = None
) -> None:
    """Note that an opportunity was not taken, and why."""
    connection.execute(
        """INSERT INTO trading.refusals (signal_id, execution_id, reason, detail, environment)
           VALUES (%s, %s, %s, %s, %s)""",
        (signal_id, execution_id, reason, detail, environment),
    )


def write_intent(connection: Connection, new: NewIntent) -> int:
    """Write an intent with its order in state `prepared`; call inside the acting transaction. Returns the order id."""
    intent = connection.execute(
        """INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action,
               limit_price_e4, size_e6, spend_e6, reserved_e6, epoch, environment, decided_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING intent_id""",
        (
            new.execution_id,
            new.leg_no,
            new.purpose,
            new.venue,
            new.market_id,
            new.outcome,
            new.action,
            new.limit_price_e4,
            new.size_e6,
            new.spend_e6,
            new.reserved_e6,
            new.epoch,
            new.environment,
            new.decided_at,
            new.expires_at,
        ),
    ).fetchone()
    assert intent is not None
    order = connection.execute(
        """INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, environment)
           VALUES (%s, %s, %s, 'prepared', %s, %s) RETURNING order_id""",
        (intent["intent_id"], new.venue, new.client_order_id, Jsonb(new.request), new.environment),
    ).fetchone()
    assert order is not None
    return int(order["order_id"])


def mark_sent(connection: Connection, order_id: int) -> bool:
    """Note, before it happens, that the order leaves; an order without this mark was never sent.

    Returns:
        False, and the order must not leave, when its decision's life is over or another run has expired it meanwhile.
    """
    cursor = connection.execute(
        """UPDATE trading.orders AS o SET state = 'sent', sent_at = clock_timestamp() FROM trading.intents AS i
           WHERE i.intent_id = o.intent_id AND o.order_id = %s AND o.state = 'prepared'
             AND i.expires_at > clock_timestamp()""",
        (order_id,),
    )
    return cursor.rowcount == 1


def update_order(
    connection: Connection, order_id: int, state: str, *, venue_order_id: str | None = None, reason: str = ""
) -> None:
    """Note what is known of an order now; its filled amounts follow from its fills that did not fail."""
    connection.execute(
        """UPDATE trading.orders AS o SET state = %(state)s, venue_order_id = coalesce(%(venue_id)s, o.venue_order_id),
               reason = CASE WHEN %(reason)s = '' THEN o.reason ELSE %(reason)s END,
               answered_at = coalesce(o.answered_at, clock_timestamp()),
               closed_at = CASE WHEN %(state)s IN ('sent', 'unknown', 'resting') THEN NULL
                   ELSE coalesce(o.closed_at, clock_timestamp()) END,
               filled_e6 = f.contracts_e6, cash_e6 = f.cash_e6, fee_e6 = f.fee_e6
           FROM (SELECT coalesce(sum(contracts_e6), 0)::bigint AS contracts_e6,
                     coalesce(sum(cash_e6), 0)::bigint AS cash_e6, coalesce(sum(fee_e6), 0)::bigint AS fee_e6
                 FROM trading.fills WHERE order_id = %(order)s AND state <> 'failed') AS f
           WHERE o.order_id = %(order)s""",
        {"state": state, "venue_id": venue_order_id, "reason": reason, "order": order_id},
    )


_ORDER_COLUMNS = """SELECT o.*, i.execution_id, i.leg_no, i.purpose, i.market_id, i.outcome, i.action,
    i.limit_price_e4, i.size_e6, i.spend_e6, i.reserved_e6, i.decided_at, i.expires_at
    FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)"""


def load_orders(connection: Connection, execution_id: int) -> list[Row]:
    """Return the orders of an execution with their intents, as written."""
    return connection.execute(
        f"{_ORDER_COLUMNS} WHERE i.execution_id = %s ORDER BY o.order_id", (execution_id,)
    ).fetchall()


def load_to_follow(connection: Connection, execution_id: int) -> list[Row]:
    """Return the orders of an execution whose fate is not final: unresolved themselves, or with provisional fills."""
    return connection.execute(
        f"""{_ORDER_COLUMNS} WHERE i.execution_id = %s AND (o.state = ANY(%s) OR EXISTS (
            SELECT 1 FROM trading.fills AS f WHERE f.order_id = o.order_id AND f.state = 'provisional'))
        ORDER BY o.order_id""",
        (execution_id, list(UNRESOLVED)),
    ).fetchall()


def order_state(connection: Connection, order_id: int) -> str:
    """Return the state of one order."""
    row = connection.execute("SELECT state FROM trading.orders WHERE order_id = %s", (order_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no order {order_id}")
    return str(row["state"])


def load_absent(connection: Connection, execution_id: int, within_s: float) -> list[Row]:
    """Return the orders of an execution that were given up as never seen by the venue less than `within_s` ago."""
    return connection.execute(
        f"""{_ORDER_COLUMNS} WHERE i.execution_id = %s AND o.state = 'expired' AND o.reason = %s
          AND o.closed_at > clock_timestamp() - make_interval(secs => %s) ORDER BY o.order_id""",
        (execution_id, ABSENT, within_s),
    ).fetchall()


def load_unresolved_on(connection: Connection, markets: list[tuple[str, str]], mode: str) -> list[Row]:
    """Return orders without a last word on any of the markets (venue, market_id)."""
    return connection.execute(
        f"""{_ORDER_COLUMNS} JOIN trading.executions AS e USING (execution_id)
        WHERE o.state = ANY(%s) AND e.mode = %s
          AND (o.venue || ':' || i.market_id) = ANY(%s) ORDER BY o.order_id""",
        (list(UNRESOLVED), mode, [f"{venue}:{market}" for venue, market in markets]),
    ).fetchall()


def upsert_fill(connection: Connection, order: Row, fill: NewFill) -> tuple[int, FillState | None]:
    """Write a fill or its change of state; returns (fill_id, the state before or None when it is new)."""
    before = connection.execute(
        "SELECT fill_id, state FROM trading.fills WHERE venue = %s AND venue_fill_id = %s AND order_id = %s FOR UPDATE",
        (order["venue"], fill.venue_fill_id, order["order_id"]),
    ).fetchone()
    if before is not None:
        # confirmed and failed are last words; a late reading never takes them back
        connection.execute(
            "UPDATE trading.fills SET state = %s, payload = %s WHERE fill_id = %s AND state = 'provisional'",
            (fill.state, Jsonb(fill.payload), before["fill_id"]),
        )
        return int(before["fill_id"]), before["state"]
    row = connection.execute(
        """INSERT INTO trading.fills (order_id, venue, venue_fill_id, market_id, outcome, action, contracts_e6, cash_e6,
               fee_e6, state, filled_at, payload, environment)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING fill_id""",
        (
            order["order_id"],
            order["venue"],
            fill.venue_fill_id,
            order["market_id"],
            order["outcome"],
            order["action"],
            fill.contracts_e6,
            fill.cash_e6,
            fill.fee_e6,
            fill.state,
            fill.filled_at,
            Jsonb(fill.payload),
            order["environment"],
        ),
    ).fetchone()
    assert row is not None
    return int(row["fill_id"]), None


def write_entries(connection: Connection, entries: list[NewEntry], mode: str, environment: str) -> int:
    """Write ledger rows that are not there yet (by key) and return how many were new."""
    written = 0
    for entry in entries:
        cursor = connection.execute(
            """INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, execution_id, order_id, cash_e6,
                   contracts_e6, mode, environment, happened_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (entry_key) DO NOTHING""",
            (
                f"{mode}:{entry.key}",
                entry.kind,
                entry.venue,
                entry.market_id,
                entry.outcome,
                entry.execution_id,
                entry.order_id,
                entry.cash_e6,
                entry.contracts_e6,
                mode,
                environment,
                entry.happened_at,
            ),
        )
        written += cursor.rowcount
    return written


def ledger_cash_e6(connection: Connection, venue: str, mode: str) -> int:
    """Return the cash our ledger says the account at a venue holds."""
    row = connection.execute(
        "SELECT coalesce(sum(cash_e6), 0)::bigint AS cash_e6 FROM trading.ledger WHERE venue = %s AND mode = %s",
        (venue, mode),
    ).fetchone()
    return int(row["cash_e6"]) if row else 0


def execution_cash_e6(connection: Connection, execution_id: int) -> int:
    """Return the sum of the cash entries of one execution: its PnL once nothing is held."""
    row = connection.execute(
        "SELECT coalesce(sum(cash_e6), 0)::bigint AS cash_e6 FROM trading.ledger WHERE execution_id = %s",
        (execution_id,),
    ).fetchone()
    return int(row["cash_e6"]) if row else 0
