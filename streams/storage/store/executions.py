"""Executions: attempts at a hedge, their states, what was decided and what they brought."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.trading import ENDED_STATES, OPEN_STATES, UNRESOLVED, ExecutionRow, ExecutionState
from streams.storage.database import Connection, fetch_all, fetch_int, fetch_one, read_clock
from streams.storage.store.hedges.fences import Fence

_COLUMNS = """e.execution_id, e.signal_id, e.attempt, e.group_id, e.environment, e.mode, e.state, e.run_id, e.epoch,
    e.edge_usd, e.contracts_e6, e.started_at, e.flat_at, e.settled_at, e.expected_pnl_e6, e.realised_pnl_e6, e.detail,
    e.updated_at"""
_FLAT_REST_E6 = 10_000
"""Less than a hundredth of a contract of a flat execution counts as nothing: no order can sell it."""


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
    edge_usd: Decimal
    contracts_e6: int
    detail: JsonDocument


@dataclass(frozen=True, slots=True)
class EndedExecution:
    """An execution that nobody works on and that is not settled; `settlements`: ledger entries of payouts."""

    execution_id: int
    epoch: int
    state: ExecutionState
    settlements: int

    @property
    def fence(self) -> Fence:
        """What it is written under: it holds as long as nobody takes the execution over."""
        return Fence(self.execution_id, self.epoch)


@dataclass(frozen=True, slots=True)
class ExecutionFigures:
    """What some executions did together: orders sent, fills, fees paid and profit locked in."""

    orders: int
    fills: int
    fees_usd: Decimal
    expected_pnl_usd: Decimal


@dataclass(frozen=True, slots=True)
class ExecutionEvent:
    """A row of `trading.execution_events`: a state an execution passed through; `detail` is JSON."""

    happened_at: datetime
    state: str
    what: str
    detail: JsonDocument


def create_execution(connection: Connection, new: NewExecution) -> int | None:
    """Write an execution; None when this attempt on the signal exists already (the constraint decides)."""
    now = read_clock(connection)
    try:
        row = connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, run_id, epoch,
                   edge_usd, contracts_e6, detail, started_at, updated_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING execution_id""",
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
                now,
                now,
            ),
        ).fetchone()
    except psycopg.errors.UniqueViolation:
        return None
    assert row is not None
    return int(row["execution_id"])


def load_execution(connection: Connection, execution_id: int) -> ExecutionRow:
    """Return one row of trading.executions.

    Raises:
        LookupError: If there is none.
    """
    row = fetch_one(
        connection,
        _execution,
        f"SELECT {_COLUMNS} FROM trading.executions AS e WHERE execution_id = %s",
        (execution_id,),
    )
    if row is None:
        raise LookupError(f"there is no execution {execution_id}")
    return row


def load_unfinished(
    connection: Connection, mode: str, also: Collection[int] = (), *, with_provisional: bool = True
) -> list[ExecutionRow]:
    """Return the executions of a mode that are open or have an order that was never sent, in their order.

    Args:
        connection: Where to look.
        mode: The trading mode.
        also: Ids of others that are wanted, as those with an order that is to be looked for.
        with_provisional: Those whose fills are not final too.
    """
    return fetch_all(
        connection,
        _execution,
        f"""SELECT {_COLUMNS} FROM trading.executions AS e WHERE e.mode = %(mode)s AND (
               e.state = ANY(%(open)s) OR e.execution_id = ANY(%(also)s)
               OR EXISTS (SELECT 1 FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                   WHERE i.execution_id = e.execution_id AND o.state = 'prepared')
               OR %(provisional)s AND EXISTS (SELECT 1 FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                   JOIN trading.intents AS i USING (intent_id)
                   WHERE i.execution_id = e.execution_id AND f.state = 'provisional'))
           ORDER BY e.execution_id""",
        {"mode": mode, "open": list(OPEN_STATES), "also": list(also), "provisional": with_provisional},
    )


def load_ended(connection: Connection, mode: str) -> list[EndedExecution]:
    """Return the executions of a mode that nobody works on and that are not settled."""
    return fetch_all(
        connection,
        _ended,
        """SELECT e.execution_id, e.epoch, e.state,
               (SELECT count(*) FROM trading.ledger AS l WHERE l.execution_id = e.execution_id
                AND l.kind = 'settlement') AS settlements
           FROM trading.executions AS e WHERE e.mode = %s AND e.settled_at IS NULL AND e.state = ANY(%s)""",
        (mode, list(ENDED_STATES)),
    )


def last_started_at(connection: Connection, group_id: str, mode: str, besides: int | None = None) -> datetime | None:
    """Return when the last execution of a market group began, None if there was none besides that one."""
    row = connection.execute(
        """SELECT max(started_at) AS at FROM trading.executions
           WHERE group_id = %s AND mode = %s AND execution_id IS DISTINCT FROM %s""",
        (group_id, mode, besides),
    ).fetchone()
    return row["at"] if row else None


