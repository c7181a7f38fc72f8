"""Markets: the list with its filters, one market with its texts, and its prices over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from app.queries.rows import MartRows, Page, conditions, decode_cursor, fetch, fetch_mart, page_of
from streams.storage.database import Connection
from streams.storage.store.wanted import watched_among


@dataclass(frozen=True, slots=True)
class MarketRow:
    """One row per market. Prices in dollars per YES contract; `bid`, `ask` of the last quote of the last day.

    `is_polled`: that quote came by REST polling; null without a quote.
    """

    venue: str
    market_id: str
    event_id: str
    title: str
    subtitle: str
    event_title: str
    category: str
    status: str
    close_time: datetime | None
    result: str | None
    settlement_value: Decimal | None
    is_recorded: bool
    is_watched: bool
    bid: Decimal | None
    ask: Decimal | None
    quote_state: str | None
    quoted_at: datetime | None
    is_polled: bool | None


@dataclass(frozen=True, slots=True)
class MarketText:
    """The texts of one market as its venue states them now."""

    venue: str
    market_id: str
    event_id: str
    title: str
    subtitle: str
    event_title: str
    rules: str
    category: str
    yes_means: str
    outcomes: list[str]
    status: str
    close_time: datetime | None
    text_hash: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class PriceMinute:
    """One row per minute of one market, dollars per YES contract. Averages are null below enough observations."""

    minute: datetime
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal | None
    avg_15m: Decimal | None
    avg_60m: Decimal | None
    volatility_60m: Decimal | None
    observations: int | None
    source: str


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """One row per change of the best prices of one market; `is_polled`: read over REST, not streamed."""

    received_at: datetime
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    state: str
    is_polled: bool


_MARKETS = """
SELECT m.venue, m.market_id, m.event_id, m.title, m.subtitle, m.event_title, m.category, m.status, m.close_time,
    m.result, m.settlement_value, m.is_recording AS is_recorded,
    round(q.bid_e4 / 10000.0, 4) AS bid, round(q.ask_e4 / 10000.0, 4) AS ask, q.state AS quote_state,
    q.received_at AS quoted_at, q.is_polled
