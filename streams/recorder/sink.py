"""The writing thread of a recorder: makes segments durable, copies batches into Postgres, opens and closes segments."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg

from streams.logs import get_logger
from streams.market.errors import TransientError
from streams.storage.database import Connection, connect
from streams.storage.recording import RowBatch, commit_batch, open_segment
from streams.storage.segments import MAGIC, SegmentFile, segment_path

_RETRY_FOR_S = 120.0
_MERGE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A registered segment and its file."""

    segment_id: int
    file: SegmentFile


class _SegmentRows(NamedTuple):
    """A batch of rows and the segment it was made from."""

    file: SegmentFile
    batch: RowBatch


class _Job(NamedTuple):
    """Something to write, and when (monotonic) it was handed over."""

    handed_over: float
    work: _SegmentRows | Callable[[Connection], None]


class Sink:
    """Writes batches and small statements in order. Its queue is bounded by rows; `is_full` says when to stop reading.

    Attributes:
        error: What ended the thread, None while all is well.
        committed_rows: Rows in the database so far.
        lag_ms: How long the last batch waited from its hand-over to its commit.
    """

    def __init__(self, dsn: str, shard: int, run_id: str, root: Path, *, max_rows: int = 200_000) -> None:
        self._dsn = dsn
        self._shard = shard
        self._run_id = run_id
        self._root = root
        self._max_rows = max_rows
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._spare: queue.Queue[OpenSegment] = queue.Queue()
        self._waiting_rows = 0
        self._lock = threading.Lock()
        self._log = get_logger(shard=shard)
        self.error: BaseException | None = None
        self.committed_rows = 0
        self.lag_ms = 0.0
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="recorder-sink", daemon=True)

    def start(self) -> None:
        """Connect, make the first segments and start the thread."""
        self._connection = connect(self._dsn, application="crossbook-recorder")
        self._make_spare()
        self._thread.start()
        self._hand_over(lambda _connection: self._make_spare())

    @property
    def is_full(self) -> bool:
        """Whether so many rows wait that no more should be read from the venues."""
        return self._waiting_rows > self._max_rows

    @property
    def waiting_rows(self) -> int:
        """Rows handed over and not yet committed."""
        return self._waiting_rows

    def submit(self, file: SegmentFile, batch: RowBatch) -> None:
        """Hand over the next batch of a segment; its file is made durable first."""
        self._raise_error()
        with self._lock:
            self._waiting_rows += batch.rows
        self._hand_over(_SegmentRows(file, batch))

    def call(self, write: Callable[[Connection], None]) -> None:
        """Hand over a small write that must come after what was handed over before."""
        self._raise_error()
        self._hand_over(write)

    def take_segment(self, *, wait_s: float = 0.0) -> OpenSegment | None:
        """Return the segment kept ready, None when there is none yet; the next one is made in the background."""
        try:
            taken = self._spare.get(timeout=wait_s) if wait_s else self._spare.get_nowait()
        except queue.Empty:
            return None
        self._hand_over(lambda _connection: self._make_spare())
        return taken

    def close(self) -> None:
        """Write everything that was handed over, remove the segment kept ready, and end the thread.

        Raises:
            StreamsError or psycopg.Error: What ended the thread before, if anything did.
        """
        self._jobs.put(None)
        self._thread.join()
        while not self._spare.empty():
            self._discard(self._spare.get_nowait())
        if self._connection is not None:
            self._connection.close()
        self._raise_error()

    def _hand_over(self, work: _SegmentRows | Callable[[Connection], None]) -> None:
        self._jobs.put(_Job(time.monotonic(), work))

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if not self._do_all(job):
                    return
        except BaseException as error:  # handed to whoever submits next
            self.error = error
            self._log.error("recording stopped writing", error=repr(error))

    def _do_all(self, first: _Job) -> bool:
        """Do a job and those that already wait, neighbouring batches of one segment together; false at the end."""
        job: _Job | None = first
        while job is not None:
            handed_over, work = job
            job = None
            if callable(work):
                self._retrying(work)
                return True
            file, batch = work
            rows = batch.rows
            ended = False
            while rows < _MERGE_ROWS and not batch.is_last:
                try:
                    following = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    ended = True
                    break
                later = following.work
                if callable(later) or later.batch.segment_id != batch.segment_id:
                    job = following
                    break
                batch.extend(later.batch)
                rows = batch.rows
            self._commit(file, batch, handed_over)
            if ended:
                return False
        return True

    def _commit(self, file: SegmentFile, batch: RowBatch, handed_over: float) -> None:
        if batch.is_last:
            file.close()
        else:
            file.sync()
        self._retrying(lambda connection: commit_batch(connection, self._shard, self._run_id, batch))
        with self._lock:
            self._waiting_rows -= batch.rows
        self.committed_rows += batch.rows
        self.lag_ms = (time.monotonic() - handed_over) * 1000

    def _retrying(self, write: Callable[[Connection], object]) -> None:
        """Run a write; when the server goes away, connect anew and repeat (writes are idempotent) for two minutes."""
        deadline = time.monotonic() + _RETRY_FOR_S
        while True:
            try:
                if self._connection is None:
                    self._connection = connect(self._dsn, application="crossbook-recorder")
                write(self._connection)
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise TransientError("the warehouse did not come back; the segments keep what it misses") from error
                self._log.warning("warehouse unreachable", error=str(error))
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                time.sleep(0.5)

    def _make_spare(self) -> None:
        now = datetime.now(UTC)
        path = segment_path(self._root, self._shard, now)
        file = SegmentFile(path)
        found: list[int] = []
        self._retrying(lambda c: found.append(open_segment(c, self._shard, self._run_id, path, now, len(MAGIC))))
        self._spare.put(OpenSegment(found[-1], file))

    def _discard(self, segment: OpenSegment) -> None:
        segment.file.close()
        segment.file.path.unlink(missing_ok=True)
        if self.error is None and self._connection is not None:
            self._connection.execute("DELETE FROM raw.segments WHERE segment_id = %s", (segment.segment_id,))
