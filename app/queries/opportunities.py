"""Opportunities: episodes of a positive edge, what became of them, and why some were not taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.queries.rows import Page, conditions, decode_cursor, fetch, page_of
from streams.market.documents import JsonDocument
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
    legs: list[JsonDocument]
    outcome: str
    refusal_reason: str | None
    refusal_detail: str | None
    refusals: dict[str, int]
    executions: int


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """One row per reason: how often it kept an opportunity from being taken, and when last.

    `signals`: different episodes by day: one refused on two days counts twice.
    """

    reason: str
    refusals: int
    signals: int
    last_at: datetime


_OPPORTUNITIES = """
SELECT signal_id, group_id, kind, title, is_tradable, opened_at, closed_at, close_reason, duration_s, open_edge_usd,
    peak_edge_usd, last_edge_usd, contracts, cost_usd, fees_usd AS fee_usd, profit_usd, annualised_return, legs,
    outcome, refusal_reason, refusal_detail, refusals_by_reason AS refusals, executions
FROM analytics.signals AS s {where} ORDER BY signal_id DESC LIMIT %(rows)s
"""


@dataclass(frozen=True, slots=True)
class OpportunityFilter:
    """Which episodes are wanted; the defaults keep all. `reason` keeps those refused for it at least once."""

    signal_id: int | None = None
    kind: str | None = None
    outcome: str | None = None
    reason: str | None = None
    open_only: bool = False


ALL_OPPORTUNITIES = OpportunityFilter()


def load_opportunities(
    connection: Connection,
    wanted: OpportunityFilter = ALL_OPPORTUNITIES,
    *,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[OpportunityRow]:
    """Return the wanted episodes, newest first.

    Raises:
        InvalidCursor: If `cursor` is not one of this list.
    """
    before = decode_cursor(cursor, (int,)) or (None,)
    where, params = conditions(
        ("signal_id = %(signal_id)s", "signal_id", wanted.signal_id),
        ("kind = %(kind)s", "kind", wanted.kind),
        ("outcome = %(outcome)s", "outcome", wanted.outcome),
        (
            "signal_id IN (SELECT signal_id FROM analytics.refusal_events WHERE reason = %(reason)s)",
            "reason",
            wanted.reason,
        ),
        ("closed_at IS NULL", "open_only", wanted.open_only),
        ("signal_id < %(before)s", "before", before[0]),
    )
    query = _OPPORTUNITIES.format(where=where)
    return page_of(fetch(connection, OpportunityRow, query, {**params, "rows": limit + 1}), limit, ("signal_id",))


def load_refusal_counts(connection: Connection) -> list[RefusalCount]:
    """Return the reasons of refusals, the most frequent first."""
    query = """
        SELECT reason, sum(refusals)::bigint AS refusals, sum(signals)::bigint AS signals,
            max(last_refused_at) AS last_at
        FROM analytics.refusals GROUP BY reason ORDER BY refusals DESC, reason
    """
    return fetch(connection, RefusalCount, query)
