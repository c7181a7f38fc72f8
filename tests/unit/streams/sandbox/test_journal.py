"""The sandbox's database: whole transactions, one process at a time, and one sentence where it cannot be used."""

from __future__ import annotations

import errno
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.exchange.persistence.journal import FORMAT, Journal, Row
from streams.sandbox.process.process import Sandbox, SandboxOptions
from streams.sandbox.replay.replay import ReplayFlow
from tests.engine.quoted import NOW, exchange, request

META: dict[str, str | int] = {"format": FORMAT, "source": "test", "anchor_ms": NOW}
_KILLED = """
import os, signal, sys
from pathlib import Path
from streams.sandbox.exchange.persistence.journal import FORMAT, Journal, Row

def rows():
    for number in range(3_000):
        yield Row("ticket", "kalshi", "M", f"second-{number}", b"x" * 2_000)
    os.kill(os.getpid(), signal.SIGKILL)

journal = Journal(Path(sys.argv[1]))
journal.commit([Row("ticket", "kalshi", "M", "first", b"{}")], meta={"format": FORMAT, "source": "", "anchor_ms": 0})
print("written", flush=True)
journal.commit(rows(), evicted=[("kalshi", "M")], meta={"source": "the second"})
"""


def row(key: str, document: bytes = b"{}", market_id: str = "M") -> Row:
    return Row("ticket", "kalshi", market_id, key, document)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "memory.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    path.parent.mkdir()
    made = Journal(path)
    made.commit([row("a")], meta=META)
    yield made
    made.close()


def keys_in(path: Path) -> list[str]:
    with closing(Journal(path)) as again:
        return [row.key for row in again.read()[1]]


def test_a_later_document_stands_in_the_place_of_the_earlier_one(journal: Journal, path: Path) -> None:
    journal.commit([row("b"), row("a", b"[1]")], meta={"written_ms": 5})
    journal.close()
    with closing(Journal(path)) as again:
        assert again.read() == ({**META, "written_ms": 5}, [row("a", b"[1]"), row("b")])


def test_everything_of_a_forgotten_market_goes_and_nothing_else(journal: Journal) -> None:
    of_market = [Row(table, "kalshi", "M", "k", b"1") for table in ("listing", "market", "house", "trade", "position")]
    other = Row("trade", "polymarket", "M", "k", b"1")
    journal.commit([*of_market, other, Row("account", "kalshi", "", "me", b"1"), row("b", market_id="N")])
    journal.commit([], [("kalshi", "M")])
    assert {(row.table, row.venue, row.market_id) for row in journal.read()[1]} == {
        ("trade", "polymarket", "M"), ("account", "kalshi", ""), ("ticket", "kalshi", "N"),
    }  # fmt: skip


def test_what_a_first_start_wrote_before_its_first_note_counts_for_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "memory.db")
    journal.commit([row("a")])
    journal.close()
    assert keys_in(tmp_path / "memory.db") == []


def test_a_kill_in_the_middle_of_a_commit_leaves_all_before_it_and_nothing_of_it(path: Path) -> None:
    path.parent.mkdir()
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path)], capture_output=True, text=True, check=False)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "written\n"), killed.stderr
    log = path.with_name("memory.db-wal")
    assert log.stat().st_size > 1_000_000, "part of the transaction was on disk"
    moved = path.parent.rename(path.parents[1] / "moved") / path.name
    with closing(Journal(moved)) as again:
        assert again.read() == ({"format": FORMAT, "source": "", "anchor_ms": 0}, [row("first")])


def test_a_cut_off_log_counts_up_to_the_damage(journal: Journal, path: Path, tmp_path: Path) -> None:
    for number in range(3):
        journal.commit([row(f"b{number}", b"x" * 100)])
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    log = copy / "memory.db-wal"
    log.write_bytes(log.read_bytes()[:-4])
    assert keys_in(copy / "memory.db") == ["a", "b0", "b1"]


