"""Processes are found, ended and never left."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from app.supervisor.children import Child, end_leftovers, leftovers, wait_until
from streams.settings import SUPERVISED

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def _child(tmp_path: Path, code: str, stop_limit_s: float = 5) -> Child:
    return Child(
        name="probe",
        command=[sys.executable, "-c", code],
        environment={**os.environ, SUPERVISED: str(tmp_path)},
        log_path=tmp_path / "probe.log",
        working_dir=tmp_path,
        stop_limit_s=stop_limit_s,
    )


def test_a_child_that_ignores_term_is_killed(tmp_path: Path) -> None:
    child = _child(tmp_path, _STUBBORN, stop_limit_s=0.2)
    child.start()
    assert wait_until(lambda: "up" in child.log_path.read_text(), 60)
    child.stop()
    assert not child.is_running


def test_grandchildren_of_a_dead_supervisor_are_found_and_ended(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {_STUBBORN!r}], start_new_session=True)"
    child = _child(tmp_path, code)
    child.start()
    assert wait_until(lambda: not child.is_running, 60)
    assert wait_until(lambda: len(leftovers(tmp_path)) == 1, 60)
    assert end_leftovers(tmp_path, term_limit_s=0.2) == 1
    assert leftovers(tmp_path) == []


def test_processes_of_another_home_are_left_alone(tmp_path: Path) -> None:
    child = _child(tmp_path, "import time; time.sleep(600)")
    child.start()
    assert end_leftovers(tmp_path / "elsewhere", term_limit_s=0.1) == 0
    assert child.is_running
    child.stop()


def test_what_a_dead_child_left_in_its_group_is_ended_and_a_stranger_with_its_number_is_not(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {_STUBBORN!r}])"
    child = _child(tmp_path, code)
    child.start()
    assert wait_until(lambda: not child.is_running, 60)
    assert wait_until(lambda: len(leftovers(tmp_path)) == 1, 60)
    child.stop()
    assert wait_until(lambda: leftovers(tmp_path) == [], 60)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        child._process = cast(
            "subprocess.Popen[bytes]", SimpleNamespace(pid=stranger.pid, poll=lambda: 1, wait=lambda: 1)
        )
        child.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_what_starts_others_while_it_is_ended_leaves_none(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    code = (
        "import signal, subprocess, sys, time;"
        f"act = lambda *_: subprocess.Popen({sleeper!r}, start_new_session=True) and sys.exit();"
        "signal.signal(signal.SIGTERM, act);"
        "print('up', flush=True); time.sleep(600)"
    )
    child = _child(tmp_path, code)
    child.start()
    assert wait_until(lambda: "up" in child.log_path.read_text(), 60)
    assert end_leftovers(tmp_path, term_limit_s=20) == 2
    assert leftovers(tmp_path) == []
    child.stop()
