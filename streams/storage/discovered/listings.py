"""Discovered markets, events, series and ids: batches in, counts out. A version row is written only on a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.market.listing import DiscoveredMarket, Listing, MarketTerms, text_hash, version_hash
from streams.storage.database import Connection, fetch_all, save_each

_INSERT_VERSION = """
INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, series_id, title, subtitle,
    event_title, rules, category, outcomes, yes_means, strike, open_time, close_time, expected_settle_time, status,
    terms, derived_fields, payload, seen_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_UPSERT_STATE = """
INSERT INTO raw.market_state AS s (venue, market_id, version_id, status, result, settlement_e4, volatile,
    first_seen_at, last_seen_at)
VALUES (%(venue)s, %(market_id)s, (SELECT max(version_id) FROM raw.market_versions AS v
        WHERE v.venue = %(venue)s AND v.market_id = %(market_id)s),
    %(status)s, %(result)s, %(settlement_e4)s, %(volatile)s, %(seen_at)s, %(seen_at)s)
ON CONFLICT (venue, market_id) DO UPDATE SET version_id = excluded.version_id, status = excluded.status,
    result = excluded.result, settlement_e4 = excluded.settlement_e4, volatile = excluded.volatile,
    last_seen_at = excluded.last_seen_at
"""
_UPSERT_EVENT = """
INSERT INTO raw.events (venue, event_id, series_id, title, category, is_exclusive, payload, first_seen_at, last_seen_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (venue, event_id) DO UPDATE SET series_id = excluded.series_id, title = excluded.title,
    category = excluded.category, is_exclusive = excluded.is_exclusive, payload = excluded.payload,
    last_seen_at = excluded.last_seen_at
"""
_UPSERT_SERIES = """
INSERT INTO raw.series (venue, series_id, title, category, fee_schedule, payload, first_seen_at, last_seen_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (venue, series_id) DO UPDATE SET title = excluded.title, category = excluded.category,
    fee_schedule = excluded.fee_schedule, payload = excluded.payload, last_seen_at = excluded.last_seen_at
"""
_LOAD = """
SELECT v.venue, v.market_id, v.text_hash, v.event_id, v.title, v.subtitle, v.event_title, v.rules, v.category,
    v.outcomes, v.yes_means, v.strike, v.close_time, v.expected_settle_time, v.terms, s.status
FROM raw.market_state AS s JOIN raw.market_versions AS v USING (version_id)
"""


@dataclass
class ListingCounts:
    """What one batch of markets changed. `by_status` counts the markets seen.

    `refused` are markets that are not stored, each with the reason.
    """

    seen: int = 0
    new: int = 0
    changed: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    new_ids: list[str] = field(default_factory=list)
    changed_ids: list[str] = field(default_factory=list)
    refused: list[tuple[DiscoveredMarket, str]] = field(default_factory=list)

    def add(self, other: ListingCounts) -> None:
        """Add another batch's counts to these."""
        self.seen += other.seen
        self.new += other.new
        self.changed += other.changed
        self.by_status.update(other.by_status)
        self.new_ids += other.new_ids
        self.changed_ids += other.changed_ids
        self.refused += other.refused


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as last seen; `payload` is the venue's JSON without its nested markets."""

    venue: Venue
    event_id: str
    series_id: str
    title: str
    category: str
    is_exclusive: bool
    payload: JsonDocument


@dataclass(frozen=True, slots=True)
class StoredMarket:
    """One market as the database has it now."""

    listing: Listing
    text_hash: str
    terms: MarketTerms
    status: str
    expected_settle_time: datetime | None


@dataclass(frozen=True, slots=True)
class _MarketRow:
    """A market's current version and status, as `_LOAD` reads them."""

    venue: str
    market_id: str
    text_hash: str
    event_id: str
    title: str
    subtitle: str
    event_title: str
    rules: str
    category: str
    outcomes: list[str]
    yes_means: str
    strike: dict[str, str] | None
    close_time: datetime | None
    expected_settle_time: datetime | None
    terms: JsonDocument
    status: str

    def stored_market(self) -> StoredMarket:
        listing = Listing(
            venue=Venue(self.venue),
            market_id=self.market_id,
            event_id=self.event_id,
            title=self.title,
            subtitle=self.subtitle,
            event_title=self.event_title,
            rules=self.rules,
            close_time=self.close_time,
            outcomes=(self.outcomes[0], self.outcomes[1]),
            yes_means=self.yes_means,
            strike=self.strike,
            category=self.category,
        )
        price_ranges = tuple(tuple(part) for part in self.terms.get("price_ranges", ()))
        terms = MarketTerms(**{**self.terms, "price_ranges": price_ranges})
        return StoredMarket(listing, self.text_hash, terms, self.status, self.expected_settle_time)


