"""A segment of a dead run that cannot be used costs itself: the others are finished, and the recorder starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.market.identity import Venue
from streams.recorder import replay
from streams.recorder.sources import PARSERS
from streams.storage.recording import RowBatch, UnfinishedSegment
from streams.storage.segments import MAGIC, RecordKind, pack_head


def record(kind: RecordKind, body: Any) -> bytes:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return pack_head(kind, Venue.KALSHI, 1, 1, raw) + raw


GOOD = [
    record(RecordKind.OPENED, {"connection_id": "c", "parser": "kalshi_polling"}),
    record(RecordKind.MARKETS, {"add": [["A", "", ""]], "remove": []}),
]
UNUSABLE = {
    "not a segment": b"x" * 40,
    "a connection of a newer version": MAGIC + record(RecordKind.OPENED, {"connection_id": "c", "parser": "morse"}),
    "a state of another version": MAGIC + record(RecordKind.STATE, {"books": 1}),
    "a control record that is no JSON": MAGIC + record(RecordKind.OPENED, b"\xff"),
    "a kind of record nobody knows": MAGIC + pack_head(99, Venue.KALSHI, 1, 1, b"{}") + b"{}",  # type: ignore[arg-type]
    "markets that are none": MAGIC + GOOD[0] + record(RecordKind.MARKETS, {"add": 5, "remove": None}),
}


class Warehouse:
    """What a replay wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
        self.ended: list[int] = []
        self.lost: list[int] = []
        found = [UnfinishedSegment(n, 0, "run", str(path), len(MAGIC)) for n, path in enumerate(paths, 1)]
        monkeypatch.setattr(replay, "unfinished_segments", lambda *_args: found)
        monkeypatch.setattr(replay, "close_lost_segment", lambda _connection, segment_id: self.lost.append(segment_id))
        monkeypatch.setattr(replay, "commit_batch", self.commit)

    def commit(self, _connection: object, _shard: int, _run_id: str, batch: RowBatch) -> bool:
        if batch.is_last:
            self.ended.append(batch.segment_id)
        return True


def good(path: Path) -> Path:
    path.write_bytes(MAGIC + b"".join(GOOD))
    return path


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_cannot_be_used_is_closed_as_lost_and_its_file_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, place: int
) -> None:
    bad = tmp_path / "bad.seg"
    bad.write_bytes(content)
    paths = [good(tmp_path / "a.seg"), good(tmp_path / "b.seg")]
    paths.insert(place, bad)
    warehouse = Warehouse(monkeypatch, *paths)
    summary = replay.replay_dead_segments(None, 0, PARSERS)  # type: ignore[arg-type]
    assert (summary.segments, summary.damaged, summary.unreadable) == (3, 1, 0)
    assert warehouse.lost == [place + 1]
    assert len(warehouse.ended) == 2
    assert bad.read_bytes() == content


def test_one_that_the_disk_does_not_give_is_left_for_the_next_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "a.seg"
    folder.mkdir()
    warehouse = Warehouse(monkeypatch, folder, good(tmp_path / "b.seg"))
    summary = replay.replay_dead_segments(None, 0, PARSERS)  # type: ignore[arg-type]
    assert (summary.damaged, summary.unreadable, warehouse.lost, warehouse.ended) == (0, 1, [], [2])