def has_traded(connection: Connection, signal_id: int) -> bool:
    """Whether an execution on a signal has bought something, is under way or was flattened by a person."""
    row = connection.execute(
        """SELECT 1 AS x FROM trading.executions
           WHERE signal_id = %s AND (state <> 'FLAT' OR detail ? 'flatten') LIMIT 1""",
        (signal_id,),
    ).fetchone()
    return row is not None


def count_open_longer_than(connection: Connection, limit_s: float) -> int:
    """Return how many executions are open though they began more than `limit_s` seconds ago."""
    return fetch_int(
        connection,
        """SELECT count(*) FROM trading.executions
           WHERE state = ANY(%s) AND started_at < %s - make_interval(secs => %s)""",
        (list(OPEN_STATES), read_clock(connection), limit_s),
    )


def count_escalated(connection: Connection) -> int:
    """Return how many executions are escalated and not settled."""
    return fetch_int(
        connection, "SELECT count(*) FROM trading.executions WHERE state = 'ESCALATED' AND settled_at IS NULL"
    )


def figures_of(connection: Connection, execution_ids: Sequence[int]) -> ExecutionFigures:
    """Return what these executions did together."""
    figures = fetch_one(
        connection,
        ExecutionFigures,
        """SELECT (SELECT count(*) FROM trading.intents WHERE execution_id = ANY(%(ids)s)) AS orders,
               (SELECT count(*) FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                JOIN trading.intents AS i USING (intent_id) WHERE i.execution_id = ANY(%(ids)s)) AS fills,
               (SELECT coalesce(-sum(cash_e6), 0) / 1e6 FROM trading.ledger
                WHERE execution_id = ANY(%(ids)s) AND kind IN ('fee', 'rebate')) AS fees_usd,
               (SELECT coalesce(sum(expected_pnl_e6), 0) / 1e6 FROM trading.executions
                WHERE execution_id = ANY(%(ids)s)) AS expected_pnl_usd""",
        {"ids": list(execution_ids)},
    )
    assert figures is not None
    return figures


# -- changes -----------------------------------------------------------------------------------------------------------


def change_state(
    connection: Connection, held: Fence, state: str, what: str, detail: JsonDocument | None = None
) -> None:
    """Move an execution to a state and write the event with its cause."""
    with connection.transaction():
        now = read_clock(connection)
        _change(connection, held, "state = %(state)s, updated_at = %(now)s", state=state, now=now)
        connection.execute(
            """INSERT INTO trading.execution_events (execution_id, happened_at, state, what, detail)
               VALUES (%s, %s, %s, %s, %s)""",
            (held.execution_id, now, state, what, Jsonb(dict(detail or {}))),
        )


def merge_detail(connection: Connection, held: Fence, detail: JsonDocument) -> None:
    """Add keys to an execution's detail."""
    _change(
        connection,
        held,
        "detail = detail || %(detail)s, updated_at = %(now)s",
        detail=Jsonb(dict(detail)),
        now=read_clock(connection),
    )


def note_expected_pnl(connection: Connection, held: Fence, expected_pnl_e6: int) -> None:
    """Write what an execution's fills have locked in."""
    _change(connection, held, "expected_pnl_e6 = %(pnl)s", pnl=expected_pnl_e6)


def mending_losses_e6(connection: Connection, mode: str, since: datetime, execution_id: int) -> int:
    """Return what other executions of a mode have lost since a time, or may lose, all together and at least 0.

    One that has ended since then, also again, counts with the loss that it locks, and gains make up for none. One that
    is worked on counts with what it may lose if it was begun before the one that asks: of several at once each has what
    those before it leave.

    Args:
        connection: Where to look.
        mode: The trading mode.
        since: Midnight, as a rule.
        execution_id: Of the one that asks.
    """
    return fetch_int(
        connection,
        """SELECT coalesce(sum(CASE WHEN e.state = ANY(%(open)s)
                   THEN greatest((e.detail #>> '{plan,loss_bound_e6}')::bigint, -e.expected_pnl_e6, 0)
                   ELSE greatest(-e.expected_pnl_e6, 0) END), 0)::bigint
           FROM trading.executions AS e
           WHERE e.mode = %(mode)s AND e.execution_id <> %(me)s AND CASE
               WHEN e.state = ANY(%(open)s) THEN e.execution_id < %(me)s
               ELSE e.flat_at >= %(since)s OR e.updated_at >= %(since)s AND EXISTS (
                   SELECT FROM trading.execution_events AS v WHERE v.execution_id = e.execution_id
                   AND v.happened_at >= %(since)s AND v.state = ANY(%(ended)s)) END""",
        {
            "mode": mode,
            "since": since,
            "me": execution_id,
            "open": list(OPEN_STATES),
            "ended": list(ENDED_STATES),
        },
    )


