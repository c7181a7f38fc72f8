"""Limits and switches in force, their history, and how much of the limits is used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.queries.portfolio import HELD
from app.queries.reading import fetch
from streams.storage.database import Connection


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """One row per change of the trading switch: run | pause | reduce | kill."""

    state: str
    set_by: str
    reason: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One row per change of a limit. Dollars, except `order_contracts`."""

    name: str
    value: Decimal
    set_by: str
    reason: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much is at stake, in dollars.

    Attributes:
        open_cost_usd: Cash paid for what is held now, at average prices, fees aside.
        reserved_usd: Most cash the unresolved orders can still cost.
        largest_market_usd / largest_group_usd: Cash in the largest single market and group.
        realised_today_usd: PnL realised since midnight UTC.
        unresolved_orders: Orders whose outcome is not known or that still rest.
        escalated: Executions that wait for a person.
    """

    open_cost_usd: Decimal
    reserved_usd: Decimal
    largest_market_usd: Decimal
    largest_group_usd: Decimal
    realised_today_usd: Decimal
    unresolved_orders: int
    escalated: int


def load_switch(connection: Connection) -> SwitchRow | None:
    """Return the switch in force, or None in a database without any."""
    found = load_switch_history(connection, 1)
    return found[0] if found else None


def load_switch_history(connection: Connection, limit: int = 50) -> list[SwitchRow]:
    """Return the last changes of the switch, newest first."""
    query = "SELECT state, set_by, reason, set_at FROM trading.switches ORDER BY switch_id DESC LIMIT %(rows)s"
    return fetch(connection, SwitchRow, query, {"rows": limit})


def load_limits(connection: Connection) -> dict[str, LimitRow]:
    """Return the limits that were set, by name; those never set are absent and have their first value."""
    query = """
        SELECT DISTINCT ON (name) name, value, set_by, reason, set_at FROM trading.limits ORDER BY name, limit_id DESC
    """
    return {row.name: row for row in fetch(connection, LimitRow, query)}


def load_exposure(connection: Connection) -> Exposure:
    """Return what is at stake now."""
    query = f"""
        WITH held AS (
            SELECT venue, market_id, sum(cost_e6) AS cost_e6 FROM ({HELD}) AS positions GROUP BY venue, market_id
        ), unresolved AS (
            SELECT o.order_id, i.reserved_e6 FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
            WHERE o.state IN ('prepared', 'sent', 'unknown', 'resting')
        ), in_groups AS (
            SELECT e.group_id, sum(-l.cash_e6) AS cost_e6
            FROM trading.executions AS e JOIN trading.ledger AS l ON l.execution_id = e.execution_id
            WHERE e.settled_at IS NULL GROUP BY e.group_id
        )
        SELECT
            (SELECT coalesce(round(sum(cost_e6) / 1000000.0, 6), 0) FROM held) AS open_cost_usd,
            (SELECT coalesce(round(sum(reserved_e6) / 1000000.0, 6), 0) FROM unresolved) AS reserved_usd,
            (SELECT coalesce(round(max(cost_e6) / 1000000.0, 6), 0) FROM held) AS largest_market_usd,
            (SELECT coalesce(round(greatest(max(cost_e6), 0) / 1000000.0, 6), 0) FROM in_groups) AS largest_group_usd,
            (SELECT coalesce(round(sum(realised_pnl_e6) / 1000000.0, 6), 0) FROM trading.executions
                WHERE settled_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')
                AS realised_today_usd,
            (SELECT count(*)::int FROM unresolved) AS unresolved_orders,
            (SELECT count(*)::int FROM trading.executions
                WHERE lower(state) = 'escalated' AND settled_at IS NULL) AS escalated
    """
    return fetch(connection, Exposure, query)[0]
