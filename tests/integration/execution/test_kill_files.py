"""A kill on disk: in force at once, recorded once, gone only after its row, whoever dies in between."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from app.act_rules import ItChanged
from app.kill import KillNotTaken, kill_first, record_kills_on_disk
from app.operator_actions import set_switch
from app.supervisor.service import Supervisor
from orchestration.execution.sending.last_check import LastCheck
from orchestration.execution.venues.gateway import HeldBack
from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.storage import kill_files
from streams.storage.database import Connection, connect
from streams.storage.kill_files import (
    is_kill_on_disk,
    keep_kill,
    kill_folder,
    prepare_kills,
    record_kills,
    switch_in_force,
)
from streams.storage.store import risk
from streams.storage.store.leases import acquire, process_holder
from tests.support.ports import free_port


def _switches(connection: Connection) -> list[tuple[str, str, str]]:
    return [(row.state, row.set_by, row.reason) for row in reversed(risk.list_switches(connection))]


def _names(home: Path) -> list[str]:
    return sorted(path.name for path in kill_folder(home).iterdir())


def test_a_kill_on_disk_is_in_force_and_only_ours(tmp_path: Path) -> None:
    assert not is_kill_on_disk(tmp_path)
    keep_kill(tmp_path, "Ada", "books look wrong").close()
    assert is_kill_on_disk(tmp_path)
    assert stat.S_IMODE(kill_folder(tmp_path).stat().st_mode) == 0o700
    (name,) = _names(tmp_path)
    path = kill_folder(tmp_path) / name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said = json.loads(path.read_text())
    assert (said["who"], said["reason"]) == ("Ada", "books look wrong")


def test_what_cannot_be_seen_kills(tmp_path: Path) -> None:
    kill_folder(tmp_path).write_text("a file in the folder's place")
    assert is_kill_on_disk(tmp_path)


def test_a_draft_that_was_broken_off_kills_nobody(tmp_path: Path) -> None:
    kill_folder(tmp_path).mkdir(mode=0o700)
    (kill_folder(tmp_path) / ".draft").write_text("{")
    assert not is_kill_on_disk(tmp_path)


def test_an_order_is_kept_back_by_a_kill_on_disk_though_the_row_says_run(database: str, tmp_path: Path) -> None:
    with connect(database) as connection:
        lease = acquire(connection, "market:kalshi:A", process_holder(), "run", 15.0)
        assert lease is not None
        check = LastCheck(connection, tmp_path, [lease], "complete", time.monotonic() + 60)
        check()
        kept = keep_kill(tmp_path, "Ada", "")
        with pytest.raises(HeldBack, match="killed"):
            check()
        kept.remove()
        check()


def test_a_kill_that_is_recorded_while_the_row_is_read_still_kills(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row says run when it is read; before the disk is read again the kill is recorded and its file gone."""
    with connect(database) as connection, connect(database) as other:
        keep_kill(tmp_path, "Ada", "").close()
        read = risk.current_switch

        def read_then_record(on: Connection) -> str:
            state = read(on)
            record_kills(other, tmp_path)
            return state

        monkeypatch.setattr(kill_files, "current_switch", read_then_record)
        assert switch_in_force(connection, tmp_path) == "kill"


def test_a_kill_that_comes_while_the_row_is_read_kills(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(database) as connection:
        monkeypatch.setattr(kill_files, "current_switch", lambda _: keep_kill(tmp_path, "Ada", "") and "run")
        assert switch_in_force(connection, tmp_path) == "kill"


def test_each_kill_is_recorded_once_with_who_why_and_when(database: str, tmp_path: Path) -> None:
    for who in ("Ada", "Bob"):
        keep_kill(tmp_path, who, "drill").close()
    with connect(database) as connection:
        assert record_kills(connection, tmp_path) == 2
        assert record_kills(connection, tmp_path) == 0
        assert not is_kill_on_disk(tmp_path)
        kills = _switches(connection)[1:]
    assert [kill[:2] for kill in kills] == [("kill", "Ada"), ("kill", "Bob")]
    assert all(kill[2].startswith("drill (on disk since 20") for kill in kills)


def test_one_who_died_between_row_and_removal_leaves_no_second_row_and_undoes_no_resume(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_kill(tmp_path, "Ada", "drill").close()
    with connect(database) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(kill_files.KillFile, "remove", _dies)
            with pytest.raises(KeyboardInterrupt):
                record_kills(connection, tmp_path)
        (path,) = kill_folder(tmp_path).iterdir()
        _free(path)
        risk.set_switch(connection, "run", "Bob", "on another machine, having seen the kill")
        record_kills(connection, tmp_path)
        assert not is_kill_on_disk(tmp_path)
        assert [row[0] for row in _switches(connection)] == ["run", "kill", "run"]


def _dies(_self: object) -> None:
    raise KeyboardInterrupt


def _free(path: Path) -> None:
    """Let go of a lock as the end of its process would."""
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}") == str(path):
                os.close(int(number))
        except OSError:
            continue


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"who": 1}', b"\xff", b"[" * 100_000])
def test_a_kill_that_says_nothing_is_recorded_too(database: str, tmp_path: Path, content: bytes) -> None:
    kill_folder(tmp_path).mkdir(mode=0o700)
    (kill_folder(tmp_path) / "by-hand").write_bytes(content)
    with connect(database) as connection:
        assert record_kills(connection, tmp_path) == 1
        (_, kill) = _switches(connection)
    assert kill[:2] == ("kill", "crossbook")
    assert kill[2].startswith("a kill whose file cannot be read (on disk since 20")