def note_end(connection: Connection, held: Fence, expected_pnl_e6: int) -> None:
    """Write that nobody works on an execution any more, the first time only, and what its fills have locked in."""
    _change(
        connection,
        held,
        "flat_at = coalesce(flat_at, %(now)s), expected_pnl_e6 = %(pnl)s",
        pnl=expected_pnl_e6,
        now=read_clock(connection),
    )


def take_back_settlement(connection: Connection, held: Fence) -> None:
    """Make an execution unsettled again: its realised PnL is no longer its last word."""
    _change(connection, held, "settled_at = NULL, realised_pnl_e6 = NULL")


def _change(connection: Connection, held: Fence, assignments: str, **values: Any) -> None:
    """Change the row of an execution that is held.

    Raises:
        LeaseLost: If somebody else works on it now; nothing is written.
    """
    cursor = connection.execute(
        f"UPDATE trading.executions SET {assignments} WHERE execution_id = %(held_id)s AND epoch = %(held_epoch)s",
        {**values, **held.values},
    )
    held.check(cursor.rowcount)


def close_if_empty(connection: Connection, held: Fence) -> bool:
    """Realise the PnL of an execution that holds nothing and waits for nothing. Returns whether it was closed.

    A FLAT one may hold less than a contract's hundredth, which no order can sell: it counts as nothing until it pays.
    """
    cursor = connection.execute(
        """UPDATE trading.executions AS e SET settled_at = %(now)s,
               realised_pnl_e6 = (SELECT coalesce(sum(cash_e6), 0) FROM trading.ledger WHERE execution_id = %(id)s)
           WHERE e.execution_id = %(id)s AND e.epoch = %(held_epoch)s AND e.settled_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM trading.ledger WHERE execution_id = %(id)s AND market_id IS NOT NULL
                 GROUP BY venue, market_id, outcome
                 HAVING abs(sum(contracts_e6)) >= CASE WHEN e.state = 'FLAT' THEN %(rest)s ELSE 1 END)
             AND NOT EXISTS (SELECT 1 FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                 WHERE i.execution_id = %(id)s AND o.state = ANY(%(unresolved)s))
             AND NOT EXISTS (SELECT 1 FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                 JOIN trading.intents AS i USING (intent_id)
                 WHERE i.execution_id = %(id)s AND f.state = 'provisional')""",
        {
            "id": held.execution_id,
            "rest": _FLAT_REST_E6,
            "unresolved": list(UNRESOLVED),
            "now": read_clock(connection),
            **held.values,
        },
    )
    return cursor.rowcount > 0


def realise_anew(connection: Connection, execution_ids: Collection[int]) -> None:
    """Bring the realised PnL of executions up to the ledger where something was booked after they were settled.

    It follows from the ledger alone, so that it is the same whoever writes it, and no epoch is asked for.
    """
    connection.execute(
        """UPDATE trading.executions AS e SET realised_pnl_e6 = l.cash_e6, updated_at = %(now)s
           FROM (SELECT execution_id, sum(cash_e6)::bigint AS cash_e6 FROM trading.ledger
                 WHERE execution_id = ANY(%(ids)s) GROUP BY execution_id) AS l
           WHERE l.execution_id = e.execution_id AND e.execution_id = ANY(%(ids)s) AND e.settled_at IS NOT NULL
             AND e.realised_pnl_e6 <> l.cash_e6""",
        {"ids": list(execution_ids), "now": read_clock(connection)},
    )


def note_event(connection: Connection, execution_id: int, what: str, detail: JsonDocument | None = None) -> None:
    """Write an event of an execution whose state stays."""
    connection.execute(
        """INSERT INTO trading.execution_events (execution_id, happened_at, state, what, detail)
           SELECT execution_id, %s, state, %s, %s FROM trading.executions WHERE execution_id = %s""",
        (read_clock(connection), what, Jsonb(dict(detail or {})), execution_id),
    )


def list_events(connection: Connection, execution_id: int) -> list[ExecutionEvent]:
    """Return the states an execution passed through, oldest first."""
    return fetch_all(
        connection,
        ExecutionEvent,
        """SELECT happened_at, state, what, detail FROM trading.execution_events
           WHERE execution_id = %s ORDER BY event_id""",
        (execution_id,),
    )


def _execution(*, state: str, **columns: Any) -> ExecutionRow:
    return ExecutionRow(state=ExecutionState(state), **columns)


def _ended(*, state: str, **columns: Any) -> EndedExecution:
    return EndedExecution(state=ExecutionState(state), **columns)
