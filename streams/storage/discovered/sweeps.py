"""Discovery sweeps: one row per run over one venue's list, with where the next incremental one starts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from psycopg.types.json import Jsonb

from streams.market.documents import storable_text
from streams.market.errors import IncompleteList, MalformedFrame, StreamsError
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.discovered.listings import ListingCounts

_LONGEST_REASON = 2_000
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
            None if error is None else storable_text(error),
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


def has_swept(connection: Connection) -> bool:
    """Return whether any sweep of any venue has begun and not failed."""
    row = connection.execute("SELECT 1 AS found FROM raw.discovery_sweeps WHERE error IS NULL LIMIT 1").fetchone()
    return row is not None


def is_list_whole(connection: Connection, venue: Venue) -> tuple[bool, list[int]]:
    """Return whether a venue's last full list has at least half of the markets of the one before it, and the counts.

    Returns:
        The answer (True with fewer than two full lists), and the markets seen in the last lists, newest first.
    """
    rows = connection.execute(
        "SELECT markets_seen FROM raw.discovery_sweeps WHERE venue = %s AND kind = 'full' AND error IS NULL"
        " AND ended_at IS NOT NULL ORDER BY sweep_id DESC LIMIT 2",
        (venue,),
    ).fetchall()
    seen = [int(row["markets_seen"]) for row in rows]
    return len(seen) < 2 or 2 * seen[0] >= seen[1], seen


def save_dead_letters(
    connection: Connection, venue: Venue, dead_letters: Sequence[tuple[bytes, str]], received_at: datetime
) -> None:
    """Keep list entries that do not parse: (bytes, reason)."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO raw.dead_letters (received_at, venue, source, reason, raw) VALUES (%s, %s, 'rest', %s, %s)",
            [(received_at, venue, storable_text(reason)[:_LONGEST_REASON], raw) for raw, reason in dead_letters],
        )


def save_dead_letters_once(
    connection: Connection, venue: Venue, unreadable: Sequence[MalformedFrame], received_at: datetime
) -> None:
    """Keep list entries that are read every few seconds: the same bytes once an hour."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO raw.dead_letters (received_at, venue, source, reason, raw)
               SELECT %(at)s, %(venue)s, 'rest', %(reason)s, %(raw)s WHERE NOT EXISTS (
                   SELECT FROM raw.dead_letters WHERE venue = %(venue)s AND raw = %(raw)s
                       AND received_at > %(at)s - interval '1 hour')""",
            [
                {
                    "at": received_at,
                    "venue": venue,
                    "reason": storable_text(letter.reason)[:_LONGEST_REASON],
                    "raw": letter.raw,
                }
                for letter in unreadable
            ],
        )


def keep_unreadable(connection: Connection, venue: Venue, error: StreamsError) -> None:
    """Keep the bytes of an answer, or of items of one, that could not be read; any other error is left alone.

    A person sees by them what trading could not read.
    """
    if isinstance(error, IncompleteList):
        save_dead_letters_once(connection, venue, error.unreadable, datetime.now(UTC))
    elif isinstance(error, MalformedFrame):
        save_dead_letters_once(connection, venue, [error], datetime.now(UTC))


_TOUCHED = """
SELECT v.version_id, v.venue, v.market_id,
    (v.text_hash, v.close_time) IS DISTINCT FROM (before.text_hash, before.close_time) AS is_new_question
FROM raw.market_versions AS v
LEFT JOIN LATERAL (
    SELECT text_hash, close_time FROM raw.market_versions AS p
    WHERE p.venue = v.venue AND p.market_id = v.market_id AND p.version_id < v.version_id
    ORDER BY p.version_id DESC LIMIT 1
) AS before ON true
WHERE v.version_id > %s
"""


def versions_after(connection: Connection, version_id: int) -> tuple[int, set[tuple[str, str]]]:
    """Return (highest version there is, markets a judge would see anew since `version_id`).

    A version that only changed its status, fees or price grid asks nothing new.
    """
    rows = connection.execute(_TOUCHED, (version_id,)).fetchall()
    highest = max((row["version_id"] for row in rows), default=version_id)
    return highest, {(row["venue"], row["market_id"]) for row in rows if row["is_new_question"]}
