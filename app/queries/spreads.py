"""Spreads between the two venues of a pair, by minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import psycopg

from app.queries.rows import InvalidCursor, MartRows, Page, decode_cursor, fetch_mart, page_of, scalar
from streams.storage.database import Connection


@dataclass(frozen=True, slots=True)
class SpreadMinute:
    """One row per (pair, minute). Dollars per contract, Polymarket turned to the pair's polarity.

    `avg_60m`, `stddev_60m`, `z_score` and `half_life_minutes` are null below enough observations. `is_polled`: one of
    the books was polled over REST; null where the row is older than that mark.
    """

    pair_id: str
    minute: datetime
    kalshi_mid: Decimal | None
    polymarket_mid: Decimal | None
    mid_spread: Decimal | None
    cross_edge: Decimal | None
    avg_60m: Decimal | None
    stddev_60m: Decimal | None
    z_score: Decimal | None
    half_life_minutes: Decimal | None
    observations: int | None
    source: str
    is_polled: bool | None


_COLUMNS = """pair_id, minute, kalshi_mid, polymarket_mid, mid_spread, cross_edge, avg_60m, stddev_60m, z_score,
    half_life_minutes, observations, source, is_polled"""


def load_spread_history(connection: Connection, pair_id: str, hours: int) -> MartRows[SpreadMinute]:
    """Return the minutes of one pair over the last `hours`, oldest first."""
    query = f"""
        SELECT {_COLUMNS} FROM analytics.pair_spreads_1m
        WHERE pair_id = %(pair_id)s AND minute > now() - make_interval(hours => %(hours)s)
        ORDER BY minute
    """
    return fetch_mart(connection, SpreadMinute, query, {"pair_id": pair_id, "hours": hours})


def load_latest_spreads(connection: Connection, limit: int = 200) -> MartRows[SpreadMinute]:
    """Return the last minute of each pair of the last day by deviation, then spread; silent pairs come last."""
    query = f"""
        SELECT latest.* FROM analytics.pairs AS p CROSS JOIN LATERAL (
            SELECT {_COLUMNS} FROM analytics.pair_spreads_1m AS s
            WHERE s.pair_id = p.pair_id AND minute > now() - interval '1 day' ORDER BY minute DESC LIMIT 1
        ) AS latest
        ORDER BY latest.minute < now() - interval '10 minutes', abs(z_score) DESC NULLS LAST,
            abs(mid_spread) DESC NULLS LAST, latest.pair_id LIMIT %(rows)s
    """
    return fetch_mart(connection, SpreadMinute, query, {"rows": limit})


def load_longest_history(connection: Connection) -> str | None:
    """Return the pair with the most minutes of the last day (the first id among equals), or None."""
    query = """
        SELECT pair_id FROM analytics.pair_spreads_1m WHERE minute > now() - interval '1 day'
        GROUP BY pair_id ORDER BY count(*) DESC, pair_id LIMIT 1
    """
    try:
        found = scalar(connection, query)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    return None if found is None else str(found)


def load_spreads(
    connection: Connection,
    *,
    pair_id: str | None = None,
    since: datetime | None = None,
    source: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> tuple[Page[SpreadMinute], str | None]:
    """Return spreads in the order of (pair_id, minute), and why there are none when the mart cannot be read.

    Raises:
        InvalidCursor: If `cursor` is not one of this list.
    """
    after = decode_cursor(cursor, (str, str)) or (None, None)
    after_minute = None if after[1] is None else _cursor_time(after[1])
    query = f"""
        SELECT {_COLUMNS} FROM analytics.pair_spreads_1m
        WHERE (%(pair_id)s::text IS NULL OR pair_id = %(pair_id)s)
            AND (%(since)s::timestamptz IS NULL OR minute >= %(since)s)
            AND (%(source)s::text IS NULL OR source = %(source)s)
            AND (%(after_pair)s::text IS NULL OR (pair_id, minute) > (%(after_pair)s, %(after_minute)s::timestamptz))
        ORDER BY pair_id, minute LIMIT %(rows)s
    """
    params = {
        "pair_id": pair_id,
        "since": since,
        "source": source,
        "after_pair": after[0],
        "after_minute": after_minute,
        "rows": limit + 1,
    }
    found = fetch_mart(connection, SpreadMinute, query, params)
    return page_of(found.rows, limit, ("pair_id", "minute")), found.problem


def _cursor_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidCursor("The cursor belongs to another list.") from None
