"""Discovery sweeps: one row per run over one venue's list, with where the next incremental one starts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from psycopg.types.json import Jsonb

from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.listings import ListingCounts

SweepKind = Literal["full", "incremental"]


def begin_sweep(connection: Connection, venue: Venue, kind: SweepKind, started_at: datetime) -> int:
    """Write the row of a sweep that starts and return its id."""
    row = connection.execute(
        "INSERT INTO raw.discovery_sweeps (venue, kind, started_at) VALUES (%s, %s, %s) RETURNING sweep_id",
        (venue, kind, started_at),
    ).fetchone()
    assert row is not None
    return int(row["sweep_id"])


def note_page(connection: Connection, sweep_id: int, cursor: str, counts: ListingCounts) -> None:
    """Note one more stored page and the cursor of the next one."""
    connection.execute(
        "UPDATE raw.discovery_sweeps SET pages = pages + 1, last_cursor = %s, markets_seen = %s, markets_new = %s,"
        " markets_changed = %s WHERE sweep_id = %s",
        (cursor, counts.seen, counts.new, counts.changed, sweep_id),
    )


def end_sweep(
    connection: Connection,
    sweep_id: int,
    counts: ListingCounts,
    *,
    ended_at: datetime,
    high_watermark: datetime | None,
    error: str | None = None,
) -> None:
    """Close a sweep; a failed one leaves no watermark."""
    connection.execute(
        "UPDATE raw.discovery_sweeps SET ended_at = %s, high_watermark = %s, markets_seen = %s, markets_new = %s,"
        " markets_changed = %s, status_counts = %s, error = %s WHERE sweep_id = %s",
        (
            ended_at,
            high_watermark,
            counts.seen,
            counts.new,
            counts.changed,
            Jsonb(dict(counts.by_status)),
            error,
            sweep_id,
        ),
    )


def last_watermark(connection: Connection, venue: Venue) -> datetime | None:
    """Return where the next incremental sweep starts; None before the first complete full one."""
    row = connection.execute(
        "SELECT max(high_watermark) AS mark, bool_or(kind = 'full') AS has_full FROM raw.discovery_sweeps"
        " WHERE venue = %s AND error IS NULL AND high_watermark IS NOT NULL",
        (venue,),
    ).fetchone()
    return row["mark"] if row and row["has_full"] else None
