"""The portfolio across both venues: positions with their marks, balances against the ledger, PnL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from app.queries.rows import MartRows, fetch, fetch_mart
from streams.storage.database import Connection


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One row per (venue, market, outcome) held. `mark`: mid of the last live quote, in dollars of the outcome."""

    venue: str
    market_id: str
    title: str
    outcome: str
    mode: str
    contracts: Decimal
    cost_usd: Decimal
    mark: Decimal | None
    marked_at: datetime | None
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


HELD = """
    SELECT environment, mode, venue, market_id, outcome, sum(contracts_e6) AS contracts_e6,
        round(sum(contracts_e6) * sum(-cash_e6) FILTER (WHERE contracts_e6 > 0)
            / nullif(sum(contracts_e6) FILTER (WHERE contracts_e6 > 0), 0)) AS cost_e6,
        max(happened_at) AS last_change_at
    FROM trading.ledger WHERE market_id IS NOT NULL
    GROUP BY environment, mode, venue, market_id, outcome HAVING sum(contracts_e6) <> 0
"""
"""What is held, as a subquery: contracts and their cost at the average price paid, fees aside."""


def load_positions(connection: Connection) -> list[PositionRow]:
    """Return what is held now, the largest cost first."""
    query = f"""
        SELECT p.venue, p.market_id, coalesce(v.title, p.market_id) AS title, p.outcome, p.mode,
            round(p.contracts_e6 / 1000000.0, 6) AS contracts, round(p.cost_e6 / 1000000.0, 6) AS cost_usd,
            m.mark, m.received_at AS marked_at, round(m.mark * p.contracts_e6 / 1000000.0, 6) AS value_usd,
            round(m.mark * p.contracts_e6 / 1000000.0 - p.cost_e6 / 1000000.0, 6) AS unrealised_pnl_usd,
            p.last_change_at
        FROM ({HELD}) AS p
        LEFT JOIN raw.market_state AS s ON s.venue = p.venue AND s.market_id = p.market_id
        LEFT JOIN raw.market_versions AS v ON v.version_id = s.version_id
        LEFT JOIN LATERAL (
            SELECT received_at, CASE p.outcome WHEN 'yes' THEN (bid_e4 + ask_e4) / 20000.0
                ELSE 1 - (bid_e4 + ask_e4) / 20000.0 END AS mark
            FROM raw.quotes AS x
            WHERE x.market_id = p.market_id AND x.venue = p.venue AND x.received_at > now() - interval '1 day'
                AND x.bid_e4 IS NOT NULL AND x.ask_e4 IS NOT NULL AND x.state = 'live'
            ORDER BY x.received_at DESC LIMIT 1
        ) AS m ON true
        ORDER BY abs(p.cost_e6) DESC, p.venue, p.market_id, p.outcome
    """
    return fetch(connection, PositionRow, query)


def load_balances(connection: Connection) -> list[BalanceRow]:
    """Return the last reading of each venue's account."""
    query = """
        SELECT DISTINCT ON (venue) venue, environment, read_at, round(cash_e6 / 1000000.0, 6) AS cash_usd,
            round(ledger_cash_e6 / 1000000.0, 6) AS ledger_cash_usd,
            round((cash_e6 - ledger_cash_e6) / 1000000.0, 6) AS difference_usd,
            coalesce((detail ->> 'in_flight')::int, 0) AS in_flight
        FROM trading.balances ORDER BY venue, read_at DESC, balance_id DESC
    """
    return fetch(connection, BalanceRow, query)


def load_pnl_days(connection: Connection, days: int = 30) -> MartRows[PnlDay]:
    """Return realised PnL per day, oldest first."""
    query = """
        SELECT day, mode, sum(trades)::int AS trades, coalesce(sum(realised_pnl_usd), 0) AS realised_pnl_usd,
            coalesce(sum(fees_usd), 0) AS fees_usd
        FROM analytics.pnl_daily WHERE day > current_date - %(days)s::int GROUP BY day, mode ORDER BY day, mode
    """
    return fetch_mart(connection, PnlDay, query, {"days": days})


def load_pnl_curve(connection: Connection, limit: int = 2000) -> list[PnlPoint]:
    """Return the running realised PnL at each of the last `limit` settlements, oldest first."""
    query = """
        SELECT * FROM (
            SELECT settled_at, execution_id, round(realised_pnl_e6 / 1000000.0, 6) AS realised_pnl_usd,
                round(sum(realised_pnl_e6) OVER (ORDER BY settled_at, execution_id) / 1000000.0, 6) AS total_usd
            FROM trading.executions WHERE settled_at IS NOT NULL AND realised_pnl_e6 IS NOT NULL
            ORDER BY settled_at DESC, execution_id DESC LIMIT %(rows)s
        ) AS recent ORDER BY settled_at, execution_id
    """
    return fetch(connection, PnlPoint, query, {"rows": limit})


def load_pnl_summary(connection: Connection) -> PnlSummary:
    """Return the totals over all executions."""
    query = """
        SELECT coalesce(round(sum(realised_pnl_e6) / 1000000.0, 6), 0) AS realised_usd,
            coalesce(round(sum(expected_pnl_e6) FILTER (WHERE realised_pnl_e6 IS NULL) / 1000000.0, 6), 0)
                AS expected_open_usd,
            (SELECT coalesce(round(-sum(cash_e6) / 1000000.0, 6), 0) FROM trading.ledger
                WHERE kind IN ('fee', 'rebate')) AS fees_usd,
            (count(*) FILTER (WHERE realised_pnl_e6 IS NOT NULL))::int AS settled,
            (count(*) FILTER (WHERE realised_pnl_e6 IS NULL))::int AS open,
            (count(*) FILTER (WHERE realised_pnl_e6 > 0))::int AS winning,
            (count(*) FILTER (WHERE realised_pnl_e6 < 0))::int AS losing
        FROM trading.executions
    """
    return fetch(connection, PnlSummary, query)[0]
