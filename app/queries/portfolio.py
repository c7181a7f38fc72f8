"""The portfolio across both venues: positions with their marks, balances against the ledger, PnL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from app.queries.rows import fetch
from streams.storage.database import Connection


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One row per (venue, market, outcome) held. Costs and marks are those of analytics.positions.

    `cost_usd`: with the fees of buying; `mark`: in dollars of the outcome, by `mark_source` the settlement value or the
    mid of a live book that was seen `mark_age_s` ago; stale where that is longer than a quote counts as fresh.
    """

    venue: str
    market_id: str
    title: str
    outcome: str
    mode: str
    contracts: Decimal
    cost_usd: Decimal
    mark: Decimal | None
    mark_source: str | None
    marked_at: datetime | None
    mark_age_s: Decimal | None
    is_mark_stale: bool | None
    value_usd: Decimal | None
    unrealised_pnl_usd: Decimal | None
    last_change_at: datetime


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One row per venue: the account's cash as last read there, and what the ledger says at the same moment.

    `in_flight`: orders and fills that were not booked yet then, which explain a difference.
    """

    venue: str
    environment: str
    read_at: datetime
    cash_usd: Decimal
    ledger_cash_usd: Decimal
    difference_usd: Decimal
    in_flight: int


@dataclass(frozen=True, slots=True)
class PnlDay:
    """One row per (day, mode), summed over venues."""

    day: date
    mode: str
    trades: int
    realised_pnl_usd: Decimal
    fees_usd: Decimal


@dataclass(frozen=True, slots=True)
class PnlPoint:
    """One row per settled execution, with the running total of realised PnL."""

    settled_at: datetime
    execution_id: int
    realised_pnl_usd: Decimal
    total_usd: Decimal


@dataclass(frozen=True, slots=True)
class PnlSummary:
    """PnL of all executions in dollars."""

    realised_usd: Decimal
    expected_open_usd: Decimal
    fees_usd: Decimal
    settled: int
    open: int
    winning: int
    losing: int


def load_positions(connection: Connection) -> list[PositionRow]:
    """Return what is held now, the largest cost first."""
    query = """
        SELECT venue, market_id, coalesce(title, market_id) AS title, outcome, mode, contracts, cost_usd, mark,
            mark_source, marked_at, mark_age_s, is_mark_stale, value_usd, unrealised_pnl_usd, last_change_at
        FROM analytics.positions WHERE is_open ORDER BY abs(cost_usd) DESC, venue, market_id, outcome
    """
    return fetch(connection, PositionRow, query)


def load_balances(connection: Connection) -> list[BalanceRow]:
    """Return the last reading of each venue's account."""
    query = """
        SELECT venue, environment, read_at, cash_usd, ledger_cash_usd, difference_usd, in_flight
        FROM analytics.balances ORDER BY venue
    """
    return fetch(connection, BalanceRow, query)


def load_pnl_days(connection: Connection, days: int = 30) -> list[PnlDay]:
    """Return realised PnL per day, oldest first."""
    query = """
        SELECT day, mode, trades, realised_pnl_usd, fees_usd FROM analytics.pnl_daily
        WHERE day > current_date - %(days)s::int ORDER BY day, mode
    """
    return fetch(connection, PnlDay, query, {"days": days})


def load_pnl_curve(connection: Connection, limit: int = 2000) -> list[PnlPoint]:
    """Return the running realised PnL at each of the last `limit` settlements, oldest first."""
    query = """
        SELECT settled_at, execution_id, realised_pnl_usd,
            (SELECT coalesce(sum(realised_pnl_usd), 0) FROM analytics.pnl_daily) - sum(realised_pnl_usd) OVER last_first
                + realised_pnl_usd AS total_usd
        FROM (
            SELECT settled_at, execution_id, realised_pnl_usd FROM analytics.trades
            WHERE settled_at IS NOT NULL AND realised_pnl_usd IS NOT NULL
            ORDER BY settled_at DESC, execution_id DESC LIMIT %(rows)s
        ) AS recent
        WINDOW last_first AS (ORDER BY settled_at DESC, execution_id DESC)
        ORDER BY settled_at, execution_id
    """
    return fetch(connection, PnlPoint, query, {"rows": limit})


def load_pnl_summary(connection: Connection) -> PnlSummary:
    """Return the totals over all executions."""
    query = """
        SELECT d.realised_usd, e.expected_open_usd, d.fees_usd, d.settled, d.trades - d.settled AS open, d.winning,
            d.losing
        FROM (
            SELECT coalesce(sum(realised_pnl_usd), 0) AS realised_usd, coalesce(sum(fees_usd), 0) AS fees_usd,
                coalesce(sum(trades), 0)::int AS trades, coalesce(sum(settled_trades), 0)::int AS settled,
                coalesce(sum(winning_trades), 0)::int AS winning, coalesce(sum(losing_trades), 0)::int AS losing
            FROM analytics.pnl_daily
        ) AS d
        CROSS JOIN (
            SELECT coalesce(sum(expected_pnl_usd), 0) AS expected_open_usd FROM analytics.trades
            WHERE settled_at IS NULL
        ) AS e
    """
    return fetch(connection, PnlSummary, query)[0]
