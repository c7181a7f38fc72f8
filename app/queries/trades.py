"""Trades: executions of hedges with their legs, orders, fills and the states they passed through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypedDict

from app.queries.rows import PAGE_LIMIT_MAX, Page, conditions, decode_cursor, fetch, page_of
from streams.market.errors import InvalidAmount
from streams.market.fees import taker_fee_e6
from streams.market.trading import MarketInfo
from streams.market.units import PRICE_SCALE, SIZE_SCALE, cash_decimal
from streams.storage.database import Connection
from streams.storage.store.executions import ExecutionEvent, list_events
from streams.storage.store.market_groups import load_market_infos


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

    Attributes:
        locked_floor_usd: The least it ends with in a normal outcome, as its fills lock it in; None before it has ended.
        exit_value_usd: What it ends with if all that it holds is sold now at the best bids, fees deducted; None where
            something that it holds has no live bid. Once settled, what it brought.
        settled_cash_usd: Its cash so far that is final.
        capital_dollar_days: Dollars tied up times days. `return_on_capital`: what a dollar tied up for a year brought.
        legs: A part for each market and outcome it set out to hold or ordered.
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
    locked_floor_usd: Decimal | None
    exit_value_usd: Decimal | None
    settled_cash_usd: Decimal
    capital_dollar_days: Decimal | None
    return_on_capital: Decimal | None
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
    expected_edge_usd AS edge_usd, contracts, cost_usd, fees_usd, expected_pnl_usd, realised_pnl_usd, run_id,
    locked_floor_usd, settled_cash_usd, capital_dollar_days, return_on_capital, cash_change_usd
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

_HELD = """
SELECT l.execution_id, l.venue, l.market_id, l.held_contracts AS contracts, p.exit_price, p.mark_source
FROM analytics.trade_legs AS l JOIN analytics.trades AS t USING (execution_id)
LEFT JOIN analytics.positions AS p ON p.mode = t.mode AND p.environment = t.environment AND p.venue = l.venue
    AND p.market_id = l.market_id AND p.outcome = l.outcome AND NOT coalesce(p.is_mark_stale, false)
WHERE l.execution_id = ANY(%(ids)s) AND l.held_contracts <> 0
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
    is_open: bool | None = None


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
        ("(settled_at IS NULL) = %(is_open)s", "is_open", wanted.is_open),
        ("execution_id < %(before)s", "before", before[0]),
    )
    rows = connection.execute(_TRADES.format(where=where), {**params, "rows": limit + 1}).fetchall()
    legs = _load_legs(connection, [row["execution_id"] for row in rows])
    proceeds = _proceeds(connection, [row["execution_id"] for row in rows if row["settled_at"] is None])
    trades = [
        TradeRow(
            **{name: value for name, value in row.items() if name != "cash_change_usd"},
            exit_value_usd=_exit_value(
                row["cash_change_usd"],
                row["realised_pnl_usd"],
                is_settled=row["settled_at"] is not None,
                proceeds=proceeds.get(row["execution_id"]),
            ),
            legs=legs.get(row["execution_id"], []),
        )
        for row in rows
    ]
    return page_of(trades, limit, ("execution_id",))


@dataclass(frozen=True, slots=True)
class OpenValues:
    """What the trades that are not settled are worth together, in dollars.

    Attributes:
        floor_usd: The least they end with. `without_floor`: trades that have not ended and lock nothing in yet.
        exit_usd: What they end with if all is sold now, after fees. `without_exit`: those of which nobody bids for
            something, which are left out of it.
        settled_usd: Their cash so far that is final.
    """

    trades: int
    floor_usd: Decimal
    without_floor: int
    exit_usd: Decimal
    without_exit: int
    settled_usd: Decimal


def load_open_values(connection: Connection, mode: str | None = None) -> OpenValues:
    """Return what the trades that are not settled are worth together; of the newest thousand."""
    rows = load_trades(connection, TradeFilter(mode=mode, is_open=True), limit=PAGE_LIMIT_MAX).rows
    floors = [row.locked_floor_usd for row in rows if row.locked_floor_usd is not None]
    exits = [row.exit_value_usd for row in rows if row.exit_value_usd is not None]
    return OpenValues(
        len(rows),
        sum(floors, Decimal(0)),
        len(rows) - len(floors),
        sum(exits, Decimal(0)),
        len(rows) - len(exits),
        sum((row.settled_cash_usd for row in rows), Decimal(0)),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """What a trade that is not settled holds of one outcome, and what a contract of it sells for."""

    execution_id: int
    venue: str
    market_id: str
    contracts: Decimal
    exit_price: Decimal | None
    mark_source: str | None

    @property
    def market_key(self) -> str:
        return f"{self.venue}:{self.market_id}"

    def proceeds(self, info: MarketInfo | None) -> Decimal | None:
        """Return what it brings after the taker's fee; a settlement is free of it. None where nobody bids."""
        if info is None or self.exit_price is None:
            return None
        size_e6, price_e4 = int(self.contracts * SIZE_SCALE), int(self.exit_price * PRICE_SCALE)
        gross = self.contracts * self.exit_price
        if self.mark_source == "settlement" or not 0 < price_e4 < PRICE_SCALE or size_e6 <= 0:
            return gross
        try:
            return gross - cash_decimal(taker_fee_e6(price_e4, size_e6, info.target.schedule, is_buy=False))
        except InvalidAmount:
            return None  # its fees are of a kind that nobody knows


def _proceeds(connection: Connection, execution_ids: list[int]) -> dict[int, Decimal | None]:
    """Return what each of these trades brings if all that it holds is sold now; None where nobody bids for a part."""
    held = fetch(connection, _Held, _HELD, {"ids": execution_ids}) if execution_ids else []
    infos = load_market_infos(connection, sorted({leg.market_key for leg in held}))
    found: dict[int, Decimal | None] = dict.fromkeys(execution_ids, Decimal(0))
    for leg in held:
        so_far, more = found[leg.execution_id], leg.proceeds(infos.get(leg.market_key))
        found[leg.execution_id] = None if so_far is None or more is None else so_far + more
    return found


def _exit_value(
    cash: Decimal, realised: Decimal | None, *, is_settled: bool, proceeds: Decimal | None
) -> Decimal | None:
    """Return what a trade ends with if it is sold now; once settled, what it brought."""
    if is_settled:
        return realised
    return None if proceeds is None else cash + proceeds


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
