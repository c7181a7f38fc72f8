"""One supervisor per home, one file that is never removed, and questions that disturb nobody."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from app.supervisor.state import HomeLock, RunningState, read_state
from streams.market.errors import ConfigurationError, TransientError
from streams.process_id import ProcessId

_HOLDER = """
import sys, time
from pathlib import Path
from app.supervisor.state import HomeLock
lock = HomeLock(Path(sys.argv[1]))
lock.acquire()
lock.publish({"api": "x"}, is_ready=True)
print("held", flush=True)
time.sleep(600)
"""
_EARLIER = """
import fcntl, sys, time
lock = open(sys.argv[1], "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    yield from _started(_HOLDER, tmp_path)


def _started(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    yield holder
    holder.kill()
    holder.wait()
    holder.stdout.close()


def test_a_second_start_is_refused_with_the_addresses_of_the_first(tmp_path: Path) -> None:
    first = HomeLock(tmp_path)
    first.acquire()
    first.publish({"api": "http://127.0.0.1:8000"}, is_ready=True)
    with pytest.raises(ConfigurationError, match=r"already runs.*http://127\.0\.0\.1:8000"):
        HomeLock(tmp_path).acquire()
    first.release()


def test_only_the_one_file_is_left_after_a_release_and_it_stays_the_same(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()
    before = lock.state_path.stat().st_ino
    lock.publish({}, is_ready=True)
    assert (tmp_path / "run" / "state.json").exists()
    lock.release()
    assert list((tmp_path / "run").iterdir()) == []
    assert lock.state_path.stat().st_ino == before
    assert read_state(tmp_path) is None
    lock.acquire()
    assert lock.state_path.stat().st_ino == before
    lock.release()


def _moved(home: Path) -> None:
    home.rename(home.with_name("elsewhere"))


def _made_anew(home: Path) -> None:
    shutil.rmtree(home)
    other = HomeLock(home)
    other.acquire()
    other.release()


@pytest.mark.parametrize("lose", [shutil.rmtree, _moved, _made_anew], ids=["removed", "moved", "made anew"])
def test_a_home_that_is_gone_is_noticed_by_who_runs_in_it(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    home = tmp_path / "home"
    lock = HomeLock(home)
    lock.acquire()
    lock.check()
    lose(home)
    with pytest.raises(TransientError, match="was removed or replaced"):
        lock.check()
    lock.release()


def test_a_home_that_cannot_be_looked_at_is_not_taken_for_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()

    def fail(_path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        lock.check()
    lock.release()


def test_a_start_under_way_is_seen_and_can_be_ended(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()
    state = read_state(tmp_path)
    assert state is not None
    assert (state.pid, state.is_ready) == (os.getpid(), False)
    lock.release()


def test_what_a_killed_supervisor_left_is_not_running_and_no_stranger_is_signalled(
    tmp_path: Path, held: subprocess.Popen[str]
) -> None:
    state = read_state(tmp_path)
    assert state is not None
    assert state.pid == held.pid
    held.send_signal(signal.SIGKILL)
    held.wait()
    assert read_state(tmp_path) is None
    assert not state.signal(signal.SIGTERM)
    reused = replace(state, pid=os.getpid(), process=str(replace(ProcessId.own(), ticks=1)))
    (tmp_path / "supervisor.json").write_text(json.dumps(asdict(reused)))
    assert read_state(tmp_path) is None
    assert not reused.signal(signal.SIGTERM)
    lock = HomeLock(tmp_path)
    lock.acquire()
    lock.release()


def test_a_running_supervisor_is_signalled(tmp_path: Path, held: subprocess.Popen[str]) -> None:
    state = read_state(tmp_path)
    assert state is not None
    assert state.signal(signal.SIGTERM)
    assert held.wait(30) == -signal.SIGTERM


@pytest.mark.parametrize("left", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": 1, "what": 2}', "\x00" * 50])
def test_a_file_that_says_nothing_stops_neither_a_question_nor_a_start(tmp_path: Path, left: str) -> None:
    (tmp_path / "supervisor.json").write_text(left)
    assert read_state(tmp_path) is None
    lock = HomeLock(tmp_path)
    lock.acquire()
    assert read_state(tmp_path) is not None
    lock.release()


def test_no_start_is_refused_because_somebody_asks(tmp_path: Path) -> None:
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            read_state(tmp_path)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(300):
            lock = HomeLock(tmp_path)
            lock.acquire()
            state = read_state(tmp_path)
            assert state is not None
            assert state.pid == os.getpid()
            lock.release()
    finally:
        stop.set()
        for asker in askers:
            asker.join()


def test_a_running_earlier_version_is_seen_and_refuses_a_start(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text('{"pid": 1, "addresses": {"api": "x"}, "is_ready": true}')
    for holder in _started(_EARLIER, tmp_path / "run" / "supervisor.lock"):
        state = read_state(tmp_path)
        assert state == RunningState(holder.pid, {"api": "x"}, is_ready=True)
        with pytest.raises(ConfigurationError, match=r"already runs.*api x"):
            HomeLock(tmp_path).acquire()
        assert state.signal(signal.SIGTERM)
        holder.wait(30)
    assert read_state(tmp_path) is None


def test_what_an_earlier_version_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text('{"pid": 1, "addresses": {}, "is_ready": true}')
    (tmp_path / "run" / "supervisor.lock").touch()
    assert read_state(tmp_path) is None
    lock = HomeLock(tmp_path)
    lock.acquire()
    assert list((tmp_path / "run").iterdir()) == []
    lock.release()


def test_a_home_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    assert read_state(home) is None
    with pytest.raises(ConfigurationError, match=r"^CROSSBOOK_HOME .* cannot be written: .*\.$"):
        HomeLock(home).acquire()


def test_a_lock_by_a_stranger_is_not_a_question_that_hangs(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()
    with lock.state_path.open("rb") as stranger:
        fcntl.flock(stranger, fcntl.LOCK_SH)
        assert read_state(tmp_path) is not None
    lock.release()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_the_place_of_the_file_is_one_sentence(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "supervisor.json")
    assert read_state(tmp_path) is None
    with pytest.raises(ConfigurationError, match="cannot be written"):
        HomeLock(tmp_path).acquire()


def test_another_users_home_is_not_taken_for_one_where_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("app.supervisor.state.os.open", closed)
    with pytest.raises(ConfigurationError, match=r"supervisor\.json cannot be read: Permission denied"):
        read_state(tmp_path)


def test_a_disk_without_locks_is_not_taken_for_a_running_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("app.supervisor.state.fcntl.fcntl", none)
    with pytest.raises(ConfigurationError, match=r"cannot be locked: No locks available"):
        HomeLock(tmp_path).acquire()
