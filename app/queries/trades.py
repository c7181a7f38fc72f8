"""Trades: executions of hedges with their legs, orders, fills and the states they passed through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.queries.rows import Page, decode_cursor, fetch, page_of
from streams.storage.database import Connection


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One row per execution. Amounts in dollars; `edge_usd` per contract, as expected when it was decided.

    `legs`: [{"venue", "market_id", "outcome", "title", "contracts", "filled"}]: what the execution set out to hold of
    each, and what was bought net of what was sold again.
    """

    execution_id: int
    signal_id: int
    group_id: str
    kind: str
    title: str
    state: str
    mode: str
    environment: str
    started_at: datetime
    flat_at: datetime | None
    settled_at: datetime | None
    edge_usd: Decimal
    contracts: Decimal
    cost_usd: Decimal
    fees_usd: Decimal
    expected_pnl_usd: Decimal | None
    realised_pnl_usd: Decimal | None
    legs: list[dict[str, Any]]
    run_id: str


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One row per order of one execution with the intent behind it. Prices in dollars of the outcome bought or sold."""

    order_id: int
    leg_no: int
    purpose: str
    venue: str
    market_id: str
    outcome: str
    action: str
    limit_price: Decimal
    contracts: Decimal
    state: str
    filled: Decimal
    cash_usd: Decimal
    fee_usd: Decimal
    average_price: Decimal | None
    reason: str
    decided_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    client_order_id: str
    venue_order_id: str | None


@dataclass(frozen=True, slots=True)
class FillRow:
    """One row per executed piece of one execution's orders."""

    fill_id: int
    order_id: int
    venue: str
    market_id: str
    outcome: str
    action: str
    contracts: Decimal
    cash_usd: Decimal
    fee_usd: Decimal
    state: str
    filled_at: datetime


@dataclass(frozen=True, slots=True)
class TradeEvent:
    """One row per state an execution passed through."""

    happened_at: datetime
    state: str
    what: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TradeDetail:
    """One execution with everything that happened in it."""

    trade: TradeRow
    orders: tuple[OrderRow, ...]
    fills: tuple[FillRow, ...]
    events: tuple[TradeEvent, ...]
    refusals: tuple[str, ...]


_TRADES = """
SELECT e.execution_id, e.signal_id, e.group_id, g.kind, g.title, e.state, e.mode, e.environment, e.started_at,
    e.flat_at, e.settled_at, e.edge_usd, round(e.contracts_e6 / 1000000.0, 6) AS contracts,
    round(coalesce(f.cost_e6, 0) / 1000000.0, 6) AS cost_usd, round(coalesce(f.fee_e6, 0) / 1000000.0, 6) AS fees_usd,
    round(e.expected_pnl_e6 / 1000000.0, 6) AS expected_pnl_usd,
    round(e.realised_pnl_e6 / 1000000.0, 6) AS realised_pnl_usd, coalesce(l.legs, '[]') AS legs, e.run_id
FROM trading.executions AS e
JOIN trading.groups AS g ON g.group_id = e.group_id
LEFT JOIN LATERAL (
    SELECT sum(CASE x.action WHEN 'buy' THEN x.cash_e6 ELSE -x.cash_e6 END) AS cost_e6, sum(x.fee_e6) AS fee_e6
    FROM trading.fills AS x JOIN trading.orders AS o ON o.order_id = x.order_id
    JOIN trading.intents AS i ON i.intent_id = o.intent_id
    WHERE i.execution_id = e.execution_id AND x.state <> 'failed'
) AS f ON true
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('venue', s.venue, 'market_id', s.market_id, 'outcome', s.outcome,
        'title', coalesce(v.title, s.market_id), 'contracts', (e.contracts_e6::numeric / 1000000)::numeric(20, 6)::text,
        'filled', (coalesce(n.filled_e6, 0)::numeric / 1000000)::numeric(20, 6)::text) ORDER BY s.leg_no) AS legs
    FROM trading.signal_legs AS s
    LEFT JOIN raw.market_state AS m ON m.venue = s.venue AND m.market_id = s.market_id
    LEFT JOIN raw.market_versions AS v ON v.version_id = m.version_id
    LEFT JOIN LATERAL (
        SELECT sum(CASE x.action WHEN 'buy' THEN x.contracts_e6 ELSE -x.contracts_e6 END) AS filled_e6
        FROM trading.fills AS x JOIN trading.orders AS o ON o.order_id = x.order_id
        JOIN trading.intents AS i ON i.intent_id = o.intent_id
        WHERE i.execution_id = e.execution_id AND x.state <> 'failed'
            AND x.venue = s.venue AND x.market_id = s.market_id AND x.outcome = s.outcome
    ) AS n ON true
    WHERE s.signal_id = e.signal_id
) AS l ON true
WHERE (%(execution_id)s::bigint IS NULL OR e.execution_id = %(execution_id)s)
    AND (%(state)s::text IS NULL OR e.state = %(state)s)
    AND (%(mode)s::text IS NULL OR e.mode = %(mode)s)
    AND (%(group_id)s::text IS NULL OR e.group_id = %(group_id)s)
    AND (%(before)s::bigint IS NULL OR e.execution_id < %(before)s)
ORDER BY e.execution_id DESC
LIMIT %(rows)s
"""

