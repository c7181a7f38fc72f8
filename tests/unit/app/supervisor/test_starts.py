"""A start hears the wish to stop from its first moment, and says how it went where nothing else does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.supervisor.last_start import read_last_start
from app.supervisor.state import read_state
from tests.support.whole_home import Home, wait_for


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.make(tmp_path / "home")
    yield made
    made.clear()


def _hears(pid: int, number: int) -> bool:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def test_the_wish_to_stop_is_heard_before_anything_slow_is_imported() -> None:
    code = (
        "import signal, sys; sys.argv = ['crossbook', {!r}]; before = set(sys.modules); import app.cli;"
        "print(callable(signal.getsignal(signal.SIGTERM)), len(set(sys.modules) - before) < 20)"
    )
    for command, heard in (("up", "True True"), ("status", "False True")):
        found = subprocess.run([sys.executable, "-c", code.format(command)], capture_output=True, text=True, timeout=60)
        assert found.stdout.strip() == heard, found.stderr


def test_every_signal_that_means_stop_does_and_nohup_stays() -> None:
    code = (
        "import os, signal, sys; from app.stop_request import hear_stop;"
        "signal.signal(signal.SIGHUP, getattr(signal, sys.argv[2])); heard = hear_stop();"
        "os.kill(os.getpid(), int(sys.argv[1])); print(heard.is_set())"
    )
    cases = [(signal.SIGTERM, "SIG_DFL"), (signal.SIGINT, "SIG_DFL"), (signal.SIGHUP, "SIG_DFL")]
    for number, hangup, heard in [*((*case, "True") for case in cases), (signal.SIGHUP, "SIG_IGN", "False")]:
        command = [sys.executable, "-c", code, str(int(number)), hangup]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert found.stdout.strip() == heard, found.stderr


def test_a_stop_in_the_first_moment_of_a_start_is_no_failure(home: Home) -> None:
    started = home.start()
    # without the bit the handler is not there yet, and the signal would end any process
    assert wait_for(lambda: _hears(started.pid, signal.SIGHUP), 60, 0.001) is not None
    started.send_signal(signal.SIGTERM)
    assert started.wait(120) == 0, home.output()
    assert home.output().splitlines() == ["asked to stop before everything was ready", "stopping"]
    assert home.leavings() == []
    assert read_state(home.path) is None
    assert read_last_start(home.path).reason == ""  # type: ignore[union-attr]
    assert home.ask("status")[0] == 3
