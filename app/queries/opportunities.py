"""Opportunities: episodes of a positive edge, what became of them, and why some were not taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.queries.rows import Page, decode_cursor, fetch, page_of
from streams.storage.database import Connection


@dataclass(frozen=True, slots=True)
class OpportunityRow:
    """One row per episode. Edges in dollars per contract net of fees; amounts in dollars at the peak.

    `legs`: [{"venue", "market_id", "outcome", "limit_price", "contracts"}]; `outcome` says what became of it:
    traded | refused | open | passed; `refusals`: {reason: times}.
    """

    signal_id: int
    group_id: str
    kind: str
    title: str
    is_tradable: bool
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str
    duration_s: Decimal
    open_edge_usd: Decimal
    peak_edge_usd: Decimal
    last_edge_usd: Decimal
    contracts: Decimal
    cost_usd: Decimal
    fee_usd: Decimal
    profit_usd: Decimal
    annualised_return: Decimal | None
    legs: list[dict[str, Any]]
    outcome: str
    refusal_reason: str | None
    refusal_detail: str | None
    refusals: dict[str, int]
    executions: int


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """One row per reason: how often it kept an opportunity from being taken, and when last."""

    reason: str
    refusals: int
    signals: int
    last_at: datetime


# The episodes of the page are picked first, so that legs and refusals are read for them alone.
_OPPORTUNITIES = """
WITH wanted AS (
    SELECT s.signal_id,
        EXISTS (SELECT FROM trading.executions AS x WHERE x.signal_id = s.signal_id) AS is_traded,
        EXISTS (SELECT FROM trading.refusals AS x WHERE x.signal_id = s.signal_id) AS is_refused
    FROM trading.signals AS s
    JOIN trading.groups AS g ON g.group_id = s.group_id
    WHERE (%(signal_id)s::bigint IS NULL OR s.signal_id = %(signal_id)s)
        AND (%(kind)s::text IS NULL OR g.kind = %(kind)s)
        AND (NOT %(open_only)s OR s.closed_at IS NULL)
        AND (%(before)s::bigint IS NULL OR s.signal_id < %(before)s)
        AND (%(reason)s::text IS NULL OR EXISTS (
            SELECT FROM trading.refusals AS x WHERE x.signal_id = s.signal_id AND x.reason = %(reason)s))
        AND (%(outcome)s::text IS NULL OR %(outcome)s = CASE
            WHEN EXISTS (SELECT FROM trading.executions AS x WHERE x.signal_id = s.signal_id) THEN 'traded'
            WHEN EXISTS (SELECT FROM trading.refusals AS x WHERE x.signal_id = s.signal_id) THEN 'refused'
            WHEN s.closed_at IS NULL THEN 'open' ELSE 'passed' END)
    ORDER BY s.signal_id DESC
    LIMIT %(rows)s
)
SELECT s.signal_id, s.group_id, g.kind, g.title, s.is_tradable, s.opened_at, s.closed_at, s.close_reason,
    round(extract(epoch FROM coalesce(s.closed_at, clock_timestamp()) - s.opened_at), 3) AS duration_s,
    s.open_edge_usd, s.peak_edge_usd, s.last_edge_usd, round(s.contracts_e6 / 1000000.0, 6) AS contracts,
    round(s.cost_e6 / 1000000.0, 6) AS cost_usd, round(s.fee_e6 / 1000000.0, 6) AS fee_usd,
    round(s.profit_e6 / 1000000.0, 6) AS profit_usd, s.annualised_return,
    coalesce(l.legs, '[]') AS legs,
    CASE WHEN w.is_traded THEN 'traded' WHEN w.is_refused THEN 'refused'
        WHEN s.closed_at IS NULL THEN 'open' ELSE 'passed' END AS outcome,
    r.reason AS refusal_reason, r.detail AS refusal_detail, coalesce(c.refusals, '{}') AS refusals,
    (SELECT count(*) FROM trading.executions AS x WHERE x.signal_id = s.signal_id) AS executions
FROM wanted AS w
JOIN trading.signals AS s ON s.signal_id = w.signal_id
JOIN trading.groups AS g ON g.group_id = s.group_id
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('venue', venue, 'market_id', market_id, 'outcome', outcome,
        'limit_price', (limit_price_e4::numeric / 10000)::numeric(12, 4)::text,
        'contracts', (size_e6::numeric / 1000000)::numeric(20, 6)::text) ORDER BY leg_no) AS legs
    FROM trading.signal_legs AS x WHERE x.signal_id = s.signal_id
) AS l ON true
LEFT JOIN LATERAL (
    SELECT reason, detail FROM trading.refusals AS x WHERE x.signal_id = s.signal_id
    ORDER BY refusal_id DESC LIMIT 1
) AS r ON true
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(reason, times) AS refusals FROM (
        SELECT reason, count(*) AS times FROM trading.refusals AS x WHERE x.signal_id = s.signal_id GROUP BY reason
    ) AS counted
) AS c ON true
ORDER BY s.signal_id DESC
"""


def load_opportunities(
    connection: Connection,
    *,
    signal_id: int | None = None,
    kind: str | None = None,
    outcome: str | None = None,
    reason: str | None = None,
    open_only: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[OpportunityRow]:
    """Return episodes, newest first. `reason` keeps those that were refused for it at least once.

    Raises:
        InvalidCursor: If `cursor` is not one of this list.
    """
    before = decode_cursor(cursor, (int,)) or (None,)
    params = {
        "signal_id": signal_id,
        "kind": kind,
        "outcome": outcome,
        "reason": reason,
        "open_only": open_only,
        "before": before[0],
        "rows": limit + 1,
    }
    return page_of(fetch(connection, OpportunityRow, _OPPORTUNITIES, params), limit, ("signal_id",))


def load_refusal_counts(connection: Connection) -> list[RefusalCount]:
    """Return the reasons of refusals, the most frequent first."""
    query = """
        SELECT reason, count(*) AS refusals, count(DISTINCT signal_id) AS signals, max(refused_at) AS last_at
        FROM trading.refusals GROUP BY reason ORDER BY refusals DESC, reason
    """
    return fetch(connection, RefusalCount, query)