_ORDERS = """
SELECT o.order_id, i.leg_no, i.purpose, i.venue, i.market_id, i.outcome, i.action,
    round(i.limit_price_e4 / 10000.0, 4) AS limit_price, round(i.size_e6 / 1000000.0, 6) AS contracts, o.state,
    round(o.filled_e6 / 1000000.0, 6) AS filled, round(o.cash_e6 / 1000000.0, 6) AS cash_usd,
    round(o.fee_e6 / 1000000.0, 6) AS fee_usd,
    round(o.cash_e6::numeric / nullif(o.filled_e6, 0), 4) AS average_price, o.reason, i.decided_at, o.sent_at,
    o.answered_at, o.client_order_id, o.venue_order_id
FROM trading.orders AS o JOIN trading.intents AS i ON i.intent_id = o.intent_id
WHERE i.execution_id = %(execution_id)s ORDER BY o.order_id
"""

_FILLS = """
SELECT f.fill_id, f.order_id, f.venue, f.market_id, f.outcome, f.action,
    round(f.contracts_e6 / 1000000.0, 6) AS contracts, round(f.cash_e6 / 1000000.0, 6) AS cash_usd,
    round(f.fee_e6 / 1000000.0, 6) AS fee_usd, f.state, f.filled_at
FROM trading.fills AS f JOIN trading.orders AS o ON o.order_id = f.order_id
JOIN trading.intents AS i ON i.intent_id = o.intent_id
WHERE i.execution_id = %(execution_id)s ORDER BY f.filled_at, f.fill_id
"""


def load_trades(
    connection: Connection,
    *,
    execution_id: int | None = None,
    state: str | None = None,
    mode: str | None = None,
    group_id: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[TradeRow]:
    """Return executions, newest first.

    Raises:
        InvalidCursor: If `cursor` is not one of this list.
    """
    before = decode_cursor(cursor, (int,)) or (None,)
    params = {
        "execution_id": execution_id,
        "state": state,
        "mode": mode,
        "group_id": group_id,
        "before": before[0],
        "rows": limit + 1,
    }
    return page_of(fetch(connection, TradeRow, _TRADES, params), limit, ("execution_id",))


def load_trade(connection: Connection, execution_id: int) -> TradeDetail | None:
    """Return one execution with its orders, fills and events (each oldest first), or None."""
    found = load_trades(connection, execution_id=execution_id, limit=1).rows
    if not found:
        return None
    params = {"execution_id": execution_id}
    events = """
        SELECT happened_at, state, what, detail FROM trading.execution_events
        WHERE execution_id = %(execution_id)s ORDER BY event_id
    """
    refusals = """
        SELECT reason, detail FROM trading.refusals WHERE execution_id = %(execution_id)s ORDER BY refusal_id
    """
    return TradeDetail(
        trade=found[0],
        orders=tuple(fetch(connection, OrderRow, _ORDERS, params)),
        fills=tuple(fetch(connection, FillRow, _FILLS, params)),
        events=tuple(fetch(connection, TradeEvent, events, params)),
        refusals=tuple(f"{row['reason']}: {row['detail']}" for row in connection.execute(refusals, params)),
    )


def count_trade_states(connection: Connection) -> dict[str, int]:
    """Return the number of executions per state."""
    query = "SELECT state, count(*) AS trades FROM trading.executions GROUP BY state ORDER BY state"
    return {str(row["state"]): int(row["trades"]) for row in connection.execute(query)}
