"""How full a disk may get, with a margin so that nothing goes back and forth."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from streams.disk import INODE_MARKS, DiskLevel, Watermarks, free_inodes, free_mb, is_full, is_only_recording
from streams.market.errors import ConfigurationError
from streams.settings import load_settings

MARKS = Watermarks(2000, 1000, 500)


@pytest.mark.parametrize(
    ("free", "level"),
    [
        (2000, DiskLevel.ENOUGH),
        (1999, DiskLevel.LOW),
        (1000, DiskLevel.LOW),
        (999, DiskLevel.NO_NEW_TRADES),
        (500, DiskLevel.NO_NEW_TRADES),
        (499, DiskLevel.ONLY_RECORDING),
        (0, DiskLevel.ONLY_RECORDING),
    ],
)
def test_each_mark_begins_a_level(free: float, level: DiskLevel) -> None:
    assert MARKS.level(free) is level


def test_a_level_is_left_only_with_a_margin() -> None:
    level, seen = DiskLevel.ENOUGH, []
    for free in (999, 1001, 999, 1099, 1101, 999, 400, 510, 549, 551, 1101, 2100, 2199, 2201):
        level = MARKS.level(free, level)
        seen.append(int(level))
    assert seen == [2, 2, 2, 2, 1, 2, 3, 3, 3, 2, 1, 1, 1, 0]


def test_marks_of_zero_never_stop_anything() -> None:
    assert Watermarks(0, 0, 0).level(0) is DiskLevel.ENOUGH


def test_the_fullest_disk_counts_and_missing_folders_do_not(tmp_path: Path) -> None:
    assert 0 < free_mb([tmp_path, tmp_path / "missing"]) < float("inf")
    assert free_mb([tmp_path / "missing"]) == float("inf")


def test_the_settings_decide(tmp_path: Path) -> None:
    assert not is_only_recording(load_settings(home=tmp_path, disk_only_recording_mb=0))
    full = load_settings(home=tmp_path, disk_low_mb=10**8, disk_no_new_trades_mb=10**8, disk_only_recording_mb=10**8)
    assert is_only_recording(full)
    with pytest.raises(ConfigurationError, match="CROSSBOOK_DISK_NO_NEW_TRADES_MB must not exceed"):
        load_settings(home=tmp_path, disk_low_mb=1, disk_no_new_trades_mb=2, disk_only_recording_mb=0)


def test_a_disk_that_cannot_be_asked_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "cluster.json").write_text("{")
    assert not is_only_recording(load_settings(home=tmp_path, disk_only_recording_mb=0))

    def gone(_folder: Path) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("streams.disk.shutil.disk_usage", gone)
    assert free_mb([tmp_path]) == float("inf")


def _statvfs(free: int, total: int) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, 10**9, 10**9, 10**9, total, free, free, 0, 255))


def test_a_disk_without_inodes_is_a_full_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=tmp_path, disk_only_recording_mb=0)
    for free, is_only in ((0, True), (999, True), (1000, False), (10**6, False)):
        monkeypatch.setattr("streams.disk.os.statvfs", lambda _, free=free: _statvfs(free, 10**6))
        assert free_inodes([tmp_path]) == free
        assert is_only_recording(settings) is is_only
    assert [INODE_MARKS.level(free) for free in (9_999, 2_999)] == [DiskLevel.LOW, DiskLevel.NO_NEW_TRADES]


def test_a_disk_that_makes_inodes_as_needed_has_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.disk.os.statvfs", lambda _: _statvfs(0, 0))
    assert free_inodes([tmp_path, tmp_path / "missing"]) == float("inf")


def test_a_disk_is_full_without_room_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=tmp_path)
    for room_mb, inodes, expected in ((63.0, 1e6, True), (65.0, 99.0, True), (65.0, 101.0, False)):
        monkeypatch.setattr("streams.disk.free_mb", lambda _, room_mb=room_mb: room_mb)
        monkeypatch.setattr("streams.disk.free_inodes", lambda _, inodes=inodes: inodes)
        assert is_full(settings) is expected
