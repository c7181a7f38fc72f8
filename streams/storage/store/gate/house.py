"""What the gate reads of our own side: opposing orders, comparisons of accounts, lasting commits, sources."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.market.identity import Outcome, Venue
from streams.market.trading import UNRESOLVED
from streams.storage.database import Connection, fetch_all, fetch_int


@dataclass(frozen=True, slots=True)
class LastComparison:
    """When an account was compared last with our books, and found to agree, or to differ by what is open there."""

    venue: str
    began_at: datetime


@dataclass(frozen=True, slots=True)
class SourceOfMarket:
    """Who says how a market of a group settles, as its venue names them."""

    group_id: str
    source: str


def lossy_settings(connection: Connection) -> list[str]:
    """Return the settings of server and session by which a commit of this session may be lost; empty: it lasts."""
    rows = connection.execute(
        """SELECT name || '=' || value AS setting
           FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS s (name),
                current_setting(s.name) AS value
           WHERE value = 'off' ORDER BY name"""
    ).fetchall()
    return [row["setting"] for row in rows]


def count_opposing_orders(connection: Connection, mode: str, legs: Sequence[tuple[str, Outcome]]) -> int:
    """Return how many orders of a mode without a last word buys of these legs ("venue:market_id") could trade with."""
    return fetch_int(
        connection,
        """SELECT count(*) FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           JOIN unnest(%(keys)s::text[], %(outcomes)s::text[]) AS leg (key, outcome)
               ON leg.key = o.venue || ':' || i.market_id
           WHERE o.state = ANY(%(unresolved)s) AND e.mode = %(mode)s
             AND (i.action = 'buy') = (i.outcome <> leg.outcome)""",
        {
            "keys": [key for key, _ in legs],
            "outcomes": [outcome for _, outcome in legs],
            "unresolved": list(UNRESOLVED),
            "mode": mode,
        },
    )


def last_comparisons(connection: Connection, mode: str, venues: Collection[Venue]) -> dict[Venue, datetime]:
    """Return when each of these accounts last agreed with our books; missing: never."""
    found = fetch_all(
        connection,
        LastComparison,
        """SELECT v.venue, r.began_at FROM unnest(%(venues)s::text[]) AS v (venue) CROSS JOIN LATERAL (
               SELECT began_at FROM trading.account_readings AS a
               WHERE a.mode = %(mode)s AND a.venue = v.venue AND a.verdict <> 'outside'
               ORDER BY a.reading_id DESC LIMIT 1
           ) AS r""",
        {"mode": mode, "venues": [venue.value for venue in venues]},
    )
    return {Venue(row.venue): row.began_at for row in found}


_SOURCE = """coalesce(nullif(lower(CASE v.venue
        WHEN 'kalshi' THEN s.payload #>> '{settlement_sources,0,name}' ELSE v.payload ->> 'resolutionSource' END), ''),
    v.venue || ':' || coalesce(nullif(v.series_id, ''), v.event_id))"""
"""Who settles a market: the source that its venue names, else its series or event itself."""


def sources_of_open_hedges(connection: Connection, mode: str) -> list[SourceOfMarket]:
    """Return the sources of resolution of all groups in which something of a mode is tied up."""
    return fetch_all(
        connection,
        SourceOfMarket,
        f"""SELECT DISTINCT x.group_id, {_SOURCE} AS source FROM trading.stakes AS x
            JOIN raw.market_state AS m ON m.venue = x.venue AND m.market_id = x.market_id
            JOIN raw.market_versions AS v USING (version_id)
            LEFT JOIN raw.series AS s ON s.venue = v.venue AND s.series_id = v.series_id
            WHERE x.mode = %s""",
        (mode,),
    )


def sources_of(connection: Connection, market_keys: Collection[str]) -> list[str]:
    """Return the sources of resolution of markets by "venue:market_id", each once."""
    rows = connection.execute(
        f"""SELECT DISTINCT {_SOURCE} AS source FROM raw.market_state AS m
            JOIN raw.market_versions AS v USING (version_id)
            LEFT JOIN raw.series AS s ON s.venue = v.venue AND s.series_id = v.series_id
            WHERE (m.venue || ':' || m.market_id) = ANY(%s) ORDER BY source""",
        (list(market_keys),),
    ).fetchall()
    return [row["source"] for row in rows]
