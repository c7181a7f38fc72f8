"""How much of the limits is used."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.queries.rows import fetch
from streams.storage.database import Connection


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much is at stake, in dollars, as the gate counts it when it decides.

    Attributes:
        total_usd: What open executions have cost so far, with what they and unresolved orders hold back.
        largest_market_usd / largest_group_usd: The same of the largest single market and group.
        realised_today_usd: PnL realised since midnight UTC.
        reserved_usd: The part of `total_usd` that is held back and not spent.
        unconfirmed_usd: Bought by fills whose settlement is not confirmed yet.
        unresolved_orders: Orders whose outcome is not known or that still rest.
        escalated: Executions that wait for a person.
    """

    total_usd: Decimal
    largest_market_usd: Decimal
    largest_group_usd: Decimal
    realised_today_usd: Decimal
    reserved_usd: Decimal
    unconfirmed_usd: Decimal
    unresolved_orders: int
    escalated: int


def load_exposure(connection: Connection, mode: str) -> Exposure:
    """Return what is at stake now in one trading mode (live | paper)."""
    query = """
        WITH stakes AS (SELECT * FROM analytics.exposure WHERE mode = %(mode)s)
        SELECT coalesce(sum(tied_up_usd), 0) AS total_usd,
            coalesce((SELECT sum(tied_up_usd) FROM stakes GROUP BY venue, market_id ORDER BY 1 DESC LIMIT 1), 0)
                AS largest_market_usd,
            coalesce((SELECT sum(tied_up_usd) FROM stakes GROUP BY group_id ORDER BY 1 DESC LIMIT 1), 0)
                AS largest_group_usd,
            (SELECT coalesce(sum(realised_pnl_usd), 0) FROM analytics.pnl_daily
                WHERE mode = %(mode)s AND day = (now() AT TIME ZONE 'UTC')::date) AS realised_today_usd,
            coalesce(sum(reserved_usd), 0) AS reserved_usd, coalesce(sum(unconfirmed_usd), 0) AS unconfirmed_usd,
            coalesce(sum(unresolved_orders), 0)::int AS unresolved_orders,
            (SELECT count(*)::int FROM analytics.trades
                WHERE state = 'ESCALATED' AND settled_at IS NULL AND mode = %(mode)s) AS escalated
        FROM stakes
    """
    return fetch(connection, Exposure, query, {"mode": mode})[0]
