"""Trades: executions of hedges with their legs, orders, fills and the states they passed through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypedDict

from app.queries.rows import Page, conditions, decode_cursor, fetch, page_of
from streams.storage.database import Connection
from streams.storage.store.executions import ExecutionEvent, list_events


class TradeLeg(TypedDict):
    """What an execution set out to hold of one outcome, what was bought net of what was sold again, and for how much.

    Contracts and dollars are texts with six decimals, as the interfaces show them in JSON.
    """

    venue: str
    market_id: str
    outcome: str
    title: str
    contracts: str
    filled: str
    paid_usd: str
    received_usd: str
    fees_usd: str


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One row per execution. Amounts in dollars; `edge_usd` per contract, as expected when it was decided.

    `legs`: a part for each market and outcome it set out to hold or ordered.
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
    legs: list[TradeLeg]
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
class TradeDetail:
    """One execution with everything that happened in it."""

    trade: TradeRow
    orders: tuple[OrderRow, ...]
    fills: tuple[FillRow, ...]
    events: tuple[ExecutionEvent, ...]
    refusals: tuple[str, ...]


_TRADES = """
SELECT execution_id, signal_id, group_id, kind, title, state, mode, environment, started_at, flat_at, settled_at,
    expected_edge_usd AS edge_usd, contracts, cost_usd, fees_usd, expected_pnl_usd, realised_pnl_usd, run_id
FROM analytics.trades {where} ORDER BY execution_id DESC LIMIT %(rows)s
"""

# The same legs as in analytics.trades, read for many trades at once: much quicker than trade by trade. For more of them
# than this the server would read whole tables.
_LEGS_AT_ONCE = 100
_LEGS = """
SELECT execution_id, venue, market_id, outcome, title, contracts, held_contracts AS filled, paid_usd, received_usd,
    fees_usd
FROM analytics.trade_legs WHERE execution_id = ANY(%(ids)s) ORDER BY execution_id, leg_no, venue, market_id, outcome
"""

_ORDERS = """
SELECT order_id, leg_no, purpose, venue, market_id, outcome, action, limit_price, ordered_contracts AS contracts, state,
    filled_contracts AS filled, cash_usd, fee_usd, average_price, reason, decided_at, sent_at, answered_at,
    client_order_id, venue_order_id
FROM analytics.orders WHERE execution_id = %(execution_id)s ORDER BY order_id
"""

_FILLS = """
SELECT fill_id, order_id, venue, market_id, outcome, action, contracts, cash_usd, fee_usd, state, filled_at
FROM analytics.fills WHERE execution_id = %(execution_id)s ORDER BY filled_at, fill_id
"""


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which executions are wanted; the defaults keep all."""

    execution_id: int | None = None
    state: str | None = None
    mode: str | None = None
    group_id: str | None = None


ALL_TRADES = TradeFilter()


def load_trades(
    connection: Connection, wanted: TradeFilter = ALL_TRADES, *, limit: int = 100, cursor: str | None = None
) -> Page[TradeRow]:
    """Return the wanted executions, newest first.

    Raises:
        InvalidCursor: If `cursor` is not one of this list.
    """
    before = decode_cursor(cursor, (int,)) or (None,)
    where, params = conditions(
        ("execution_id = %(execution_id)s", "execution_id", wanted.execution_id),
        ("state = %(state)s", "state", wanted.state),
        ("mode = %(mode)s", "mode", wanted.mode),
        ("group_id = %(group_id)s", "group_id", wanted.group_id),
        ("execution_id < %(before)s", "before", before[0]),
    )
    rows = connection.execute(_TRADES.format(where=where), {**params, "rows": limit + 1}).fetchall()
    legs = _load_legs(connection, [row["execution_id"] for row in rows])
    trades = [TradeRow(**row, legs=legs.get(row["execution_id"], [])) for row in rows]
    return page_of(trades, limit, ("execution_id",))


def _load_legs(connection: Connection, execution_ids: list[int]) -> dict[int, list[TradeLeg]]:
    """Return the legs of each execution."""
    legs: dict[int, list[TradeLeg]] = {}
    for first in range(0, len(execution_ids), _LEGS_AT_ONCE):
        for row in connection.execute(_LEGS, {"ids": execution_ids[first : first + _LEGS_AT_ONCE]}):
            leg = TradeLeg(
                venue=row["venue"],
                market_id=row["market_id"],
                outcome=row["outcome"],
                title=row["title"],
                contracts=f"{row['contracts']:.6f}",
                filled=f"{row['filled']:.6f}",
                paid_usd=f"{row['paid_usd']:.6f}",
                received_usd=f"{row['received_usd']:.6f}",
                fees_usd=f"{row['fees_usd']:.6f}",
            )
            legs.setdefault(row["execution_id"], []).append(leg)
    return legs


def load_trade(connection: Connection, execution_id: int) -> TradeDetail | None:
    """Return one execution with its orders, fills and events (each oldest first), or None."""
    found = load_trades(connection, TradeFilter(execution_id=execution_id), limit=1).rows
    if not found:
        return None
    params = {"execution_id": execution_id}
    refusals = """
        SELECT reason, detail FROM analytics.refusal_events WHERE execution_id = %(execution_id)s ORDER BY refusal_id
    """
    return TradeDetail(
        trade=found[0],
        orders=tuple(fetch(connection, OrderRow, _ORDERS, params)),
        fills=tuple(fetch(connection, FillRow, _FILLS, params)),
        events=tuple(list_events(connection, execution_id)),
        refusals=tuple(f"{row['reason']}: {row['detail']}" for row in connection.execute(refusals, params)),
    )


def count_trade_states(connection: Connection) -> dict[str, int]:
    """Return the number of executions per state."""
    query = "SELECT state, sum(trades) AS trades FROM analytics.trade_states GROUP BY state ORDER BY state"
    return {str(row["state"]): int(row["trades"]) for row in connection.execute(query)}
