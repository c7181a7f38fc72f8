"""A disk that takes nothing: frames are lost with their cause, everything else goes on, and a replay tells the same."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.market.identity import Venue
from streams.recorder import segment_writer as writers
from streams.recorder.pipeline import Pipeline
from streams.recorder.replay import rows_again
from streams.recorder.segment_writer import SegmentWriter
from streams.recorder.sink import OpenSegment, Sink
from streams.recorder.sources import PARSERS
from streams.storage.coverage import CoverageChange
from streams.storage.recording import RowBatch
from streams.storage.segments import MAGIC, RecordKind, SegmentFile, SegmentReader
from streams.venues.common.feed import RawFrame
from tests.support.kalshi_frames import KalshiFrames

FULL = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


class Disk:
    """What the disk does with writes: takes them, or refuses them after a half with an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.keeps_torn = False
        write, truncate = os.write, os.ftruncate

        def written(fd: int, data: Any) -> int:
            if self.error is None:
                return write(fd, data)
            write(fd, bytes(data)[: len(data) // 2])
            raise OSError(self.error, os.strerror(self.error))

        def cut(fd: int, size: int) -> None:
            if self.keeps_torn:
                raise OSError(errno.EIO, "no")
            truncate(fd, size)

        monkeypatch.setattr("streams.storage.segments.os.write", written)
        monkeypatch.setattr("streams.storage.segments.os.ftruncate", cut)


class Warehouse:
    """Takes the place of the sink: keeps batches and alerts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.batches: list[RowBatch] = []
        self.alerts: list[str] = []
        self.cleared = 0
        self.is_alerted = False
        self.spares: list[OpenSegment] = []
        self.made = 0
        self.is_full = False
        self.has_spares = True

    def take_segment(self) -> OpenSegment | None:
        if not self.spares and self.has_spares:
            self.made += 1
            self.spares.append(OpenSegment(self.made, SegmentFile(self.root / f"{self.made}.seg")))
        return self.spares.pop() if self.spares else None

    def give_back(self, segment: OpenSegment) -> None:
        self.spares.append(segment)

    def submit(self, _file: SegmentFile, batch: RowBatch) -> None:
        self.batches.append(batch)

    def alert_disk(self, reason: str) -> None:
        self.alerts.append(reason)
        self.is_alerted = True

    def clear_disk(self, _quiet_s: float) -> None:
        self.cleared += self.is_alerted
        self.is_alerted = False

    @property
    def coverage(self) -> list[CoverageChange]:
        return [change for batch in self.batches for change in batch.coverage]


class Recording:
    """A writer over one Kalshi connection with two markets."""

    def __init__(self, sink: Warehouse, clock: list[float]) -> None:
        self.sink = sink
        self.clock = clock
        self.pipeline = Pipeline(PARSERS)
        self.now_ns = 1_700_000_000_000_000_000
        stand_in: Any = sink
        self.writer = SegmentWriter(
            self.pipeline, stand_in, segment_max_bytes=1 << 20, segment_max_age_s=900, clock_ns=lambda: self.now_ns
        )
        self.frames = KalshiFrames()
        assert self.writer.start()
        sink.has_spares = False
        self.control(RecordKind.OPENED, {"parser": "kalshi"})
        self.control(RecordKind.MARKETS, {"add": [["A", "", ""], ["B", "", ""]], "remove": []})
        self.books()

    def control(self, kind: RecordKind, body: dict[str, Any], connection: int = 1) -> None:
        self.now_ns += 1_000_000
        self.writer.write_control(kind, Venue.KALSHI, connection, body)

    def frame(self, raw: bytes, connection: int = 1) -> None:
        self.now_ns += 1_000_000
        self.writer.write_frames(Venue.KALSHI, connection, [RawFrame(raw, self.now_ns)])

    def books(self) -> None:
        for market in "AB":
            self.frame(self.frames.snapshot(market, [("0.4000", "10.00")], []))

    def change(self) -> None:
        self.frame(self.frames.delta("A", "yes", "0.4000", "1.00"))

    def later(self, seconds: float = 2.0) -> None:
        self.clock[0] += seconds
        self.now_ns += int(seconds * 1e9)
        self.writer.tick()

    @property
    def live(self) -> list[str]:
        return [name for c in self.pipeline.connections.values() for name, state in c.books.items() if state.is_live]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the writer."""
    now = [1000.0]
    monkeypatch.setattr(writers.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def recording(tmp_path: Path, clock: list[float], disk: Disk) -> Recording:
    return Recording(Warehouse(tmp_path), clock)


def again(path: Path, segment: int = 1) -> list[RowBatch]:
    """The rows of a whole segment, as a replay makes them."""
    batch = RowBatch(segment, len(MAGIC), end_of(path))
    batch.leave_to_segment()
    return list(rows_again(path, batch, PARSERS))


def end_of(path: Path) -> int:
    reader = SegmentReader(path)
    for _ in reader:
        pass
    assert reader.damage is None
    return reader.end


@pytest.mark.parametrize("error", FULL)
def test_frames_that_cannot_be_written_are_a_gap_and_recording_resumes(
    recording: Recording, disk: Disk, error: int, tmp_path: Path
) -> None:
    recording.writer.flush()
    recording.sink.batches.clear()
    disk.error = error
    recording.change()
    lost_ns = recording.now_ns
    recording.change()
    recording.later()
    assert recording.live == []
    assert recording.writer.is_losing
    assert recording.writer.lost_frames == 2
    gap = [(c.market_id, c.state, c.cause, c.at_ns) for c in recording.sink.coverage]
    assert gap == [("A", "gap", "disk_full", lost_ns), ("B", "gap", "disk_full", lost_ns)]
    assert len(recording.sink.alerts) == 1
    # A connection that comes and goes meanwhile, and markets, are not lost.
    recording.control(RecordKind.CLOSED, {"cause": "disconnect"})
    recording.control(RecordKind.OPENED, {"parser": "kalshi"}, connection=2)
    recording.control(RecordKind.MARKETS, {"add": [["A", "", ""]], "remove": ["B"]}, connection=2)
    disk.error = None
    recording.later()
    assert not recording.writer.is_losing
    recording.frames = KalshiFrames()
    recording.frame(recording.frames.snapshot("A", [("0.4000", "12.00")], []), connection=2)
    assert recording.live == ["A"]
    recording.later(20)
    assert recording.sink.cleared == 1
    recording.writer.stop()
    states = [(c.market_id, c.state, c.cause) for batch in again(tmp_path / "1.seg") for c in batch.coverage]
    live = [(c.market_id, c.state, c.cause) for c in recording.sink.coverage]
    assert states[-len(live) :] == live, "a replay tells the same"
    assert states[-1] == ("A", "covered", "")


def test_a_torn_record_is_cut_off_before_the_next_one_is_written(
    recording: Recording, disk: Disk, tmp_path: Path
) -> None:
    disk.error, disk.keeps_torn = errno.EIO, True
    recording.change()
    disk.error = None
    recording.later()
    assert recording.writer.is_losing, "behind half a record nothing may be written"
    disk.keeps_torn = False
    recording.later()
    assert not recording.writer.is_losing
    recording.books()
    recording.writer.stop()
    assert sum(record.kind == RecordKind.FRAME for record in SegmentReader(tmp_path / "1.seg")) == 4


def test_where_one_file_takes_nothing_the_next_one_is_tried(recording: Recording, disk: Disk, tmp_path: Path) -> None:
    disk.error, disk.keeps_torn = errno.EFBIG, True
    recording.change()
    disk.error = None
    recording.sink.has_spares = True
    recording.later()
    assert not recording.writer.is_losing
    recording.books()
    assert recording.live == ["A", "B"]
    recording.writer.flush()
    assert [batch.segment_id for batch in recording.sink.batches if batch.is_last] == [1]
    assert end_of(tmp_path / "2.seg") > len(MAGIC)


def test_a_first_segment_that_cannot_be_begun_is_tried_again(tmp_path: Path, clock: list[float], disk: Disk) -> None:
    sink: Any = Warehouse(tmp_path)
    sink.spares.append(OpenSegment(1, SegmentFile(tmp_path / "first.seg")))
    writer = SegmentWriter(Pipeline(PARSERS), sink, segment_max_bytes=1, segment_max_age_s=1)
    disk.error = errno.ENOSPC
    assert not writer.start()
    assert not writer.start()
    assert len(sink.alerts) == 1
    disk.error = None
    assert writer.start()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EROFS])
def test_a_segment_that_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    disk.error = number
    for attempt in range(20):
        with pytest.raises(OSError, match=os.strerror(number)):
            SegmentFile(tmp_path / f"{attempt}.seg")
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def short_files() -> Iterator[Callable[[int], None]]:
    """Limits how long a file of this process may become."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_piece_beyond_the_limit_of_the_kernel_leaves_the_file_as_it_was(
    tmp_path: Path, short_files: Callable[[int], None]
) -> None:
    file = SegmentFile(tmp_path / "a.seg")
    file.append([b"x" * 100])
    short_files(150)
    with pytest.raises(OSError, match="too large"):
        file.append([b"y" * 100])
    assert (tmp_path / "a.seg").stat().st_size == file.size == len(MAGIC) + 100
    short_files(resource.RLIM_INFINITY)
    assert file.append([b"z"]) == len(MAGIC) + 100


def test_a_file_that_cannot_be_made_durable_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "no")

    file = SegmentFile(tmp_path / "a.seg")
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("streams.storage.segments.os.fdatasync", fail)
    with pytest.raises(OSError, match="no"):
        file.close()
    assert file.is_doubtful
    assert len(os.listdir("/proc/self/fd")) == before - 1
    file.close()


def test_rows_made_anew_from_a_segment_are_those_that_were_forgotten(recording: Recording, tmp_path: Path) -> None:
    recording.writer.flush()
    recording.sink.batches.clear()
    for _ in range(5):
        recording.change()
    recording.writer.flush()
    (batch,) = recording.sink.batches
    kept = RowBatch(1, batch.start_offset, batch.end_offset)
    kept.leave_to_segment()
    made = list(rows_again(tmp_path / "1.seg", kept, PARSERS))
    assert orjson.dumps([part.lines for part in made]) == orjson.dumps([batch.lines])
    assert (made[-1].end_offset, made[-1].frames) == (batch.end_offset, 5)


def test_the_alert_is_over_when_the_disk_has_refused_nothing_for_a_while_whoever_met_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, handed = [1000.0], []
    monkeypatch.setattr("streams.recorder.sink.time.monotonic", lambda: now[0])
    sink = Sink("", 0, "run", tmp_path, PARSERS)
    monkeypatch.setattr(sink, "_hand_over", handed.append)

    def clears_after(seconds: float) -> bool:
        before = len(handed)
        now[0] += seconds
        sink.clear_disk(10.0)
        return len(handed) > before

    assert [clears_after(9.0), clears_after(2.0), clears_after(60.0)] == [False, True, False], "the run before left it"
    sink.alert_disk("no space: a segment could not be made ready")
    assert [clears_after(9.0), clears_after(2.0), clears_after(60.0)] == [False, True, False]
