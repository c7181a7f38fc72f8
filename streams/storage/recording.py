"""The recorder's writes: segments, and batches of rows that are in the database exactly once.

A batch holds the rows of the frames between two offsets of one segment. Its transaction first moves the segment's
watermark from the start to the end and only then copies the rows, so that a batch sent twice, or by a recorder that was
replaced meanwhile, changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from datetime import date, datetime
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from streams.market.errors import PermanentError
from streams.market.identity import Venue
from streams.storage.coverage import CoverageChange, apply_changes
from streams.storage.database import ROW_REFUSED, Connection, fetch_all
from streams.storage.partitions import PARTITIONED_TABLES, TableDay, ensure_days

_COLUMNS = {
    "book_deltas": (
        "received_at, venue, market_id, side, price_e4, size_change_e6, size_after_e6, venue_sent_at, venue_seq, "
        "segment_id, frame_offset, entry_index, payload"
    ),
    "book_snapshots": (
        "received_at, venue, market_id, reason, difference, bids, asks, venue_sent_at, venue_seq, venue_hash, "
        "segment_id, frame_offset, is_polled"
    ),
    "quotes": (
        "received_at, venue, market_id, bid_e4, bid_size_e6, ask_e4, ask_size_e6, state, segment_id, frame_offset, "
        "is_polled"
    ),
    "trades": (
        "received_at, venue, market_id, trade_id, price_e4, size_e6, taker_outcome, venue_sent_at, segment_id, "
        "frame_offset, payload"
    ),
    "lifecycle_events": (
        "received_at, venue, market_id, kind, result, settlement_e4, segment_id, frame_offset, payload"
    ),
    "dead_letters": "received_at, venue, source, reason, raw, segment_id, frame_offset",
}
TABLES = tuple(_COLUMNS)
_DAY_ATTEMPTS = 3


class WatermarkMoved(PermanentError):
    """The segment was closed or moved on by another recorder: this one was replaced and must stop."""


@dataclass(slots=True)
class RowBatch:
    """Rows of the records in [start_offset, end_offset) of one segment, as lines of COPY's text format by table.

    `is_in_segment_only`: it holds no rows, because the database was away for too long to keep them.
    """

    segment_id: int
    start_offset: int
    end_offset: int
    lines: dict[str, list[str]] = field(default_factory=lambda: {table: [] for table in TABLES})
    coverage: list[CoverageChange] = field(default_factory=list)
    venue_frames: Counter[Venue] = field(default_factory=Counter)
    is_last: bool = False
    is_in_segment_only: bool = False

    def leave_to_segment(self) -> None:
        """Forget the rows: they are made anew from the segment when they are written."""
        self.lines = {table: [] for table in TABLES}
        self.coverage = []
        self.is_in_segment_only = True

    @property
    def frames(self) -> int:
        """How many frames of all venues it holds."""
        return self.venue_frames.total()

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(map(len, self.lines.values()))

    def may_be_extended_by(self, later: RowBatch) -> bool:
        """Whether the batch that follows can be written together with this one."""
        return (later.segment_id, later.is_in_segment_only) == (self.segment_id, self.is_in_segment_only)

    def extend(self, later: RowBatch) -> None:
        """Append the batch that follows this one in the same segment."""
        for table, lines in later.lines.items():
            self.lines[table].extend(lines)
        self.coverage.extend(later.coverage)
        self.venue_frames += later.venue_frames
        self.end_offset = later.end_offset
        self.is_last = later.is_last


def open_segment(connection: Connection, shard: int, run_id: str, path: Path, now: datetime, start_offset: int) -> int:
    """Register a segment file and return its id, however often. Its watermark starts at `start_offset`."""
    row = connection.execute(
        """INSERT INTO raw.segments (shard, run_id, path, opened_at, committed_offset, bytes_written)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (path) DO UPDATE SET path = excluded.path
           RETURNING segment_id""",
        (shard, run_id, str(path), now, start_offset, start_offset),
    ).fetchone()
    assert row is not None
    return int(row["segment_id"])


@dataclass(frozen=True, slots=True)
class UnfinishedSegment:
    """A segment that was not closed; rows of its records up to `committed_offset` are in the database."""

    segment_id: int
    shard: int
    run_id: str
    path: str
    committed_offset: int


def unfinished_segments(connection: Connection, shard: int) -> list[UnfinishedSegment]:
    """Return the segments of a recorder shard that were not closed, oldest first."""
    return fetch_all(
        connection,
        UnfinishedSegment,
        """SELECT segment_id, shard, run_id, path, committed_offset FROM raw.segments
           WHERE shard = %s AND closed_at IS NULL ORDER BY segment_id""",
        (shard,),
    )


def close_lost_segment(connection: Connection, segment_id: int) -> None:
    """Close a segment whose file is gone or cannot be used; what its shard had open becomes a gap `segment_lost`."""
    with connection.transaction():
        connection.execute("UPDATE raw.segments SET closed_at = clock_timestamp() WHERE segment_id = %s", (segment_id,))
        connection.execute(
            """WITH ended AS (
                   UPDATE raw.coverage AS c SET ended_at = greatest(c.started_at, s.opened_at) FROM raw.segments AS s
                   WHERE s.segment_id = %s AND c.shard = s.shard AND c.ended_at IS NULL RETURNING c.*, s.opened_at)
               INSERT INTO raw.coverage (shard, venue, market_id, state, cause, started_at, run_id)
               SELECT shard, venue, market_id, 'gap', 'segment_lost', ended_at, run_id FROM ended""",
            (segment_id,),
        )


def unfinished_shards(connection: Connection) -> list[int]:
    """Return the recorder shards that have segments which were not closed."""
    rows = connection.execute("SELECT DISTINCT shard FROM raw.segments WHERE closed_at IS NULL ORDER BY 1")
    return [int(row["shard"]) for row in rows]


def commit_batch(connection: Connection, shard: int, run_id: str, batch: RowBatch) -> bool:
    """Write a batch and move the watermark over it, in one transaction; the days of its rows are made before.

    Returns:
        False when the watermark shows that this very batch was committed before; nothing is written then.

    Raises:
        WatermarkMoved: If the segment is at neither end of the batch, or closed.
        TransientError: If the days cannot be made now.
    """
    days = _days(batch)
    for _ in range(_DAY_ATTEMPTS - 1):
        ensure_days(connection, days)
        # An old day may be dropped at this very moment; then it is made again.
        with suppress(psycopg.errors.CheckViolation):
            return _commit(connection, shard, run_id, batch)
    ensure_days(connection, days)
    return _commit(connection, shard, run_id, batch)


def _days(batch: RowBatch) -> set[TableDay]:
    """Return the days of a batch's rows; a line without one is left to the server to refuse."""
    texts = {(table, line[:10]) for table in PARTITIONED_TABLES for line in batch.lines[table]}
    days = set()
    for table, text in texts:
        with suppress(ValueError):
            days.add(TableDay(table, date.fromisoformat(text)))
    return days


