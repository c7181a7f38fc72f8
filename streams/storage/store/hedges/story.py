"""One execution as rows in the order they happened: what a person, or a run in Dagster, follows of a hedge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streams.market.documents import JsonDocument
from streams.storage.database import Connection, fetch_all, fetch_one


@dataclass(frozen=True, slots=True)
class StoryRow:
    """A row of an execution as it stands now.

    Attributes:
        happened_at: When.
        kind: `event`, `order` or `fill`.
        number: Of the row, unique within its kind.
        state: Of the execution, the order or the fill.
        what: In words; for orders and fills empty.
        detail: The figures of the row (JSON): integers in 1e-6 contracts and dollars, prices in 1e-4 dollars.
    """

    happened_at: datetime
    kind: str
    number: int
    state: str
    what: str
    detail: JsonDocument


@dataclass(frozen=True, slots=True)
class HedgeMoney:
    """An execution's dollars (1e-6): planned when decided, locked by its fills, settled; None where not known yet."""

    planned_e6: int | None
    locked_e6: int | None
    settled_e6: int | None


def load_story(connection: Connection, execution_id: int) -> list[StoryRow]:
    """Return all rows of an execution, oldest first."""
    return fetch_all(
        connection,
        StoryRow,
        """SELECT happened_at, 'event' AS kind, event_id AS number, state, what, detail
           FROM trading.execution_events WHERE execution_id = %(id)s
           UNION ALL
           SELECT coalesce(o.closed_at, o.answered_at, o.sent_at, o.prepared_at), 'order', o.order_id, o.state,
               o.reason, jsonb_build_object('venue', i.venue, 'market_id', i.market_id, 'outcome', i.outcome,
                   'action', i.action, 'purpose', i.purpose, 'leg_no', i.leg_no, 'size_e6', i.size_e6,
                   'limit_price_e4', i.limit_price_e4, 'filled_e6', o.filled_e6, 'cash_e6', o.cash_e6,
                   'fee_e6', o.fee_e6)
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id) WHERE i.execution_id = %(id)s
           UNION ALL
           SELECT f.recorded_at, 'fill', f.fill_id, f.state, '',
               jsonb_build_object('order_id', f.order_id, 'venue', f.venue, 'market_id', f.market_id,
                   'outcome', f.outcome, 'action', f.action, 'contracts_e6', f.contracts_e6, 'cash_e6', f.cash_e6,
                   'fee_e6', f.fee_e6)
           FROM trading.fills AS f JOIN trading.orders AS o USING (order_id) JOIN trading.intents AS i USING (intent_id)
           WHERE i.execution_id = %(id)s
           ORDER BY 1, 2, 3""",
        {"id": execution_id},
    )


def execution_of(connection: Connection, signal_id: int) -> int | None:
    """Return the newest execution of a signal, None where there is none."""
    row = connection.execute(
        "SELECT max(execution_id) AS id FROM trading.executions WHERE signal_id = %s", (signal_id,)
    ).fetchone()
    return row["id"] if row else None


def money_of(connection: Connection, execution_id: int) -> HedgeMoney | None:
    """Return what an execution planned, locked and settled; None if there is no such execution."""
    return fetch_one(
        connection,
        HedgeMoney,
        """SELECT (detail ->> 'planned_profit_e6')::bigint AS planned_e6, expected_pnl_e6 AS locked_e6,
               CASE WHEN settled_at IS NOT NULL THEN realised_pnl_e6 END AS settled_e6
           FROM trading.executions WHERE execution_id = %s""",
        (execution_id,),
    )


@dataclass(frozen=True, slots=True)
class BegunHedge:
    """An execution with what it was begun for."""

    execution_id: int
    signal_id: int
    group_id: str
    state: str


def hedges_since(connection: Connection, after_id: int, limit: int) -> list[BegunHedge]:
    """Return at most `limit` executions begun after the one of that number, oldest first."""
    return fetch_all(
        connection,
        BegunHedge,
        """SELECT execution_id, signal_id, group_id, state FROM trading.executions WHERE execution_id > %s
           ORDER BY execution_id LIMIT %s""",
        (after_id, limit),
    )


def newest_hedge(connection: Connection) -> int:
    """Return the number of the newest execution, 0 where there is none."""
    row = connection.execute("SELECT coalesce(max(execution_id), 0) AS id FROM trading.executions").fetchone()
    return 0 if row is None else int(row["id"])
