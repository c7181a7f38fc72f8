"""The subscribed universe: markets of pairs and groups, what people watch, and the rest of the pairs' events.

Each carries its component: the connected set of related markets it belongs to, which is the unit of sharding.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.market.identity import Venue, market_key
from streams.storage.database import Connection, fetch_all, read_clock

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class WantedMarket:
    """A market to record. Tokens are Polymarket's, empty elsewhere."""

    venue: Venue
    market_id: str
    event_id: str
    yes_token: str
    no_token: str
    component: str


def shard_of(component: str, shards: int) -> int:
    """Return the shard a component belongs to: a hash that does not change between processes."""
    return zlib.crc32(component.encode()) % shards


_MEMBERS = """
WITH sets AS (
    SELECT CASE state WHEN 'approved' THEN 0 WHEN 'paused' THEN 2 ELSE 3 END AS priority, 'pair:' || pair_id AS set_id,
        'kalshi' AS venue, kalshi_market_id AS market_id
    FROM trading.pair_states WHERE state <> 'rejected'
    UNION ALL
    SELECT CASE state WHEN 'approved' THEN 0 WHEN 'paused' THEN 2 ELSE 3 END, 'pair:' || pair_id,
        'polymarket', polymarket_market_id
    FROM trading.pair_states WHERE state <> 'rejected'
    UNION ALL
    SELECT CASE WHEN is_tradable THEN 2 ELSE 4 END, 'group:' || group_id, m ->> 'venue', m ->> 'market_id'
    FROM trading.groups CROSS JOIN LATERAL jsonb_array_elements(markets) AS m
    WHERE ended_at IS NULL
    UNION ALL
    SELECT 1, 'watch:' || venue || ':' || market_id, venue, market_id FROM trading.watch_list
), siblings AS (
    SELECT 5 AS priority, 'event:' || v.venue || ':' || v.event_id AS set_id, w.venue, w.market_id
    FROM (
        SELECT DISTINCT mv.venue, mv.event_id FROM sets AS s
        JOIN raw.market_state AS ms ON ms.venue = s.venue AND ms.market_id = s.market_id
        JOIN raw.market_versions AS mv ON mv.version_id = ms.version_id
        WHERE s.priority = 0 AND mv.event_id <> ''
    ) AS v
    JOIN raw.market_versions AS x ON x.venue = v.venue AND x.event_id = v.event_id
    JOIN raw.market_state AS w ON w.version_id = x.version_id
)
SELECT t.priority, t.set_id, t.venue, t.market_id, v.event_id,
    coalesce(v.terms ->> 'yes_token', '') AS yes_token, coalesce(v.terms ->> 'no_token', '') AS no_token
FROM (SELECT * FROM sets UNION ALL SELECT * FROM siblings) AS t
JOIN raw.market_state AS m ON m.venue = t.venue AND m.market_id = t.market_id
JOIN raw.market_versions AS v ON v.version_id = m.version_id
WHERE m.status IN ('open', 'paused') AND (v.close_time IS NULL OR v.close_time > %(now)s - interval '1 minute')
    AND (t.venue <> 'polymarket' OR (v.terms ->> 'yes_token' <> '' AND v.terms ->> 'no_token' <> ''))
ORDER BY t.priority, t.set_id, t.venue, t.market_id
"""


def load_wanted(connection: Connection, limit: int) -> list[WantedMarket]:
    """Return the markets to record, most wanted first, at most `limit`.

    Order: approved pairs, the watch list, groups that may be traded and paused pairs, proposed pairs, other groups, the
    other markets of the approved pairs' events. A set that no longer fits whole is left out; smaller later ones may.
    """
    rows = connection.execute(_MEMBERS, {"now": read_clock(connection)}).fetchall()
    markets: dict[Key, tuple[str, str, str]] = {}
    sets: dict[str, list[Key]] = {}
    for row in rows:
        key = (row["venue"], row["market_id"])
        markets[key] = (row["event_id"], row["yes_token"], row["no_token"])
        sets.setdefault(row["set_id"], []).append(key)
    components = _components(sets.values())
    return [
        WantedMarket(Venue(venue), market_id, *markets[(venue, market_id)], components[(venue, market_id)])
        for venue, market_id in _fitting(sets.values(), limit)
    ]


def _fitting(sets: Iterable[Sequence[Key]], limit: int) -> list[Key]:
    """Return the members of the sets in order, leaving out sets that would pass the limit."""
    chosen: dict[Key, None] = {}
    for members in sets:
        new = [key for key in members if key not in chosen]
        if len(chosen) + len(new) <= limit:
            chosen.update(dict.fromkeys(new))
    return list(chosen)


