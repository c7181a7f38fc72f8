"""Log files stay small, and the one of the last start is kept."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from streams.log_files import LogFile, begin_log, trim_log


def test_the_log_of_the_last_start_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    for text in ("first", "second"):
        begin_log(path)
        path.write_text(text)
    begin_log(path)
    assert not path.exists()
    assert (tmp_path / "x.log.1").read_text() == "second"
    begin_log(path)
    assert (tmp_path / "x.log.1").read_text() == "second"


def test_a_log_that_outgrows_its_limit_begins_anew_under_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"a" * 100)
        assert not trim_log(path, 100)
        writer.write(b"a")
        assert trim_log(path, 100)
        writer.write(b"b")
    assert path.read_bytes() == b"b"
    assert len((tmp_path / "x.log.1").read_bytes()) == 101


def test_a_full_disk_empties_the_log_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"a" * 100)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("streams.log_files.shutil.copyfile", full)
    assert trim_log(path, 10)
    assert path.stat().st_size == 0
    assert not trim_log(tmp_path / "missing.log", 10)


def test_what_is_logged_goes_to_the_screen_and_to_a_file_that_stays_small(tmp_path: Path) -> None:
    screen = io.StringIO()
    log = LogFile(tmp_path / "logs" / "x.log", screen, limit_bytes=50)
    for number in range(20):
        log.write(f"line {number:03}\n")
    log.flush()
    assert screen.getvalue().count("\n") == 20
    assert (tmp_path / "logs" / "x.log").read_text().endswith("line 019\n")
    assert (tmp_path / "logs" / "x.log").stat().st_size <= 60


def test_a_log_file_that_cannot_be_written_reaches_nobody(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    screen = io.StringIO()
    LogFile(tmp_path / "logs" / "x.log", screen).write("said\n")
    assert screen.getvalue() == "said\n"