FROM (
    SELECT venue, market_id, event_id, title, subtitle, event_title, category, status, close_time, result,
        settlement_value, is_recording
    FROM analytics.markets {where} ORDER BY venue, market_id LIMIT %(rows)s
) AS m
LEFT JOIN LATERAL (
    SELECT bid_e4, ask_e4, state, received_at, is_polled FROM raw.quotes AS x
    WHERE m.is_recording AND x.market_id = m.market_id AND x.venue = m.venue
        AND x.received_at > now() - interval '1 day'
    ORDER BY x.received_at DESC, x.segment_id DESC NULLS LAST, x.frame_offset DESC NULLS LAST LIMIT 1
) AS q ON true
ORDER BY m.venue, m.market_id
"""

_FOUND = "SELECT l.venue, l.market_id FROM raw.market_lookup AS l WHERE l.words @@ %(words)s::tsquery"
_FOUND_MAX = 1_000
_IS_FOUND = """EXISTS (
    SELECT FROM raw.market_lookup AS l
    WHERE l.venue = markets.venue AND l.market_id = markets.market_id AND l.words @@ %(words)s::tsquery OFFSET 0
)"""
_IS_ONE_OF_THEM = """(venue, market_id) IN (
    SELECT x.venue, x.market_id FROM jsonb_to_recordset(%(found)s::jsonb) AS x (venue text, market_id text)
)"""
_HAS_SIGNS = """strpos(concat_ws(E'\\n', title, subtitle, event_title, market_id), %(signs)s) > 0"""


@dataclass(frozen=True, slots=True)
class MarketFilter:
    """Which markets are wanted; None and the defaults keep all. `search` looks in titles, events and ids, any case."""

    venue: str | None = None
    status: str | None = None
    category: str | None = None
    search: str = ""
    recorded_only: bool = False


ALL_MARKETS = MarketFilter()


def load_markets(
    connection: Connection, wanted: MarketFilter = ALL_MARKETS, *, limit: int = 100, cursor: str | None = None
) -> Page[MarketRow]:
    """Return the wanted markets in the order of (venue, market_id).

    `wanted.search` finds the markets whose title, subtitle, event or id hold, for each word of it, a word that begins
    with it, in any case and order; words are runs of letters and digits. A search without any, like `%`, finds the
    markets that have just that in one of these texts.

    Raises:
        InvalidCursor: If `cursor` is not one of this list.
    """
    after = decode_cursor(cursor, (str, str)) or (None, None)
    where, params = conditions(
        ("venue = %(venue)s", "venue", wanted.venue),
        ("status = %(status)s", "status", wanted.status),
        ("category = %(category)s", "category", wanted.category),
        ("is_recording", "recorded_only", wanted.recorded_only),
        *_look_up(connection, wanted.search.replace("\x00", "").strip()),
        ("(venue, market_id) > (%(after_venue)s, %(after_id)s)", "after_venue", after[0]),
    )
    params |= {"after_id": after[1], "rows": limit + 1}
    rows = connection.execute(_MARKETS.format(where=where), params).fetchall()
    watched = watched_among(connection, [(row["venue"], row["market_id"]) for row in rows])
    markets = [MarketRow(**row, is_watched=(row["venue"], row["market_id"]) in watched) for row in rows]
    return page_of(markets, limit, ("venue", "market_id"))


def load_categories(connection: Connection) -> list[str]:
    """Return the categories there are, sorted; each is found by one step in an index, not by reading all markets."""
    query = """
        WITH RECURSIVE found AS (
            (SELECT category FROM raw.market_lookup WHERE category > '' ORDER BY category LIMIT 1)
            UNION ALL
            SELECT (SELECT l.category FROM raw.market_lookup AS l WHERE l.category > f.category
                ORDER BY l.category LIMIT 1)
            FROM found AS f WHERE f.category IS NOT NULL
        )
        SELECT category FROM found WHERE category IS NOT NULL ORDER BY 1
    """
    return [str(row["category"]) for row in connection.execute(query)]


def load_market_text(connection: Connection, venue: str, market_id: str) -> MarketText | None:
    """Return the current texts of one market, or None if there is none of that id."""
    query = """
        SELECT v.venue, v.market_id, v.event_id, v.title, v.subtitle, v.event_title, v.rules, v.category, v.yes_means,
            v.outcomes, s.status, v.close_time, v.text_hash, v.seen_at
        FROM raw.market_state AS s JOIN raw.market_versions AS v ON v.version_id = s.version_id
        WHERE s.venue = %(venue)s AND s.market_id = %(market_id)s
    """
    found = fetch(connection, MarketText, query, {"venue": venue, "market_id": market_id})
    return found[0] if found else None


def load_prices(connection: Connection, venue: str, market_id: str, hours: int) -> MartRows[PriceMinute]:
    """Return the minutes of one market over the last `hours`, oldest first."""
    query = """
        SELECT r.minute, q.bid, q.ask, r.mid, r.avg_15m, r.avg_60m, r.volatility_60m, r.observations, r.source
        FROM analytics.rolling_prices AS r
        LEFT JOIN analytics.quotes_1m AS q
            ON q.venue = r.venue AND q.market_id = r.market_id AND q.minute = r.minute AND q.source = r.source
        WHERE r.venue = %(venue)s AND r.market_id = %(market_id)s
            AND r.minute > now() - make_interval(hours => %(hours)s)
        ORDER BY r.minute
    """
    return fetch_mart(connection, PriceMinute, query, {"venue": venue, "market_id": market_id, "hours": hours})


def load_recent_quotes(connection: Connection, venue: str, market_id: str, minutes: int = 30) -> list[QuoteRow]:
    """Return at most the last 2,000 quote changes of the last `minutes`, oldest first."""
    query = """
        SELECT * FROM (
            SELECT received_at, round(bid_e4 / 10000.0, 4) AS bid, round(bid_size_e6 / 1000000.0, 2) AS bid_size,
                round(ask_e4 / 10000.0, 4) AS ask, round(ask_size_e6 / 1000000.0, 2) AS ask_size, state,
                is_polled
            FROM raw.quotes
            WHERE market_id = %(market_id)s AND venue = %(venue)s
                AND received_at > now() - make_interval(mins => %(minutes)s)
            ORDER BY received_at DESC LIMIT 2000
        ) AS recent ORDER BY received_at
    """
    return fetch(connection, QuoteRow, query, {"venue": venue, "market_id": market_id, "minutes": minutes})


def _look_up(connection: Connection, search: str) -> list[tuple[str, str, Any]]:
    """Return the conditions of a search.

    The server cannot tell how many markets a beginning of a word fits. Few are looked up before the list is read; many
    are met soon by whoever goes through the markets in their order, one by one (OFFSET 0 has the server do so).
    """
    if not search:
        return []
    query = (
        "SELECT coalesce(raw.search_for(%(search)s)::text, '') AS words, raw.words_of(%(search)s) = '{}' AS is_signs"
    )
    row = connection.execute(query, {"search": search}).fetchone() or {}
    signs = (_HAS_SIGNS, "signs", search if row["is_signs"] else None)
    found = connection.execute(f"{_FOUND} LIMIT {_FOUND_MAX + 1}", {"words": row["words"]}).fetchall()
    if len(found) > _FOUND_MAX:
        return [(_IS_FOUND, "words", row["words"]), signs]
    return [(_IS_ONE_OF_THEM, "found", Jsonb(found)), signs]