def test_what_no_table_can_hold_is_no_reason_to_lose_a_kill(database: str, tmp_path: Path) -> None:
    keep_kill(tmp_path, "Ada", "a\x00b\ud800").close()
    with connect(database) as connection:
        assert record_kills(connection, tmp_path) == 1


def test_the_one_who_writes_the_row_is_not_overtaken(database: str, tmp_path: Path) -> None:
    kept = keep_kill(tmp_path, "Ada", "drill")
    with connect(database) as connection:
        assert record_kills(connection, tmp_path) == 0
        kept.close()
        assert record_kills(connection, tmp_path) == 1


@pytest.mark.parametrize("state", ["run", "pause", "reduce"])
def test_nothing_lifts_a_kill_on_disk_and_the_next_look_sees_it_recorded(
    database: str, tmp_path: Path, state: str
) -> None:
    keep_kill(tmp_path, "Ada", "drill").close()
    with connect(database) as connection:
        with pytest.raises(ItChanged, match="recorded now; look again"):
            set_switch(connection, state, who="Bob", home=tmp_path)  # type: ignore[arg-type]
        switch = risk.last_switch(connection)
        assert switch is not None
        assert (switch.state, switch.set_by) == ("kill", "Ada")
        set_switch(connection, state, who="Bob", home=tmp_path, seen=switch.seen)  # type: ignore[arg-type]
        assert risk.current_switch(connection) == state


def test_a_kill_that_is_being_recorded_by_another_is_not_lifted(database: str, tmp_path: Path) -> None:
    kept = keep_kill(tmp_path, "Ada", "drill")
    with connect(database) as connection, pytest.raises(ItChanged, match="not recorded yet"):
        set_switch(connection, "run", who="Bob", home=tmp_path)
    kept.close()


def test_while_the_warehouse_answers_a_kill_leaves_its_row_and_no_file(database: str, tmp_path: Path) -> None:
    seen: list[bool] = []

    def write_row() -> int:
        seen.append(is_kill_on_disk(tmp_path))
        with connect(database) as connection:
            return risk.set_switch(connection, "kill", "Ada", "drill")

    assert kill_first(tmp_path, write_row, who="Ada", reason="drill") == 2
    assert seen == [True]
    assert _names(tmp_path) == []
    with connect(database) as connection:
        assert _switches(connection)[1:] == [("kill", "Ada", "drill")]


def _refuse() -> int:
    raise psycopg.OperationalError("connection refused")


def test_without_the_warehouse_a_kill_stays_on_disk_until_it_is_there(database: str, tmp_path: Path) -> None:
    away = Settings(_env_file=None, home=tmp_path, database_url=make_conninfo(database, port=free_port()))
    assert kill_first(tmp_path, _refuse, who="Ada", reason="drill") is None
    assert record_kills_on_disk(away) == 0
    assert is_kill_on_disk(tmp_path)
    back = Settings(_env_file=None, home=tmp_path, database_url=database)
    assert record_kills_on_disk(back) == 1
    assert not is_kill_on_disk(tmp_path)
    with connect(database) as connection:
        assert risk.current_switch(connection) == "kill"


def test_a_warehouse_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    from threading import Event

    go_on = Event()
    assert kill_first(tmp_path, go_on.wait, who="Ada", reason="drill", within_s=0.05) is None
    assert is_kill_on_disk(tmp_path)
    go_on.set()


def _no_space(*_arguments: object, **_options: object) -> None:
    raise OSError(28, "No space left on device")


