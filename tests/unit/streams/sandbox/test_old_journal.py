"""A journal of format 2 becomes a database, once and whole; a database that cannot be used is refused."""

from __future__ import annotations

import errno
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence import saved_state
from streams.sandbox.exchange.persistence.journal import Journal, Row, understood
from streams.sandbox.exchange.persistence.saved_state import SavedState
from streams.sandbox.exchange.persistence.snapshot import (
    apply_state,
    exchange_state,
    listing_state,
    restore_listing,
    take_changes,
)
from tests.engine.quoted import NOW, request
from tests.engine.saved import FLOW, Exchanges, quoted, resumed, saving, states


def line(record: Any) -> bytes:
    text = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def write_old(folder: Path) -> Exchanges:
    """An old journal with a snapshot and two tails, and an older tail that no longer counts; returns what it says."""
    folder.mkdir(parents=True)
    made = quoted()
    for each in made.values():
        take_changes(each)
    (folder / "listings.log").write_bytes(
        b"".join(line(listing_state(listed)) for each in made.values() for listed in each.state.markets.values())
    )
    snapshot = {
        "format": 2, "generation": 10, "anchor_ms": NOW, "source": "old", "written_ms": NOW, "flow": FLOW,
        "exchanges": {venue.value: exchange_state(each) for venue, each in made.items()},
    }  # fmt: skip
    (folder / "snapshot.json").write_bytes(line(snapshot))
    (folder / "tail-9.log").write_bytes(line({"venue": "kalshi"}))
    for generation, name in ((10, "d"), (11, "e")):
        records = []
        for each in made.values():
            each.order_entry.place(request(name, "yes", "buy", 3_900, generation, "gtc"), NOW)
            records.append(line(take_changes(each)))
        (folder / f"tail-{generation}.log").write_bytes(b"".join(records))
    (folder / "lock").touch()
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_an_old_journal_becomes_a_database_once_and_its_files_are_kept_beside(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    old = contents(folder)
    with resumed(folder) as (again, found, saved):
        assert states(again) == states(made)
        assert (found.source, found.anchor_ms, found.flow) == ("old", NOW, FLOW)
        assert contents(folder / "before-sqlite") == old
        again[Venue.KALSHI].order_entry.place(request("f", "yes", "buy", 3_900, 1, "gtc"), NOW)
        saved.commit()
        was = states(again)
    assert list(contents(folder)) == ["memory.db"]
    with resumed(folder) as (third, found, _):
        assert states(third) == was
        assert found.flow == FLOW
    assert contents(folder / "before-sqlite") == old


def test_a_kill_before_the_database_is_in_place_converts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    old = contents(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", _killed)
        with pytest.raises(KeyboardInterrupt), resumed(folder):
            pass
    left = contents(folder)
    assert left.pop("memory.db.new")
    assert left == old
    (folder / "memory.db.new").write_bytes(b"half a file")
    with resumed(folder) as (again, _, _):
        assert states(again) == states(made)
    assert list(contents(folder)) == ["memory.db"]


def test_after_a_kill_before_the_files_were_moved_the_database_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    old = contents(folder)
    with monkeypatch.context() as patched:
        patched.setattr(saved_state.old_journal, "keep_beside", _killed)
        with pytest.raises(KeyboardInterrupt), resumed(folder):
            pass
    (folder / "snapshot.json").write_bytes(b"never read again")
    with resumed(folder) as (again, _, _):
        assert states(again) == states(made)
    assert contents(folder / "before-sqlite") == {**old, "snapshot.json": b"never read again"}


def _killed(*of: object) -> None:
    raise KeyboardInterrupt


def test_old_files_that_come_again_are_kept_beside_those_of_before(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    with resumed(folder):
        pass
    first = contents(folder / "before-sqlite")
    (folder / "snapshot.json").write_bytes(b"written by an earlier version")
    with resumed(folder):
        pass
    assert contents(folder / "before-sqlite") == first
    assert contents(folder / "before-sqlite-2") == {"snapshot.json": b"written by an earlier version"}


def test_a_damaged_old_tail_counts_up_to_the_damage_and_is_kept_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    tail = folder / "tail-11.log"
    damaged = tail.read_bytes()[:-4]
    tail.write_bytes(damaged)
    with resumed(folder) as (again, _, _):
        assert [list(each.state.orders) for each in again.values()] == [["b", "a", "c", "d", "e"], ["b", "a", "c", "d"]]
    assert (folder / "before-sqlite" / "tail-11.log").read_bytes() == damaged


@pytest.mark.parametrize(
    ("content", "told"), [(b"deadbeef {}\n", "is damaged"), (line({"format": 1}), "another version")]
)
def test_an_old_journal_that_cannot_be_used_is_one_sentence_and_stays(
    tmp_path: Path, content: bytes, told: str
) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    (folder / "snapshot.json").write_bytes(content)
    old = contents(folder)
    with pytest.raises(ConfigurationError, match=told) as refused, resumed(folder):
        pass
    assert "reset" not in str(refused.value)
    assert contents(folder) == old


def test_a_sandbox_of_the_earlier_version_that_still_runs_keeps_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    running = SavedState(folder, {})
    with pytest.raises(ConfigurationError, match=r"^Another sandbox is already running on .*journal\.$"):
        SavedState(folder, {})
    running.close()


def test_an_old_start_that_never_came_to_a_snapshot_counts_for_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    (folder / "snapshot.json").unlink()
    saved = SavedState(folder, {})
    assert saved.read() is None
    saved.close()
    assert "listings.log" in contents(folder / "before-sqlite")


STEPS = ("commit", "write_snapshot", "settle", "rename", "sync_folder", "keep_beside", "reopen")


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_is_full_at_any_step_of_the_conversion_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    old = contents(folder)

    def full(*of: object, **with_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    targets: dict[str, tuple[Any, str]] = {
        "commit": (Journal, "commit"), "write_snapshot": (SavedState, "write_snapshot"), "settle": (Journal, "settle"),
        "rename": (Path, "rename"), "sync_folder": (saved_state.old_journal, "sync_folder"),
        "keep_beside": (saved_state.old_journal, "keep_beside"), "reopen": (saved_state.old_journal, "keep_beside"),
    }  # fmt: skip
    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(*targets[step], full)
            with pytest.raises((OSError, ConfigurationError), match="No space left"), resumed(folder):
                pass
        kept = contents(folder) | (contents(folder / "before-sqlite") if (folder / "before-sqlite").exists() else {})
        assert {name: kept[name] for name in old} == old
    with resumed(folder) as (again, found, _):
        assert states(again) == states(made)
        assert found.flow == FLOW
    assert list(contents(folder)) == ["memory.db"]
    assert contents(folder / "before-sqlite") == old


@pytest.mark.parametrize("left", ["nothing", "tables"])
def test_an_empty_database_does_not_hide_an_old_journal(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    (folder / "memory.db").touch()
    if left == "tables":
        Journal(folder / "memory.db").close()
    with resumed(folder) as (again, _, _):
        assert states(again) == states(made)


def test_a_database_that_lost_its_bytes_is_no_first_start(tmp_path: Path) -> None:
    exchanges = {venue: Exchange(venue, FaultPlan(), 1) for venue in Venue}
    SavedState(tmp_path, exchanges).close()
    (tmp_path / "memory.db").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"memory\.db is empty, which no start leaves; put a copy"):
        SavedState(tmp_path, exchanges)
    assert (tmp_path / "memory.db").stat().st_size == 0


def test_a_first_start_that_is_cut_off_leaves_no_empty_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_journal: Journal) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_open", killed)
        with pytest.raises(KeyboardInterrupt):
            Journal(tmp_path / "memory.db")
    (tmp_path / "memory.db.first").write_bytes(b"half")
    for _ in range(2):
        with closing(Journal(tmp_path / "memory.db")) as made:
            assert made.read() == ({}, [])
    (tmp_path / "memory.db").unlink()
    Journal(tmp_path / "memory.db").close()
    assert [path.name for path in tmp_path.iterdir()] == ["memory.db"]


def test_a_log_of_another_database_is_not_taken_for_that_of_the_new_one(tmp_path: Path) -> None:
    other = Journal(tmp_path / "other.db")
    other.commit([Row("ticket", "kalshi", "M", "stranger", b"{}")], meta={"format": 3})
    folder = tmp_path / "journal"
    made = write_old(folder)
    (folder / "memory.db-wal").write_bytes((tmp_path / "other.db-wal").read_bytes())
    other.close()
    for _ in range(2):
        with resumed(folder) as (again, _, _):
            assert states(again) == states(made)


def test_everything_is_in_the_one_file_before_it_is_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    sizes: list[int] = []
    close = Journal.close

    def watched(journal: Journal) -> None:
        log = journal.path.with_name(f"{journal.path.name}-wal")
        if journal.path.suffix == ".new":
            sizes.append(log.stat().st_size)
        close(journal)

    monkeypatch.setattr(Journal, "close", watched)
    with resumed(folder):
        pass
    assert sizes == [0], "what closing would have to put into it does not fit on a full disk"


@pytest.mark.parametrize(
    ("table", "document"),
    [
        ("value", b"{"), ("value", b"\xff"), ("ticket", b"{"), ("ticket", b"[]"), ("ticket", b"null"),
        ("ticket", b'{"number": "x"}'), ("listing", b"{}"), ("listing", b'{"number": 1}'),
    ],
)  # fmt: skip
def test_a_garbled_document_is_one_sentence(tmp_path: Path, table: str, document: bytes) -> None:
    folder = tmp_path / "journal"
    with saving(folder, quoted()):
        pass
    with closing(Journal(folder / "memory.db")) as journal:
        journal.commit([Row(table, "" if table == "value" else "kalshi", "", "flow", document)])
    said = r"memory\.db holds a document that makes no sense \(\w+\);"
    with closing(SavedState(folder, {})) as saved, pytest.raises(ConfigurationError, match=said):
        _put_together(saved, folder / "memory.db")


def _put_together(saved: SavedState, path: Path) -> None:
    """As the process does at a start."""
    found = saved.read()
    assert found is not None
    with understood(path):
        for listing in found.listings:
            restore_listing(quoted()[Venue.KALSHI], listing)
        for venue, state in found.states:
            apply_state(quoted()[venue], state)