def _commit(connection: Connection, shard: int, run_id: str, batch: RowBatch) -> bool:
    with connection.transaction():
        row = connection.execute(
            "SELECT committed_offset, closed_at, venue_frames FROM raw.segments WHERE segment_id = %s FOR UPDATE",
            (batch.segment_id,),
        ).fetchone()
        if row is None:
            raise WatermarkMoved(f"segment {batch.segment_id} is not registered")
        is_closed = row["closed_at"] is not None
        at_end = row["committed_offset"] == batch.end_offset and is_closed == batch.is_last
        if at_end and (is_closed or batch.end_offset > batch.start_offset):
            return False
        if is_closed or row["committed_offset"] != batch.start_offset:
            raise WatermarkMoved(f"segment {batch.segment_id} was finished by another recorder")
        connection.execute(
            """UPDATE raw.segments SET committed_offset = %s, bytes_written = %s, frames = frames + %s,
                   venue_frames = %s, deltas = deltas + %s,
                   closed_at = CASE WHEN %s THEN clock_timestamp() END WHERE segment_id = %s""",
            (
                batch.end_offset,
                batch.end_offset,
                batch.frames,
                Jsonb(batch.venue_frames + Counter(row["venue_frames"])),
                len(batch.lines["book_deltas"]),
                batch.is_last,
                batch.segment_id,
            ),
        )
        for table, lines in batch.lines.items():
            if lines:
                _copy_or_dead_letter(connection, table, lines)
        if batch.coverage:
            apply_changes(connection, shard, run_id, batch.coverage)
    return True


def _copy_or_dead_letter(connection: Connection, table: str, lines: Sequence[str]) -> None:
    """Copy lines; where the server refuses one, halve until it stands alone and keep it as a dead letter."""
    try:
        with connection.transaction():
            _copy(connection, table, lines)
    except ROW_REFUSED as error:
        if len(lines) > 1:
            middle = len(lines) // 2
            _copy_or_dead_letter(connection, table, lines[:middle])
            _copy_or_dead_letter(connection, table, lines[middle:])
            return
        received_at, venue, _rest = lines[0].split("\t", 2)
        connection.execute(
            "INSERT INTO raw.dead_letters (received_at, venue, source, reason, raw) VALUES (%s, %s, 'socket', %s, %s)",
            (received_at, venue, f"row of {table} refused: {error.diag.message_primary}", lines[0].encode()),
        )


def _copy(connection: Connection, table: str, lines: Sequence[str]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY raw.{table} ({_COLUMNS[table]}) FROM STDIN") as copy:
        copy.write("".join(lines))


@dataclass(frozen=True, slots=True)
class ConnectionAttempt:
    """An attempt to connect to a venue; `is_polled`: the books will be asked for over REST."""

    connection_id: str
    shard: int
    venue: Venue
    run_id: str
    started_at: datetime
    is_polled: bool = False


def open_connection(connection: Connection, attempt: ConnectionAttempt) -> None:
    """Note an attempt to connect."""
    connection.execute(
        """INSERT INTO raw.connections (connection_id, shard, venue, run_id, started_at, is_polled)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (connection_id) DO NOTHING""",
        astuple(attempt),
    )


def note_connected(connection: Connection, connection_id: str, at: datetime) -> None:
    """Note that an attempt succeeded."""
    connection.execute("UPDATE raw.connections SET connected_at = %s WHERE connection_id = %s", (at, connection_id))


def end_connection(connection: Connection, connection_id: str, at: datetime, frames: int, reason: str) -> None:
    """Note the end of a connection or of a failed attempt, with its cause in a few words."""
    connection.execute(
        "UPDATE raw.connections SET ended_at = %s, frames = %s, end_reason = %s WHERE connection_id = %s",
        (at, frames, reason, connection_id),
    )


def end_killed_connections(connection: Connection, shard: int, run_id: str, at: datetime) -> None:
    """Note the end of connections that other runs of this shard left open."""
    connection.execute(
        """UPDATE raw.connections SET ended_at = greatest(started_at, %s), end_reason = 'killed'
           WHERE shard = %s AND run_id <> %s AND ended_at IS NULL""",
        (at, shard, run_id),
    )