def save_markets(connection: Connection, markets: Sequence[DiscoveredMarket], seen_at: datetime) -> ListingCounts:
    """Write a batch; a market that occurs twice is taken as it was last.

    Refused are markets that the database cannot hold, and those that claim a token of another market.
    """
    latest = list({(m.listing.venue, m.listing.market_id): m for m in markets}.values())
    counts = ListingCounts()
    if not latest:
        return counts
    with connection.transaction():
        own, claiming = _by_claim(connection, latest)
        batches, unheld = save_each(connection, own, lambda some: _save_batch(connection, some, seen_at))
    for batch in batches:
        counts.add(batch)
    counts.refused = claiming + unheld
    return counts


def _by_claim(
    connection: Connection, markets: Sequence[DiscoveredMarket]
) -> tuple[list[DiscoveredMarket], list[tuple[DiscoveredMarket, str]]]:
    """Return the markets whose tokens are theirs, and those that name a token of another market."""
    tokens = {(str(m.listing.venue), token) for m in markets for kind, token in m.ids if kind == "token"}
    rows = connection.execute(
        "SELECT venue, id, market_id FROM raw.market_ids WHERE id_kind = 'token' AND id = ANY(%s)",
        ([token for _, token in tokens],),
    ).fetchall()
    owners = {(row["venue"], row["id"]): row["market_id"] for row in rows if (row["venue"], row["id"]) in tokens}
    own: list[DiscoveredMarket] = []
    claiming: list[tuple[DiscoveredMarket, str]] = []
    for market in markets:
        venue, market_id = str(market.listing.venue), market.listing.market_id
        theirs = [(venue, token) for kind, token in market.ids if kind == "token"]
        others = {owners.get(token, market_id) for token in theirs} - {market_id}
        if others:
            claiming.append((market, f"its token belongs to {min(others)}"))
            continue
        owners.update(dict.fromkeys(theirs, market_id))
        own.append(market)
    return own, claiming


def _save_batch(connection: Connection, markets: Sequence[DiscoveredMarket], seen_at: datetime) -> ListingCounts:
    counts = ListingCounts(seen=len(markets), by_status=Counter(market.status for market in markets))
    latest = {(market.listing.venue, market.listing.market_id): market for market in markets}
    with connection.cursor() as cursor:
        known = _known_hashes(connection, [key[1] for key in latest])
        changed = []
        for key, market in latest.items():
            digest, before = version_hash(market), known.get((str(key[0]), key[1]))
            if digest == before:
                continue
            changed.append(_version_row(market, digest, seen_at))
            (counts.changed_ids if before else counts.new_ids).append(key[1])
        counts.new, counts.changed = len(counts.new_ids), len(counts.changed_ids)
        cursor.executemany(_INSERT_VERSION, changed)
        states = [
            {
                "venue": market.listing.venue,
                "market_id": market.listing.market_id,
                "status": market.status,
                "result": market.result,
                "settlement_e4": market.settlement_e4,
                "volatile": Jsonb(market.volatile),
                "seen_at": seen_at,
            }
            for market in latest.values()
        ]
        cursor.executemany(_UPSERT_STATE, states)
        fresh = {*counts.new_ids, *counts.changed_ids}
        cursor.executemany(
            "INSERT INTO raw.market_ids (venue, id_kind, id, market_id) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (venue, id_kind, id) DO UPDATE SET market_id = excluded.market_id",
            [row for market in latest.values() if market.listing.market_id in fresh for row in _id_rows(market)],
        )
    return counts


@dataclass(frozen=True, slots=True)
class Kept:
    """How many of a batch are stored, and the venue's JSON of those that the database cannot hold, with the reason."""

    count: int
    refused: list[tuple[JsonDocument, str]]


def save_events(connection: Connection, events: Iterable[EventRow], seen_at: datetime) -> Kept:
    """Write events as last seen."""
    rows = list({(event.venue, event.event_id): event for event in events}.values())

    def save(some: Sequence[EventRow]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                _UPSERT_EVENT, [(*astuple(event)[:6], Jsonb(event.payload), seen_at, seen_at) for event in some]
            )

    _, unheld = save_each(connection, rows, save)
    return Kept(len(rows) - len(unheld), [(event.payload, reason) for event, reason in unheld])


