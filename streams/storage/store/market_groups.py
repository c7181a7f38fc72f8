"""Market groups: written whole, ended when their reason is gone; and the terms of the markets in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Environment, MarketRef, Venue
from streams.market.listing import terms_from_json
from streams.market.trading import MarketGroup, MarketInfo
from streams.storage.database import Connection, fetch_all, fetch_int, fetch_one, read_clock

_UPSERT = """
INSERT INTO trading.groups AS g (group_id, kind, title, markets, outcomes, is_tradable, reason, resolves_at,
    environment, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (group_id) DO UPDATE SET title = excluded.title, markets = excluded.markets,
    outcomes = excluded.outcomes, is_tradable = excluded.is_tradable, reason = excluded.reason,
    resolves_at = excluded.resolves_at, updated_at = excluded.updated_at, ended_at = NULL
WHERE (g.title, g.markets, g.outcomes, g.is_tradable, g.reason, g.resolves_at, g.ended_at)
    IS DISTINCT FROM (excluded.title, excluded.markets, excluded.outcomes, excluded.is_tradable, excluded.reason,
    excluded.resolves_at, NULL::timestamptz)
"""


_GROUP_COLUMNS = """g.group_id, g.kind, g.markets, g.outcomes, g.is_tradable, g.ended_at,
    CASE g.kind WHEN 'pair' THEN p.state ELSE s.state END AS decision_state"""


@dataclass(frozen=True, slots=True)
class NewGroup:
    """One market group as it is to be stored; see `trading.groups`."""

    group_id: str
    kind: str
    title: str
    markets: tuple[tuple[str, str], ...]
    outcomes: list[Any]
    is_tradable: bool
    reason: str
    resolves_at: datetime | None


def save_groups(connection: Connection, groups: Sequence[NewGroup], environment: Environment) -> tuple[int, int]:
    """Write the groups there are now and end all others; returns (written or changed, ended)."""
    now = read_clock(connection)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            _UPSERT,
            [
                (g.group_id, g.kind, g.title, Jsonb([{"venue": venue, "market_id": id_} for venue, id_ in g.markets]),
                 Jsonb(g.outcomes), g.is_tradable, g.reason, g.resolves_at, environment, now)
                for g in groups
            ],
        )  # fmt: skip
        changed = max(cursor.rowcount, 0)
        ended = connection.execute(
            "UPDATE trading.groups SET ended_at = %s, updated_at = %s, is_tradable = false"
            " WHERE ended_at IS NULL AND environment = %s AND kind <> 'set' AND NOT group_id = ANY(%s)",
            (now, now, environment, [g.group_id for g in groups]),
        ).rowcount
        if changed or ended:
            # A hint at most: a queue that is full would fail what was written here.
            connection.execute("SELECT pg_notify('crossbook_wanted', '') WHERE pg_notification_queue_usage() < 0.5")
    return changed, ended


def load_groups(connection: Connection) -> list[MarketGroup]:
    """Return the market groups that have not ended. A pair's group is recognised by its two markets."""
    return fetch_all(
        connection,
        _group,
        f"""SELECT {_GROUP_COLUMNS} FROM trading.groups AS g
           LEFT JOIN trading.pair_states AS p ON g.kind = 'pair'
               AND p.kalshi_market_id =
                   jsonb_path_query_first(g.markets, '$[*] ? (@.venue == "kalshi").market_id') #>> '{{}}'
               AND p.polymarket_market_id =
                   jsonb_path_query_first(g.markets, '$[*] ? (@.venue == "polymarket").market_id') #>> '{{}}'
           LEFT JOIN trading.group_states AS s ON g.kind <> 'pair' AND s.kind <> 'pair' AND s.group_id = g.group_id
           WHERE g.ended_at IS NULL ORDER BY g.group_id""",
    )


def load_group(connection: Connection, group_id: str) -> MarketGroup | None:
    """Return one market group, ended or not; None if there is none."""
    return fetch_one(
        connection,
        _group,
        f"""SELECT {_GROUP_COLUMNS} FROM trading.groups AS g
           LEFT JOIN trading.pair_states AS p ON g.kind = 'pair'
               AND g.markets @> jsonb_build_array(
                   jsonb_build_object('venue', 'kalshi', 'market_id', p.kalshi_market_id),
                   jsonb_build_object('venue', 'polymarket', 'market_id', p.polymarket_market_id))
           LEFT JOIN trading.group_states AS s ON g.kind <> 'pair' AND s.kind <> 'pair' AND s.group_id = g.group_id
           WHERE g.group_id = %s LIMIT 1""",
        (group_id,),
    )


def count_tradable_without_approval(connection: Connection, *, needs_approval: bool) -> int:
    """Return how many pair groups may be traded though their pair is not approved as it is now.

    Args:
        connection: To the warehouse.
        needs_approval: False where what the judge proposes is traded without one: on paper, outside of the sandbox.
    """
    states = ["approved"] if needs_approval else ["approved", "proposed"]
    return fetch_int(
        connection,
        """SELECT count(*) FROM trading.groups AS g
           LEFT JOIN trading.pair_states AS p ON g.group_id = 'pair:' || p.pair_id
           WHERE g.kind = 'pair' AND g.is_tradable AND g.ended_at IS NULL
             AND (p.state IS NULL OR p.state <> ALL(%s))""",
        (states,),
    )


def has_changed_text(connection: Connection, group: MarketGroup) -> bool | None:
    """Whether a market of a pair says something else by now than its pair, on which a decision stands.

    None where a text cannot be compared: the pair or a market of it is not known.
    """
    hashes = {
        row["key"]: row["text_hash"]
        for row in connection.execute(
            """SELECT s.venue || ':' || s.market_id AS key, v.text_hash
               FROM raw.market_state AS s JOIN raw.market_versions AS v USING (version_id)
               WHERE (s.venue || ':' || s.market_id) = ANY(%s)""",
            (group.market_keys,),
        )
    }
    ids = {market.venue: market.market_id for market in group.markets}
    row = connection.execute(
        """SELECT kalshi_text_hash, polymarket_text_hash FROM trading.pairs
           WHERE kalshi_market_id = %s AND polymarket_market_id = %s""",
        (ids.get(Venue.KALSHI), ids.get(Venue.POLYMARKET)),
    ).fetchone()
    if row is None or len(hashes) < len(group.markets):
        return None
    return any(hashes[market.key] != row[f"{market.venue}_text_hash"] for market in group.markets)


def load_market_infos(connection: Connection, keys: Sequence[str]) -> dict[str, MarketInfo]:
    """Return what is known of markets by "venue:market_id"; unknown ones are left out."""
    found = fetch_all(
        connection,
        _market_info,
        """SELECT v.venue, v.market_id, v.terms, s.status, v.close_time, v.expected_settle_time, s.settlement_e4,
               v.event_id, v.text_hash, v.category
           FROM raw.market_state AS s JOIN raw.market_versions AS v USING (version_id)
           WHERE (s.venue || ':' || s.market_id) = ANY(%s)""",
        (list(keys),),
    )
    return {market.key: market for market in found}


def _group(*, markets: Sequence[Mapping[str, str]], **columns: Any) -> MarketGroup:
    refs = tuple(MarketRef(Venue(market["venue"]), market["market_id"]) for market in markets)
    return MarketGroup(markets=refs, **columns)


def _market_info(*, venue: str, terms: JsonDocument, **columns: Any) -> MarketInfo:
    return MarketInfo(venue=Venue(venue), terms=terms_from_json(terms), **columns)
