"""The writing thread of a recorder: makes segments durable, copies batches into Postgres, opens and closes segments."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psycopg

from streams.logs import get_logger
from streams.market.errors import TransientError
from streams.recorder.books import Parser
from streams.recorder.replay import rows_again
from streams.storage.database import Connection, connect
from streams.storage.outages import may_be_repeated
from streams.storage.recording import RowBatch, commit_batch, open_segment
from streams.storage.segments import MAGIC, SegmentFile, segment_path
from streams.storage.store.alerts import clear_alert, raise_alert

_DRAIN_LIMIT_S = 60.0
_MERGE_ROWS = 20_000
_STUCK_AFTER_S = 1.0
_AGAIN_S = 1.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


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
    work: _SegmentRows | Callable[[Connection], object]


class Sink:
    """Writes batches and small statements in order, however long the database is away.

    Its queue is bounded by rows. While the database is away, rows beyond that are forgotten and made anew from the
    segment afterwards; while it is only slow, `is_full` says when to stop reading.

    Attributes:
        error: What ended the thread, None while all is well.
        committed_rows: Rows in the database so far.
        lag_ms: How long the last batch waited from its hand-over to its commit.
        outages: Attempts to write that found the database away.
        failed_writes: Small statements that the database refused; they were dropped.
        failed_syncs: Times that a segment could not be made durable.
    """

    def __init__(
        self, dsn: str, shard: int, run_id: str, root: Path, parsers: Mapping[str, Parser], max_rows: int = 200_000
    ) -> None:
        self._dsn = dsn
        self._shard = shard
        self._run_id = run_id
        self._root = root
        self._parsers = parsers
        self._max_rows = max_rows
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._spare: queue.Queue[OpenSegment] = queue.Queue()
        self._missing_spares = 2
        self._spares_due = 0.0
        self._waiting_rows = 0
        self._lock = threading.Lock()
        self._log = get_logger(shard=shard)
        self.error: BaseException | None = None
        self.committed_rows = 0
        self.lag_ms = 0.0
        self.outages = 0
        self.failed_writes = 0
        self.failed_syncs = 0
        self._busy_since: float | None = None
        self._give_up_at: float | None = None
        self._disk_failed_at: float | None = time.monotonic()  # the run before may have left its alert
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="recorder-sink", daemon=True)

    def start(self) -> None:
        """Start the thread, which makes the first segments."""
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so many rows wait for a database that is there that no more should be read from the venues."""
        return self._waiting_rows > self._max_rows and not self._is_stuck

    @property
    def _is_stuck(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > _STUCK_AFTER_S

    @property
    def waiting_rows(self) -> int:
        """Rows handed over and not yet committed."""
        return self._waiting_rows

    def submit(self, file: SegmentFile, batch: RowBatch) -> None:
        """Hand over the next batch of a segment; its file is made durable first."""
        self.raise_error()
        is_too_much = self._waiting_rows + batch.rows > self._max_rows and self._is_stuck
        if is_too_much and batch.end_offset > batch.start_offset:
            batch.leave_to_segment()
        with self._lock:
            self._waiting_rows += batch.rows
        self._hand_over(_SegmentRows(file, batch))

    def call(self, write: Callable[[Connection], object]) -> None:
        """Hand over a small write that must come after what was handed over before; it may be repeated."""
        self.raise_error()
        self._hand_over(write)

    def alert_disk(self, reason: str) -> None:
        """Alert that segments cannot be written."""
        self._disk_failed_at = time.monotonic()
        message = f"Recorder shard {self._shard} cannot write its segments: {reason}"
        key = f"disk_full:shard:{self._shard}"
        self._hand_over(lambda connection: raise_alert(connection, "disk_full", "critical", key, message))

    def clear_disk(self, quiet_s: float) -> None:
        """Close that alert, whichever run opened it, once the disk has refused nothing for so many seconds."""
        if self._disk_failed_at is not None and time.monotonic() - self._disk_failed_at > quiet_s:
            self._disk_failed_at = None
            self._hand_over(partial(clear_alert, dedup_key=f"disk_full:shard:{self._shard}"))

    def take_segment(self) -> OpenSegment | None:
        """Return the segment kept ready, None when there is none yet; the next one is made in the background."""
        try:
            taken = self._spare.get_nowait()
        except queue.Empty:
            return None
        self._hand_over(lambda _connection: self._make_spare())
        return taken

    def give_back(self, segment: OpenSegment) -> None:
        """Return a segment that was taken and not written to."""
        self._spare.put(segment)

    def close(self) -> None:
        """Write everything that was handed over, remove the segment kept ready, and end the thread.

        Raises:
            StreamsError or psycopg.Error: What ended the thread before, if anything did.
        """
        self._give_up_at = time.monotonic() + _DRAIN_LIMIT_S
        self._jobs.put(None)
        self._thread.join()
        while not self._spare.empty():
            self._discard(self._spare.get_nowait())
        self._drop_connection()
        self.raise_error()

    def _hand_over(self, work: _SegmentRows | Callable[[Connection], object]) -> None:
        self._jobs.put(_Job(time.monotonic(), work))

    def raise_error(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while True:
                self._make_missing_spares()
                try:
                    job = self._jobs.get(timeout=_AGAIN_S)
                except queue.Empty:
                    continue
                if job is None:
                    return
                self._busy_since = time.monotonic()
                if not self._do_all(job):
                    return
                self._busy_since = None
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
                self._do_small(work)
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
                if callable(later) or not batch.may_be_extended_by(later.batch):
                    job = following
                    break
                batch.extend(later.batch)
                rows = batch.rows
            self._commit(file, batch, handed_over)
            if ended:
                return False
        return True

    def _do_small(self, write: Callable[[Connection], object]) -> None:
        """Do a small write. One that the database refuses is dropped: it is not worth the recording."""
        try:
            self._retrying(write)
        except psycopg.Error as error:
            self.failed_writes += 1
            self._log.error("a small write was refused", error=str(error)[:300], times=self.failed_writes)

    def _commit(self, file: SegmentFile, batch: RowBatch, handed_over: float) -> None:
        self._make_durable(file, is_last=batch.is_last)
        waited = batch.rows
        parts: Iterable[RowBatch] = (batch,)
        if batch.is_in_segment_only:
            parts = rows_again(file.path, batch, self._parsers)
        for part in parts:
            self._retrying(partial(commit_batch, shard=self._shard, run_id=self._run_id, batch=part))
            self.committed_rows += part.rows
        with self._lock:
            self._waiting_rows -= waited
        self.lag_ms = (time.monotonic() - handed_over) * 1000

    def _make_durable(self, file: SegmentFile, *, is_last: bool) -> None:
        """Make a segment durable. Where that fails its rows are written all the same: they are at hand."""
        try:
            if is_last:
                file.close()
            else:
                file.sync()
        except OSError as error:
            self.failed_syncs += 1
            self._log.error("a segment cannot be made durable", path=str(file.path), error=str(error))
            self.alert_disk(str(error))

    def _retrying(self, write: Callable[[Connection], object]) -> None:
        """Run a write; while the database is away, connect anew and repeat (writes are idempotent).

        Only when the recording ends there is a limit: the segments keep what is not written, for the next run.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if self._connection is None:
                    self._connection = connect(self._dsn, application="crossbook-recorder")
                write(self._connection)
                return
            except (psycopg.Error, TransientError) as error:
                self._drop_connection()
                if isinstance(error, psycopg.Error) and not may_be_repeated(error):
                    raise
                if self._give_up_at is not None and time.monotonic() > self._give_up_at:
                    raise TransientError("the warehouse did not come back; the segments keep what it misses") from error
                self.outages += 1
                if self.outages & (self.outages - 1) == 0:  # at 1, 2, 4, 8, ...
                    self._log.warning("warehouse unreachable", error=str(error)[:300], times=self.outages)
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _make_missing_spares(self) -> None:
        while self._missing_spares and time.monotonic() >= self._spares_due:
            self._missing_spares -= 1
            self._make_spare()

    def _make_spare(self) -> None:
        """Make the next segment; where the disk or the database does not take it, again a second later."""
        now = datetime.now(UTC)
        path = segment_path(self._root, self._shard, now)
        try:
            file = SegmentFile(path)
        except OSError as error:
            self._missing_spares += 1
            self._spares_due = time.monotonic() + _AGAIN_S
            self._log.error("a segment cannot be made", path=str(path), error=str(error))
            self.alert_disk(str(error))
            return
        found: list[int] = []
        self._retrying(lambda c: found.append(open_segment(c, self._shard, self._run_id, path, now, len(MAGIC))))
        self._spare.put(OpenSegment(found[-1], file))

    def _discard(self, segment: OpenSegment) -> None:
        """Remove a segment that was never written to; without the database the next run does it."""
        with suppress(OSError):
            segment.file.close()
        if self.error is None and self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.execute("DELETE FROM raw.segments WHERE segment_id = %s", (segment.segment_id,))
                segment.file.path.unlink(missing_ok=True)