def save_series(connection: Connection, venue: Venue, series: Iterable[JsonDocument], seen_at: datetime) -> Kept:
    """Write series from the venue's JSON (`ticker`, `title`, `category`, fee fields); the first is a text."""

    def save(some: Sequence[JsonDocument]) -> None:
        rows = []
        for item in some:
            fees = {name: item[name] for name in ("fee_type", "fee_multiplier") if item.get(name) is not None}
            shown = (item.get("title"), item.get("category"))
            title, category = (text if isinstance(text, str) else "" for text in shown)
            rows.append((venue, item["ticker"], title, category, Jsonb(fees), Jsonb(item), seen_at, seen_at))
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT_SERIES, rows)

    items = list(series)
    _, unheld = save_each(connection, items, save)
    return Kept(len(items) - len(unheld), unheld)


def load_markets(
    connection: Connection,
    *,
    venue: Venue | None = None,
    statuses: Sequence[str] = ("unopened", "open", "paused"),
    market_ids: Sequence[str] | None = None,
) -> list[StoredMarket]:
    """Return the current version of markets, ordered by venue and id; `market_ids` narrows the choice."""
    query, values = _LOAD + " WHERE s.status = ANY(%s)", list[Any]([list(statuses)])
    if venue is not None:
        query += " AND s.venue = %s"
        values.append(str(venue))
    if market_ids is not None:
        query += " AND s.market_id = ANY(%s)"
        values.append(list(market_ids))
    rows = fetch_all(connection, _MarketRow, query + " ORDER BY v.venue, v.market_id", values)
    return [row.stored_market() for row in rows]


def load_events(connection: Connection, venue: Venue, event_ids: Sequence[str]) -> dict[str, JsonDocument]:
    """Return the payloads of known events by id."""
    rows = connection.execute(
        "SELECT event_id, payload FROM raw.events WHERE venue = %s AND event_id = ANY(%s)", (venue, list(event_ids))
    ).fetchall()
    return {row["event_id"]: row["payload"] for row in rows}


def load_series(connection: Connection, venue: Venue) -> dict[str, JsonDocument]:
    """Return the payloads of all known series by id."""
    rows = connection.execute("SELECT series_id, payload FROM raw.series WHERE venue = %s", (venue,)).fetchall()
    return {row["series_id"]: row["payload"] for row in rows}


def unfinished_markets(connection: Connection, venue: Venue, seen_before: datetime, limit: int) -> list[str]:
    """Return ids of markets past their close that are not settled and were not seen since `seen_before`.

    Where there are more than `limit`, any of them: those that the venue never shows again must not keep out the others.
    """
    rows = connection.execute(
        "SELECT s.market_id FROM raw.market_state AS s JOIN raw.market_versions AS v USING (version_id)"
        " WHERE s.venue = %s AND s.last_seen_at < %s AND s.status <> 'settled' AND v.close_time < now()"
        " ORDER BY random() LIMIT %s",
        (venue, seen_before, limit),
    ).fetchall()
    return [row["market_id"] for row in rows]


def count_gone(connection: Connection, venue: Venue, seen_before: datetime) -> int:
    """Count open markets that a full sweep which began at `seen_before` did not see."""
    row = connection.execute(
        "SELECT count(*) AS gone FROM raw.market_state WHERE venue = %s AND status = 'open' AND last_seen_at < %s",
        (venue, seen_before),
    ).fetchone()
    return int(row["gone"]) if row else 0


def _known_hashes(connection: Connection, market_ids: list[str]) -> dict[tuple[str, str], str]:
    rows = connection.execute(
        "SELECT s.venue, s.market_id, v.version_hash FROM raw.market_state AS s"
        " JOIN raw.market_versions AS v USING (version_id) WHERE s.market_id = ANY(%s)",
        (market_ids,),
    ).fetchall()
    return {(row["venue"], row["market_id"]): row["version_hash"] for row in rows}


def _version_row(market: DiscoveredMarket, digest: str, seen_at: datetime) -> tuple[Any, ...]:
    listing, terms = market.listing, market.terms
    return (
        listing.venue, listing.market_id, digest, text_hash(listing), listing.event_id, terms.series_id, listing.title,
        listing.subtitle, listing.event_title, listing.rules, listing.category, Jsonb(list(listing.outcomes)),
        listing.yes_means, Jsonb(listing.strike) if listing.strike is not None else None, market.open_time,
        listing.close_time, market.expected_settle_time, market.status, Jsonb(asdict(terms)),
        list(market.derived_fields), Jsonb(market.payload), seen_at,
    )  # fmt: skip


def _id_rows(market: DiscoveredMarket) -> list[tuple[str, str, str, str]]:
    venue, market_id = market.listing.venue, market.listing.market_id
    return [(venue, kind, value, market_id) for kind, value in dict.fromkeys(market.ids) if value]
