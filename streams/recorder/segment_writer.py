"""From frames to the segment and to rows: everything received is appended to the segment before it is parsed.

The frames of a read are written by one call (a few for large reads); the pipeline then runs over them. Nothing awaits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import orjson

from streams.logs import get_logger
from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.recorder.pipeline import Pipeline
from streams.recorder.sink import OpenSegment, Sink
from streams.storage.segments import HEAD_SIZE, Record, RecordKind, pack_head
from streams.venues.common.feed import RawFrame

_GATHER_FRAMES = 256
_BATCH_ROWS = 4_000
_TRY_AGAIN_S = 1.0
_QUIET_AFTER_S = 10.0
_CAUSE = "disk_full"

_Waiting = tuple[int, Venue | None, int, int, bytes]
"""(kind, venue, connection, received_ns, body) of a record that is not written yet."""


class SegmentWriter:
    """The one writer of a recorder shard's segments; runs in the event loop's thread only.

    While the disk takes nothing, frames are lost: they make no rows, and the books of their connections are stale with
    the cause `disk_full` from the first of them on. What is no frame is held back and written first when there is room.

    Attributes:
        lost_frames: Frames that could not be written.
    """

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
        self._records: list[_Waiting] = []
        self._segment: OpenSegment | None = None
        self._opened = 0.0
        self._held: list[bytes] = []
        self._stale_connections: set[int] = set()
        self._next_try = 0.0
        self._last_loss = 0.0
        self._has_alerted = False
        self.is_losing = False
        self.lost_frames = 0
        self.after_drain: Callable[[], None] | None = None

    def start(self) -> bool:
        """Open the first segment and begin it with the state of the books; false while there is none to be had."""
        return self._begin_next()

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
        if now - self._pipeline.last_received_ns > 1_000_000_000 or self.is_losing:
            self._append(RecordKind.TICK, None, 0, now, b"")
        self.drain()
        self.flush()
        if not self.is_losing and time.monotonic() - self._last_loss > _QUIET_AFTER_S:
            self._has_alerted = False
            self._sink.clear_disk(_QUIET_AFTER_S)

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
        records, parts = self._records, self._parts
        self._records, self._parts = [], []
        if self.is_losing and not self._resume():
            self._lose(records)
        else:
            self._write(records, parts)
        if self._pipeline.pending_rows >= _BATCH_ROWS:
            self.flush()
        self._rotate_if_due()
        if self.after_drain is not None:
            self.after_drain()

    def _write(self, records: Sequence[_Waiting], parts: Sequence[bytes]) -> None:
        assert self._segment is not None
        try:
            offset = self._segment.file.append(parts)
        except OSError as error:
            self._note_loss(error)
            self._lose(records)
            return
        consume = self._pipeline.consume
        for kind, venue, connection, received_ns, body in records:
            end = offset + HEAD_SIZE + len(body)
            consume(Record(offset, end, kind, venue, connection, received_ns, body))
            offset = end

    def flush(self) -> None:
        """Hand the rows made so far to the sink."""
        assert self._segment is not None
        batch = self._pipeline.take()
        if batch.end_offset > batch.start_offset or batch.rows or batch.coverage:
            self._sink.submit(self._segment.file, batch)

    def stop(self) -> None:
        """Write and hand over everything and close the segment; the sink may be closed after it."""
        self.drain()
        if self.is_losing:
            self._next_try = 0.0
            self._resume()
        self._finish_segment()

    # -- a disk that takes nothing ----------------------------------------------------------------------------------

    def _note_loss(self, error: OSError) -> None:
        self.is_losing = True
        self._next_try = time.monotonic() + _TRY_AGAIN_S
        self._alert(error)

    def _alert(self, error: OSError) -> None:
        if not self._has_alerted:
            self._has_alerted = True
            get_logger().error("segments cannot be written; frames are lost", error=str(error))
            self._sink.alert_disk(str(error))

    def _lose(self, records: Sequence[_Waiting]) -> None:
        self._last_loss = time.monotonic()
        for kind, venue, connection, received_ns, body in records:
            if kind == RecordKind.FRAME:
                self.lost_frames += 1
                self._make_stale(venue, connection, received_ns)
            elif kind != RecordKind.TICK:
                self._hold((kind, venue, connection, received_ns, body))

    def _make_stale(self, venue: Venue | None, connection: int, received_ns: int) -> None:
        """The books of a connection are stale from its first lost frame on."""
        state = self._pipeline.connections.get(connection)
        if connection in self._stale_connections or state is None:
            return
        self._stale_connections.add(connection)
        body = orjson.dumps({"markets": list(state.books), "cause": _CAUSE})
        self._hold((RecordKind.STALE, venue, connection, received_ns, body))

    def _hold(self, record: _Waiting) -> None:
        """Process a record now and write it when there is room: a replay then makes the same rows of it."""
        assert self._segment is not None
        at = self._segment.file.size
        kind, venue, connection, received_ns, body = record
        self._held += [pack_head(kind, venue, connection, received_ns, body), body]
        self._pipeline.consume(Record(at, at, kind, venue, connection, received_ns, body))

    def _resume(self) -> bool:
        """Write what was held back, into a new segment where this one takes nothing; false while there is no room."""
        assert self._segment is not None
        if time.monotonic() < self._next_try:
            return False
        self._next_try = time.monotonic() + _TRY_AGAIN_S
        try:
            self._segment.file.append(self._held)
        except OSError:
            if not self._begin_next():
                return False
        else:
            self._pipeline.extend_to(self._segment.file.size)
        self._held = []
        self._stale_connections.clear()
        self.is_losing = False
        get_logger().info("segments can be written again", lost_frames=self.lost_frames)
        return True

    # -- segments ---------------------------------------------------------------------------------------------------

    def _finish_segment(self) -> None:
        assert self._segment is not None
        batch = self._pipeline.take()
        batch.is_last = True
        self._sink.submit(self._segment.file, batch)
        self._segment = None

    def _rotate_if_due(self) -> None:
        assert self._segment is not None
        age, file = time.monotonic() - self._opened, self._segment.file
        is_due = file.size >= self._max_bytes or age >= self._max_age_s or file.is_doubtful
        if is_due and not self.is_losing and time.monotonic() >= self._next_try and not self._begin_next():
            self._next_try = time.monotonic() + _TRY_AGAIN_S

    def _begin_next(self) -> bool:
        """Begin the next segment with the state of the books and finish the one before; false where it cannot be."""
        following = self._sink.take_segment()
        if following is None:
            return False
        now = self._clock_ns()
        body = self._pipeline.dump()
        try:
            offset = following.file.append([pack_head(RecordKind.STATE, None, 0, now, body), body])
        except OSError as error:
            self._sink.give_back(following)
            if self._segment is None:
                self._alert(error)
            return False
        if self._segment is not None:
            self._finish_segment()
        self._segment = following
        self._opened = time.monotonic()
        self._pipeline.begin(following.segment_id, offset, offset + HEAD_SIZE + len(body))
        return True
