"""A process is known by boot, namespace, id and start ticks; the wall clock has no say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from streams.process_id import ProcessId, environment_value, private_memory_mb, start_ticks


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    started = subprocess.Popen(command, env={**os.environ, "PROBE_OF_TEST": "a b=c"})
    yield started
    started.kill()
    started.wait()


def test_our_own_identity_survives_its_text() -> None:
    own = ProcessId.own()
    assert ProcessId.parse(str(own)) == own
    assert own.is_alive
    assert not own.is_gone


@pytest.mark.parametrize("text", ["", "host:12:1.00", "boot/1/2", "boot/1/2/x", "/1/2/3", "b/1/2/3/4", "b/-1/2/3"])
def test_a_text_that_is_no_identity_is_none(text: str) -> None:
    assert ProcessId.parse(text) is None


def test_a_reused_id_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    former = replace(found, ticks=found.ticks - 1)
    assert former.is_gone
    assert not former.signal(signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_signal_reaches_the_very_process(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    assert found.signal(signal.SIGTERM)
    assert sleeper.wait(30) == -signal.SIGTERM
    assert found.is_gone
    assert not found.signal(signal.SIGTERM)


def test_a_zombie_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert found.is_gone
    assert start_ticks(sleeper.pid) is None


@pytest.mark.parametrize("other", [{"boot": "another-boot"}, {"namespace": 1}, {"boot": ""}])
def test_what_cannot_be_seen_from_here_is_neither_alive_nor_gone(other: dict[str, object]) -> None:
    hidden = replace(ProcessId.own(), **other)  # type: ignore[arg-type]
    assert (hidden.is_alive, hidden.is_gone, hidden.signal(0)) == (False, False, False)


def test_a_variable_is_read_from_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    assert environment_value(sleeper.pid, "PROBE_OF_TEST") == "a b=c"
    assert environment_value(sleeper.pid, "PROBE_OF_TES") is None
    assert environment_value(2**22 + 1, "PATH") is None


def test_the_memory_of_a_process_is_known_and_that_of_none_is_nothing(sleeper: subprocess.Popen[bytes]) -> None:
    assert 0 < private_memory_mb(sleeper.pid) < 1000
    assert private_memory_mb(2**22 + 1) == 0
