"""Segment files: what was written comes back, and a torn tail ends the reading quietly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.market.errors import IntegrityError
from streams.market.identity import Venue
from streams.storage.segments import Record, RecordKind, SegmentFile, SegmentReader, pack_head


def write(path: Path, bodies: list[bytes]) -> int:
    file = SegmentFile(path)
    for number, body in enumerate(bodies):
        file.append([pack_head(RecordKind.FRAME, Venue.KALSHI, 7, number, body), body])
    file.close()
    return file.size


def read(path: Path) -> tuple[list[Record], str | None]:
    reader = SegmentReader(path)
    return list(reader), reader.damage


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path / "a.seg", [b"one", b"", b"three"])
    records, damage = read(tmp_path / "a.seg")
    assert damage is None
    assert [(r.body, r.venue, r.connection, r.received_ns) for r in records] == [
        (b"one", Venue.KALSHI, 7, 0),
        (b"", Venue.KALSHI, 7, 1),
        (b"three", Venue.KALSHI, 7, 2),
    ]
    assert [r.end for r in records][:-1] == [r.offset for r in records][1:]


@settings(max_examples=50, deadline=None)
@given(bodies=st.lists(st.binary(max_size=50), min_size=1, max_size=6), data=st.data())
def test_a_file_cut_anywhere_yields_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.seg"
    size = write(path, bodies)
    cut = data.draw(st.integers(min_value=0, max_value=size))
    path.write_bytes(path.read_bytes()[:cut])
    records, damage = read(path)
    assert [r.body for r in records] == bodies[: len(records)]
    assert (damage is None) == (cut in {0, 8, *(r.end for r in records)})


def test_a_flipped_bit_ends_the_reading_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    write(path, [b"first", b"second"])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    records, damage = read(path)
    assert [r.body for r in records] == [b"first"]
    assert damage is not None
    assert "checksum" in damage


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.seg").write_bytes(b"something else entirely")
    with pytest.raises(IntegrityError, match="not a segment"):
        read(tmp_path / "a.seg")
