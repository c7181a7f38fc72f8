"""Order books as recorded: the last snapshot of a market with the level changes since laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.queries.rows import fetch, scalar
from streams.market.identity import Side
from streams.market.units import price_decimal, size_decimal
from streams.storage.database import Connection, fetch_one

Level = tuple[Decimal, Decimal]
"""Price in dollars per YES contract, size in contracts."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    received_at: datetime
    bids: list[list[int]]
    asks: list[list[int]]
    segment_id: int | None
    frame_offset: int | None
    is_polled: bool


@dataclass(frozen=True, slots=True)
class _Change:
    side: Side
    price_e4: int
    size_after_e6: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class BookView:
    """One market's book in YES terms, best level first.

    Attributes:
        updated_at: Receipt of the last snapshot or level change that is in it.
        state: live | stale | crossed, as the recorder last said; 'unknown' without any quote.
        age_s: Seconds since `updated_at`, by the database's clock.
        is_polled: The book was asked for over REST every few seconds; what happened in between is not in it.
    """

    venue: str
    market_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    snapshot_at: datetime
    updated_at: datetime
    state: str
    age_s: float
    is_polled: bool


def load_book(connection: Connection, venue: str, market_id: str) -> BookView | None:
    """Return the current book of one market as recorded in the last day, or None if it was not recorded."""
    snapshot = fetch_one(
        connection,
        _Snapshot,
        """
        SELECT received_at, bids, asks, segment_id, frame_offset, is_polled FROM raw.book_snapshots
        WHERE market_id = %(market_id)s AND venue = %(venue)s AND received_at > now() - interval '1 day'
        ORDER BY received_at DESC, segment_id DESC NULLS LAST, frame_offset DESC NULLS LAST LIMIT 1
        """,
        {"venue": venue, "market_id": market_id},
    )
    if snapshot is None:
        return None
    changes = _changes_since(connection, venue, market_id, snapshot)
    sides: dict[Side, dict[int, int]] = {"bid": _as_levels(snapshot.bids), "ask": _as_levels(snapshot.asks)}
    for change in changes:
        sides[change.side][change.price_e4] = change.size_after_e6
    updated_at = max([snapshot.received_at, *(change.received_at for change in changes)])
    state = connection.execute(
        """
        SELECT state FROM raw.quotes
        WHERE market_id = %(market_id)s AND venue = %(venue)s AND received_at > now() - interval '1 day'
        ORDER BY received_at DESC, segment_id DESC NULLS LAST, frame_offset DESC NULLS LAST LIMIT 1
        """,
        {"venue": venue, "market_id": market_id},
    ).fetchone()
    age = scalar(connection, "SELECT extract(epoch FROM clock_timestamp() - %(at)s)", {"at": updated_at})
    return BookView(
        venue=venue,
        market_id=market_id,
        bids=_sorted_levels(sides["bid"], best_is_highest=True),
        asks=_sorted_levels(sides["ask"], best_is_highest=False),
        snapshot_at=snapshot.received_at,
        updated_at=updated_at,
        state="unknown" if state is None else str(state["state"]),
        age_s=max(0.0, float(age)),
        is_polled=snapshot.is_polled,
    )


def load_recorded_ids(connection: Connection, venue: str, after: str | None, limit: int) -> list[str]:
    """Return ids of the markets that are being recorded, in order, from after `after` on."""
    query = """
        SELECT DISTINCT market_id FROM raw.coverage
        WHERE ended_at IS NULL AND state = 'covered' AND venue = %(venue)s
            AND (%(after)s::text IS NULL OR market_id > %(after)s)
        ORDER BY market_id LIMIT %(rows)s
    """
    rows = connection.execute(query, {"venue": venue, "after": after, "rows": limit})
    return [str(row["market_id"]) for row in rows]


def _changes_since(connection: Connection, venue: str, market_id: str, snapshot: _Snapshot) -> list[_Change]:
    # The position in the segment decides where it is known: frames of one batch may share a time.
    query = """
        SELECT DISTINCT ON (side, price_e4) side, price_e4, size_after_e6, received_at
        FROM raw.book_deltas
        WHERE market_id = %(market_id)s AND venue = %(venue)s AND received_at >= %(received_at)s
            AND (%(segment_id)s::bigint IS NULL AND received_at > %(received_at)s
                OR (segment_id, frame_offset) > (%(segment_id)s::bigint, %(frame_offset)s::bigint))
        ORDER BY side, price_e4, received_at DESC, segment_id DESC, frame_offset DESC, entry_index DESC
    """
    params = {
        "venue": venue,
        "market_id": market_id,
        "received_at": snapshot.received_at,
        "segment_id": snapshot.segment_id,
        "frame_offset": snapshot.frame_offset,
    }
    return fetch(connection, _Change, query, params)


def _as_levels(pairs: list[list[int]]) -> dict[int, int]:
    return {int(price): int(size) for price, size in pairs}


def _sorted_levels(levels: dict[int, int], *, best_is_highest: bool) -> tuple[Level, ...]:
    ordered = sorted(levels.items(), reverse=best_is_highest)
    return tuple((price_decimal(price), size_decimal(size)) for price, size in ordered if size > 0)
