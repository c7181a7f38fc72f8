"""The whole system as a newcomer starts it: one command, everything on loopback, a clean stop, a second start."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.whole_home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.make(tmp_path / "home")
    yield made
    made.clear()


@pytest.mark.timeout(900)
def test_one_command_runs_the_line_stops_cleanly_and_a_second_start_goes_on(home: Home) -> None:
    _check_first_start(home)
    _check_second_start(home)


def _check_first_start(home: Home) -> None:
    started = home.start()
    status = _status_when(home, started, lambda found: _has_traded(found), limit_s=480)

    assert sum(status["markets"].values()) >= 600
    assert sum(status["pairs"].values()) >= 20
    assert status["deltas"] > 10_000
    assert all(mart["rows"] > 0 for mart in status["marts"]), status["marts"]
    _assert_loopback_only(home)

    started.terminate()
    assert started.wait(240) == 0, home.output()
    assert home.summary()["deltas"] >= status["deltas"]
    assert home.leavings() == []
    assert home.ask("status")[0] == 3


def _check_second_start(home: Home) -> None:
    before = home.summary()
    started = home.start()
    status = _status_when(home, started, lambda found: found["deltas"] > before["deltas"], limit_s=240)
    assert status["markets"].keys() == before["markets"].keys()
    assert {trade["id"] for trade in before["trades"]} <= {trade["id"] for trade in status["trades"]}
    assert home.ask("up")[0] == 2
    started.terminate()
    assert started.wait(240) == 0, home.output()
    assert home.leavings() == []


def _status_when(home: Home, started: subprocess.Popen[str], is_met: Any, limit_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + limit_s
    found: dict[str, Any] = {}
    while time.monotonic() < deadline:
        assert started.poll() is None, home.output()
        code, document = home.ask("status")
        if code == 0:
            found = document
            if is_met(found):
                return found
        time.sleep(5)  # each look is a process of its own that takes a second of the machine
    raise AssertionError(f"not met within {limit_s} s: {found}\n{home.output()}")


def _has_traded(status: dict[str, Any]) -> bool:
    is_traded = any(trade["state"] in ("HEDGED", "SETTLED") for trade in status["trades"])
    return is_traded and bool(status["marts"]) and all(mart["rows"] > 0 for mart in status["marts"])


def _assert_loopback_only(home: Home) -> None:
    for process in home.processes():
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        for connection in connections:
            hosts = {address.ip.removeprefix("::ffff:") for address in (connection.laddr, connection.raddr) if address}
            assert hosts <= {"127.0.0.1", "::1"}, (process.name(), connection)