def _components(sets: Iterable[Sequence[Key]]) -> dict[Key, str]:
    """Return for each market the name of its connected set: its smallest member."""
    parent: dict[Key, Key] = {}

    def root(key: Key) -> Key:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for members in sets:
        for key in members:
            first, second = sorted((root(members[0]), root(key)))
            parent[second] = first
    return {key: ":".join(root(key)) for key in list(parent)}


def resolve_wanted(connection: Connection, ids: Sequence[str]) -> tuple[list[WantedMarket], list[str]]:
    """Return the markets that any of their ids name, each a component of its own, and the ids nobody knows."""
    rows = connection.execute(
        """SELECT DISTINCT i.id, m.venue, m.market_id, v.event_id,
               coalesce(v.terms ->> 'yes_token', '') AS yes_token, coalesce(v.terms ->> 'no_token', '') AS no_token
           FROM (SELECT id, venue, market_id FROM raw.market_ids WHERE id = ANY(%(ids)s)
                 UNION SELECT market_id, venue, market_id FROM raw.market_state WHERE market_id = ANY(%(ids)s)) AS i
           JOIN raw.market_state AS m ON m.venue = i.venue AND m.market_id = i.market_id
           JOIN raw.market_versions AS v ON v.version_id = m.version_id
           WHERE m.venue <> 'polymarket' OR (v.terms ->> 'yes_token' <> '' AND v.terms ->> 'no_token' <> '')""",
        {"ids": list(ids)},
    ).fetchall()
    found = {
        (row["venue"], row["market_id"]): WantedMarket(
            Venue(row["venue"]),
            row["market_id"],
            row["event_id"],
            row["yes_token"],
            row["no_token"],
            market_key(row["venue"], row["market_id"]),
        )
        for row in rows
    }
    known = {row["id"] for row in rows}
    return list(found.values()), [name for name in ids if name not in known]


# -- the watch list of people ------------------------------------------------------------------------------------------


def watch(connection: Connection, venue: Venue, market_id: str, added_by: str) -> bool:
    """Put a market on the watch list; returns whether it stands there now: False when there is no such market."""
    added = connection.execute(
        """
        INSERT INTO trading.watch_list (venue, market_id, added_by, added_at)
        SELECT venue, market_id, %(who)s, %(now)s FROM raw.market_state
        WHERE venue = %(venue)s AND market_id = %(market_id)s
        ON CONFLICT DO NOTHING
        """,
        {"venue": venue, "market_id": market_id, "who": added_by, "now": read_clock(connection)},
    )
    there = "SELECT FROM trading.watch_list WHERE venue = %s AND market_id = %s"
    return added.rowcount > 0 or connection.execute(there, (venue, market_id)).fetchone() is not None


def unwatch(connection: Connection, venue: Venue, market_id: str) -> None:
    """Take a market off the watch list; nothing happens if it is not on it."""
    connection.execute("DELETE FROM trading.watch_list WHERE venue = %s AND market_id = %s", (venue, market_id))


def watched_among(connection: Connection, markets: Sequence[Key]) -> set[Key]:
    """Return those of the markets (venue, market id) that are on the watch list."""
    rows = connection.execute(
        """SELECT venue, market_id FROM trading.watch_list
           WHERE (venue, market_id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))""",
        ([venue for venue, _ in markets], [market_id for _, market_id in markets]),
    )
    return {(row["venue"], row["market_id"]) for row in rows}


# -- whose price history is loaded -------------------------------------------------------------------------------------

_HISTORY = """
SELECT s.market_id, v.series_id, coalesce(v.terms ->> 'yes_token', '') AS yes_token,
    coalesce(p.is_paired, false) AS is_paired
FROM raw.market_state AS s JOIN raw.market_versions AS v USING (version_id)
LEFT JOIN (SELECT {side}_market_id AS market_id, true AS is_paired FROM trading.pair_states
    WHERE state IN ('approved', 'proposed') GROUP BY 1) AS p ON p.market_id = s.market_id
LEFT JOIN (SELECT DISTINCT {side}_market_id AS market_id FROM trading.pair_candidates) AS c
    ON c.market_id = s.market_id
WHERE s.venue = %(venue)s AND s.status IN ('open', 'paused', 'closed') AND v.open_time < %(before)s
ORDER BY is_paired DESC, c.market_id IS NOT NULL DESC, s.market_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class HistoryMarket:
    """A market whose price history is worth loading, with what its venue's history is asked by."""

    market_id: str
    series_id: str
    yes_token: str
    is_paired: bool


def history_markets(connection: Connection, venue: Venue, limit: int, before: datetime) -> list[HistoryMarket]:
    """Return markets whose history is worth loading: pairs first, then candidates, then the rest by id."""
    query = _HISTORY.format(side=str(venue))
    return fetch_all(connection, HistoryMarket, query, {"venue": str(venue), "limit": limit, "before": before})