def test_a_second_journal_on_the_same_folder_is_refused(journal: Journal, path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^Another sandbox is already running on .*journal\.$"):
        Journal(path)
    journal.close()
    assert keys_in(path) == ["a"]


def test_a_second_process_is_refused_while_the_first_has_the_file(journal: Journal, path: Path) -> None:
    imports = "from pathlib import Path\nfrom streams.sandbox.exchange.persistence.journal import Journal"
    script = f"{imports}\nJournal(Path({str(path)!r}))"
    second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "Another sandbox is already running on" in second.stderr
    journal.commit([row("b")])


def test_a_closed_journal_is_one_file_that_only_its_owner_can_read(journal: Journal, path: Path) -> None:
    journal.close()
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_commit_that_finds_the_disk_full_leaves_nothing_behind_and_can_be_tried_again(journal: Journal) -> None:
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    (most,) = journal._connection.execute("PRAGMA max_page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(OSError, match="full") as refused:
        journal.commit([row("b"), row("c", b"x" * 100_000)], [("kalshi", "M")])
    assert refused.value.errno == errno.ENOSPC
    assert [row.key for row in journal.read()[1]] == ["a"]
    journal._connection.execute(f"PRAGMA max_page_count = {most}")
    journal.commit([row("b"), row("c", b"x" * 100_000)])
    assert [row.key for row in journal.read()[1]] == ["a", "b", "c"]


def test_a_document_that_cannot_be_written_leaves_the_journal_usable(journal: Journal) -> None:
    def broken() -> Iterator[Row]:
        yield row("b")
        raise TypeError("not JSON")

    with pytest.raises(TypeError, match="not JSON"):
        journal.commit(broken())
    journal.commit([row("c")])
    assert [row.key for row in journal.read()[1]] == ["a", "c"]


@pytest.mark.parametrize("damage", [b"no database", b""])
def test_a_damaged_file_is_named_in_one_sentence_and_stays(journal: Journal, path: Path, damage: bytes) -> None:
    for number in range(200):
        journal.commit([row(f"b{number}", b"x" * 500)])
    journal.close()
    whole = path.read_bytes()
    spoilt = damage + whole[len(damage) :] if damage else whole[:8_192] + b"\xff" * (len(whole) - 8_192)
    path.write_bytes(spoilt)
    with pytest.raises(ConfigurationError, match=r"^\S*memory\.db cannot be used \([^.]*\); put a copy .* anew\.$"):
        keys_in(path)
    assert path.read_bytes() == spoilt


def test_a_database_of_another_format_is_refused_with_one_sentence(journal: Journal, path: Path) -> None:
    journal.commit([], meta={"format": FORMAT + 1})
    journal.close()
    with pytest.raises(ConfigurationError, match=r"^\S*memory\.db was written by another version; .*\.$"):
        keys_in(path)


def test_what_could_not_be_written_is_written_with_the_next_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxOptions(0, 0, tmp_path, lambda anchor: (ReplayFlow(tmp_path), None), FaultPlan()))
    made = exchange(Venue.KALSHI)
    sandbox.exchanges[Venue.KALSHI] = made
    made.order_entry.place(request("a", "yes", "buy", 5_100, 1), NOW)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "commit", _full)
        with pytest.raises(OSError, match="no space left"):
            sandbox.commit()
    made.order_entry.place(request("b", "yes", "buy", 5_100, 1), NOW)
    sandbox.commit()
    rows = sandbox._journal._database._connection.execute("SELECT document FROM ticket").fetchall()
    assert [orjson.loads(document)["request"]["order_id"] for (document,) in rows] == ["a", "b"]
    assert sandbox._journal._database._connection.execute("SELECT count(*) FROM listing").fetchone() == (1,)
    sandbox._journal.close()


def _full(journal: Journal, *of: object, **with_: object) -> None:
    raise OSError(errno.ENOSPC, "no space left")


def test_a_log_without_its_database_is_refused_and_stays(journal: Journal, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    (copy / "memory.db").unlink()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"memory\.db is missing or empty, but memory\.db-wal is there; "):
            Journal(copy / "memory.db")
        assert (copy / "memory.db-wal").stat().st_size > 0
        (copy / "memory.db").touch()


@pytest.mark.parametrize("table", ["people", "meta_data"])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path, table: str) -> None:
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"CREATE TABLE {table} (name TEXT)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"is not a database of the sandbox; .*\.$"):
        Journal(path)
    assert path.read_bytes() == before


def test_a_newer_database_is_refused_and_left_as_it_is(journal: Journal, path: Path) -> None:
    journal.commit([], meta={"format": FORMAT + 1})
    journal.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="was written by another version"):
        Journal(path).read()
    assert path.read_bytes() == before


@pytest.mark.parametrize("part", [10, 1000, 4096, 5000, 20_000])
def test_a_database_that_was_cut_is_one_sentence(journal: Journal, path: Path, part: int) -> None:
    journal.commit([row(f"r{number}", b"x" * 500) for number in range(200)])
    journal.close()
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ConfigurationError, match=r"cannot be used \(.*\); .*\.$"):
        Journal(path).read()


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "memory.db").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Journal(tmp_path / "memory.db")
