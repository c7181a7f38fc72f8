"""What a dead run left: its segments are read from their beginning, and rows beyond the watermark are written.

A segment begins with the state of all books, so that its records rebuild every derived row (sizes after a change,
quotes) exactly as the dead run would have written them. The rows' transaction moves the watermark; the last one closes
the segment, so that nothing is written twice however often this is interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from streams.logs import get_logger
from streams.market.errors import IntegrityError
from streams.recorder.books import Parser
from streams.recorder.pipeline import Pipeline
from streams.storage.database import Connection
from streams.storage.recording import RowBatch, UnfinishedSegment, close_lost_segment, commit_batch, unfinished_segments
from streams.storage.segments import MAGIC, Record, RecordKind, SegmentReader

_BATCH_ROWS = 10_000
_UNUSABLE = (IntegrityError, KeyError, ValueError, TypeError, AttributeError, IndexError)
"""What a file raises that is no segment, or was written by another version."""


@dataclass
class ReplaySummary:
    """What a replay found.

    Attributes:
        segments: Looked at.
        frames: Written now.
        damaged: With a tail that does not check, or records that nobody can use; their files stay.
        missing: Whose file is gone.
        unreadable: Whose file the disk does not give now; the next start tries again.
    """

    segments: int = 0
    frames: int = 0
    damaged: int = 0
    missing: int = 0
    unreadable: int = 0


def replay_dead_segments(connection: Connection, shard: int, parsers: Mapping[str, Parser]) -> ReplaySummary:
    """Finish all segments of a recorder shard that are not closed. The caller holds the shard's lease.

    The end of the last one is the end of the dead run: its books become stale and their coverage a gap `killed` from
    the last record on, which ends when a recorder has the book again. A segment that cannot be used costs itself.
    """
    summary = ReplaySummary()
    found = unfinished_segments(connection, shard)
    with_records = [segment.segment_id for segment in found if _has_records(Path(segment.path))]
    for segment in found:
        summary.segments += 1
        is_last = segment.segment_id == max(with_records, default=None)
        try:
            _replay(connection, segment, parsers, summary, is_last=is_last)
        except _UNUSABLE as error:
            summary.damaged += 1
            _log_unusable(segment, error)
            close_lost_segment(connection, segment.segment_id)
        except OSError as error:
            summary.unreadable += 1
            _log_unusable(segment, error)
    if found:
        get_logger(shard=shard).info("segments of a dead run replayed", **vars(summary))
    return summary


def rows_again(path: Path, batch: RowBatch, parsers: Mapping[str, Parser]) -> Iterator[RowBatch]:
    """Yield the rows of a batch that only the segment has, made anew from its records, in batches that follow on."""
    start = batch.start_offset
    pipeline = Pipeline(parsers)
    pipeline.begin(batch.segment_id, start, start)
    reader = SegmentReader(path)
    for record in reader:
        if record.offset >= batch.end_offset:
            break
        pipeline.consume(record)
        if record.end <= start:
            pipeline.take()
            pipeline.begin(batch.segment_id, start, start)
        elif pipeline.pending_rows >= _BATCH_ROWS:
            yield pipeline.take()
    if reader.damage is not None:
        get_logger().error("a segment is damaged", path=str(path), damage=reader.damage, end=batch.end_offset)
    last = pipeline.take()
    last.end_offset = batch.end_offset
    last.is_last = batch.is_last
    yield last


def _has_records(path: Path) -> bool:
    try:
        return path.stat().st_size > len(MAGIC)
    except OSError:
        return False


def _log_unusable(segment: UnfinishedSegment, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"[:300]
    get_logger(shard=segment.shard).error("a segment cannot be replayed", path=segment.path, reason=reason)


def _replay(
    connection: Connection,
    segment: UnfinishedSegment,
    parsers: Mapping[str, Parser],
    summary: ReplaySummary,
    *,
    is_last: bool,
) -> None:
    path, watermark = Path(segment.path), segment.committed_offset
    if not path.exists():
        summary.missing += 1
        log = get_logger(shard=segment.shard)
        log.error("a segment's file is gone", segment_id=segment.segment_id, path=segment.path)
        close_lost_segment(connection, segment.segment_id)
        return
    pipeline = Pipeline(parsers)
    pipeline.begin(segment.segment_id, watermark, watermark)
    reader = SegmentReader(path)
    for record in reader:
        pipeline.consume(record)
        if record.end <= watermark:
            pipeline.take()
            pipeline.begin(segment.segment_id, watermark, watermark)
        elif pipeline.pending_rows >= _BATCH_ROWS:
            summary.frames += _commit(connection, segment, pipeline.take())
    if reader.damage:
        summary.damaged += 1
    if is_last:
        _end_run(pipeline, reader.end)
    batch = pipeline.take()
    batch.end_offset = max(batch.end_offset, watermark)
    batch.is_last = True
    summary.frames += _commit(connection, segment, batch)
    if reader.end == len(MAGIC):
        path.unlink(missing_ok=True)


def _end_run(pipeline: Pipeline, end: int) -> None:
    body = orjson.dumps({"cause": "killed"})
    for number, state in list(pipeline.connections.items()):
        at_ns = pipeline.last_received_ns
        pipeline.consume(Record(end, end, RecordKind.CLOSED, state.venue, number, at_ns, body))


def _commit(connection: Connection, segment: UnfinishedSegment, batch: RowBatch) -> int:
    return batch.frames if commit_batch(connection, segment.shard, segment.run_id, batch) else 0