def _no_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file be made any more; what is there can be opened and renamed."""
    real = os.open

    def refuse(path: str | Path, flags: int, *arguments: int) -> int:
        if flags & os.O_CREAT:
            _no_space()
        return real(path, flags, *arguments)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("takes_bytes", [True, False])
def test_a_full_disk_without_a_warehouse_keeps_a_kill(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_bytes: bool
) -> None:
    """A full disk is what takes the embedded warehouse away, so both come together."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _no_space)
        if not takes_bytes:
            patch.setattr(kill_files, "_write_whole", _no_space)
        assert kill_first(tmp_path, _refuse, who="Ada", reason="drill") is None
    assert is_kill_on_disk(tmp_path)
    with connect(database) as connection:
        assert switch_in_force(connection, tmp_path) == "kill"
        assert record_kills(connection, tmp_path) == 1
        assert _switches(connection)[1][1] == ("Ada" if takes_bytes else "crossbook")


def test_a_disk_that_makes_no_more_files_keeps_a_kill(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_kills(tmp_path)
    assert not is_kill_on_disk(tmp_path)
    with monkeypatch.context() as patch:
        _no_inodes(patch)
        assert kill_first(tmp_path, _refuse, who="Ada", reason="drill") is None
        with pytest.raises(psycopg.OperationalError):  # there was one spare
            kill_first(tmp_path, _refuse, who="Bob", reason="drill")
    with connect(database) as connection:
        assert record_kills(connection, tmp_path) == 1
        assert _switches(connection)[1][1] == "Ada"
    assert _names(tmp_path) == []
    prepare_kills(tmp_path)
    assert _names(tmp_path) == [".spare"]


def test_a_disk_that_takes_nothing_keeps_no_kill_back(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_folder(tmp_path).mkdir(mode=0o700)
    _no_inodes(monkeypatch)
    with connect(database) as connection:
        assert kill_first(tmp_path, lambda: risk.set_switch(connection, "kill", "Ada"), who="Ada", reason="") == 2
    assert not is_kill_on_disk(tmp_path)
    with pytest.raises(psycopg.OperationalError):
        kill_first(tmp_path, _refuse, who="Ada", reason="")


def test_who_kills_without_disk_and_warehouse_is_told_in_time(tmp_path: Path) -> None:
    from threading import Event

    go_on = Event()
    with pytest.raises(KillNotTaken, match="orders may still be sent"):
        kill_first(tmp_path / "none", go_on.wait, who="Ada", reason="drill", within_s=0.05)
    go_on.set()


def test_where_there_is_no_home_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError):
        kill_first(tmp_path / "none", _refuse, who="Ada", reason="")
    assert not (tmp_path / "none").exists()


def test_a_folder_that_others_may_write_into_is_not_used(tmp_path: Path) -> None:
    kill_folder(tmp_path).mkdir()
    kill_folder(tmp_path).chmod(0o777)
    with pytest.raises(ConfigurationError, match="written by others"):
        keep_kill(tmp_path, "Ada", "")


_STEPS = ("fsync", "rename", "row", "unlink")
_VICTIM = """
import os, signal, sys, pathlib
from pathlib import Path
from streams.storage import kill_files
from streams.storage.kill_files import keep_kill, record_kills
from streams.storage.database import connect

home, dsn, step = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if step == "fsync":
    os.fsync = die
elif step == "rename":
    pathlib.Path.rename = die
elif step == "row":
    kill_files.set_switch_once = die
elif step == "unlink":
    kill_files.KillFile.remove = die
keep_kill(home, "Ada", "drill").close()
with connect(dsn) as connection:
    record_kills(connection, home)
"""


@pytest.mark.parametrize("step", _STEPS)
def test_after_a_sigkill_at_any_step_a_kill_was_either_never_given_or_is_recorded_once(
    database: str, tmp_path: Path, step: str
) -> None:
    ended = subprocess.run([sys.executable, "-c", _VICTIM, str(tmp_path), database, step], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    is_given = step in ("row", "unlink")
    assert is_kill_on_disk(tmp_path) == is_given
    with connect(database) as connection:
        assert switch_in_force(connection, tmp_path) == ("kill" if is_given else "run")
        record_kills(connection, tmp_path)
        assert not is_kill_on_disk(tmp_path)
        assert [row[0] for row in _switches(connection)] == (["run", "kill"] if is_given else ["run"])


def test_a_start_records_a_kill_on_disk_before_it_takes_its_own_reduce_back(database: str, tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(Settings(_env_file=None, home=tmp_path, database_url=database), said.append)
    with connect(database) as connection:
        risk.set_switch(connection, "reduce", "supervisor", "stop; was run")
        supervisor._resume_trading()
        assert risk.current_switch(connection) == "run"
        risk.set_switch(connection, "reduce", "supervisor", "stop; was run")
        keep_kill(tmp_path, "Ada", "drill").close()
        supervisor._resume_trading()
        assert risk.current_switch(connection) == "kill"
    assert not is_kill_on_disk(tmp_path)
    assert said == ["a kill that lay on disk is recorded; trading is killed (1)"]
