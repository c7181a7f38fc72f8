"""From frames to the segment and to rows: everything received is appended to the segment before it is parsed.

The frames of a read are written by one call (a few for large reads); the pipeline then runs over them. Nothing awaits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import orjson

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.recorder.pipeline import Pipeline
from streams.recorder.sink import OpenSegment, Sink
from streams.storage.segments import HEAD_SIZE, Record, RecordKind, pack_head
from streams.venues.common.feed import RawFrame

_GATHER_FRAMES = 256
_BATCH_ROWS = 4_000


class SegmentWriter:
    """The one writer of a recorder shard's segments; runs in the event loop's thread only."""

    def __init__(
        self,
        pipeline: Pipeline,
        sink: Sink,
        *,
        segment_max_bytes: int,
        segment_max_age_s: float,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._pipeline = pipeline
        self._sink = sink
        self._max_bytes = segment_max_bytes
        self._max_age_s = segment_max_age_s
        self._clock_ns = clock_ns
        self._parts: list[bytes] = []
        self._records: list[tuple[int, Venue | None, int, int, bytes]] = []
        self._segment: OpenSegment | None = None
        self._opened = 0.0
        self.after_drain: Callable[[], None] | None = None

    def start(self) -> None:
        """Open the first segment and begin it with the state of the books."""
        segment = self._sink.take_segment(wait_s=30.0)
        assert segment is not None, "the sink was started"
        self._begin(segment)

    def write_frames(self, venue: Venue, connection: int, batch: Sequence[RawFrame]) -> None:
        """Write frames as received: they are in the kernel's hands, and their rows are made, when this returns."""
        for raw, received_ns in batch:
            self._append(RecordKind.FRAME, venue, connection, received_ns, raw)
        self.drain()

    def write_control(self, kind: RecordKind, venue: Venue | None, connection: int, body: JsonDocument) -> None:
        """Write something that is no frame but that the books depend on."""
        self._append(kind, venue, connection, self._clock_ns(), orjson.dumps(body))
        self.drain()

    def tick(self) -> None:
        """Show the books that time has passed when no frame did for a second, and hand rows over."""
        now = self._clock_ns()
        if now - self._pipeline.last_received_ns > 1_000_000_000:
            self._append(RecordKind.TICK, None, 0, now, b"")
        self.drain()
        self.flush()

    @property
    def is_full(self) -> bool:
        """Whether readers must wait for the warehouse."""
        return self._sink.is_full

    def _append(self, kind: int, venue: Venue | None, connection: int, received_ns: int, body: bytes) -> None:
        self._parts.append(pack_head(kind, venue, connection, received_ns, body))
        self._parts.append(body)
        self._records.append((kind, venue, connection, received_ns, body))
        if len(self._records) >= _GATHER_FRAMES:
            self.drain()

    def drain(self) -> None:
        """Write what has gathered, make its rows, and hand them over when there are many."""
        if not self._records:
            return
        assert self._segment is not None
        records, parts = self._records, self._parts
        self._records, self._parts = [], []
        offset = self._segment.file.append(parts)
        consume = self._pipeline.consume
        for kind, venue, connection, received_ns, body in records:
            end = offset + HEAD_SIZE + len(body)
            consume(Record(offset, end, kind, venue, connection, received_ns, body))
            offset = end
        if self._pipeline.pending_rows >= _BATCH_ROWS:
            self.flush()
        self._rotate_if_due()
        if self.after_drain is not None:
            self.after_drain()

    def flush(self) -> None:
        """Hand the rows made so far to the sink."""
        assert self._segment is not None
        batch = self._pipeline.take()
        if batch.end_offset > batch.start_offset:
            self._sink.submit(self._segment.file, batch)

    def stop(self) -> None:
        """Write and hand over everything and close the segment; the sink may be closed after it."""
        self.drain()
        self._finish_segment()

    def _finish_segment(self) -> None:
        assert self._segment is not None
        batch = self._pipeline.take()
        batch.is_last = True
        self._sink.submit(self._segment.file, batch)
        self._segment = None

    def _rotate_if_due(self) -> None:
        assert self._segment is not None
        age = time.monotonic() - self._opened
        if self._segment.file.size < self._max_bytes and age < self._max_age_s:
            return
        following = self._sink.take_segment()
        if following is None:
            return
        self._finish_segment()
        self._begin(following)

    def _begin(self, segment: OpenSegment) -> None:
        self._segment = segment
        self._opened = time.monotonic()
        now = self._clock_ns()
        body = self._pipeline.dump()
        offset = segment.file.append([pack_head(RecordKind.STATE, None, 0, now, body), body])
        self._pipeline.begin(segment.segment_id, offset, offset + HEAD_SIZE + len(body))
