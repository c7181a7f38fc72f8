"""What a dead run left: its segments are read from their beginning, and rows beyond the watermark are written.

A segment begins with the state of all books, so that its records rebuild every derived row (sizes after a change,
quotes) exactly as the dead run would have written them. The rows' transaction moves the watermark; the last one closes
the segment, so that nothing is written twice however often this is interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from streams.logs import get_logger
from streams.recorder.books import ParserFactory
from streams.recorder.pipeline import Pipeline
from streams.storage.database import Connection, Row
from streams.storage.recording import RowBatch, commit_batch, unfinished_segments
from streams.storage.segments import MAGIC, Record, RecordKind, SegmentReader

_BATCH_ROWS = 10_000


@dataclass
class ReplaySummary:
    """What a replay found: segments, frames written now, damaged tails, and segments whose file is gone."""

    segments: int = 0
    frames: int = 0
    damaged: int = 0
    missing: int = 0


def replay_dead_segments(connection: Connection, shard: int, parsers: Mapping[str, ParserFactory]) -> ReplaySummary:
    """Finish all segments of a shard that are not closed. The caller holds the shard's lease.

    The end of the last one is the end of the dead run: its books become stale and their coverage a gap `killed` from
    the last record on, which ends when a recorder has the book again.
    """
    summary = ReplaySummary()
    found = unfinished_segments(connection, shard)
    with_records = [row["segment_id"] for row in found if _has_records(Path(row["path"]))]
    for row in found:
        _replay(connection, row, parsers, summary, is_last=row["segment_id"] == max(with_records, default=None))
        summary.segments += 1
    if found:
        get_logger(shard=shard).info("segments of a dead run replayed", **vars(summary))
    return summary


def _has_records(path: Path) -> bool:
    return path.exists() and path.stat().st_size > len(MAGIC)


def _replay(
    connection: Connection, row: Row, parsers: Mapping[str, ParserFactory], summary: ReplaySummary, *, is_last: bool
) -> None:
    path = Path(row["path"])
    shard, run_id, watermark = row["shard"], row["run_id"], row["committed_offset"]
    if not path.exists():
        summary.missing += 1
        _close_without_file(connection, row)
        return
    pipeline = Pipeline(parsers)
    pipeline.begin(row["segment_id"], watermark, watermark)
    reader = SegmentReader(path)
    for record in reader:
        pipeline.consume(record)
        if record.end <= watermark:
            pipeline.take()
            pipeline.begin(row["segment_id"], watermark, watermark)
        elif pipeline.pending_rows >= _BATCH_ROWS:
            summary.frames += _commit(connection, shard, run_id, pipeline.take())
    if reader.damage:
        summary.damaged += 1
    if is_last:
        _end_run(pipeline, reader.end)
    batch = pipeline.take()
    batch.end_offset = max(batch.end_offset, watermark)
    batch.is_last = True
    summary.frames += _commit(connection, shard, run_id, batch)
    if reader.end == len(MAGIC):
        path.unlink(missing_ok=True)


def _end_run(pipeline: Pipeline, end: int) -> None:
    body = orjson.dumps({"cause": "killed"})
    for number, state in list(pipeline.connections.items()):
        at_ns = pipeline.last_received_ns
        pipeline.consume(Record(end, end, RecordKind.CLOSED, state.venue, number, at_ns, body))


def _commit(connection: Connection, shard: int, run_id: str, batch: RowBatch) -> int:
    return batch.frames if commit_batch(connection, shard, run_id, batch) else 0


def _close_without_file(connection: Connection, row: Row) -> None:
    get_logger(shard=row["shard"]).error("a segment's file is gone", segment_id=row["segment_id"], path=row["path"])
    with connection.transaction():
        connection.execute(
            "UPDATE raw.segments SET closed_at = clock_timestamp() WHERE segment_id = %s", (row["segment_id"],)
        )
        connection.execute(
            """WITH ended AS (
                   UPDATE raw.coverage AS c SET ended_at = greatest(c.started_at, s.opened_at) FROM raw.segments AS s
                   WHERE s.segment_id = %s AND c.shard = s.shard AND c.ended_at IS NULL RETURNING c.*, s.opened_at)
               INSERT INTO raw.coverage (shard, venue, market_id, state, cause, started_at, run_id)
               SELECT shard, venue, market_id, 'gap', 'segment_lost', ended_at, run_id FROM ended""",
            (row["segment_id"],),
        )
