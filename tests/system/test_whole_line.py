"""The whole system as a newcomer starts it: one command, everything on loopback, a clean stop, a second start."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
_PORTS = (
    "DAGSTER_PORT",
    "DASHBOARD_PORT",
    "API_PORT",
    "CODE_SERVER_PORT",
    "KALSHI_SANDBOX_PORT",
    "POLYMARKET_SANDBOX_PORT",
    "POSTGRES_PORT",
)


@dataclass
class Home:
    """One home with ports of its own."""

    path: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `crossbook up` with its output in a file."""
        out = (self.path.parent / "up.out").open("w")
        err = (self.path.parent / "up.err").open("w")
        command = [sys.executable, "-m", "app.cli.main", "up", "--json", *arguments]
        return subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=out, stderr=err, text=True)

    def ask(self, *arguments: str) -> tuple[int, Any]:
        """Run one command with `--json`; return its exit code and document."""
        command = [sys.executable, "-m", "app.cli.main", *arguments, "--json"]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None

    def processes(self) -> list[psutil.Process]:
        """Every process that carries this home's mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SUPERVISED_HOME") == str(self.path):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def output(self) -> str:
        """What `up` said so far."""
        return (self.path.parent / "up.err").read_text()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    path = tmp_path_factory.mktemp("system") / "home"
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment["CROSSBOOK_HOME"] = str(path)
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in _PORTS]
    for name, holder in zip(_PORTS, with_ports, strict=True):
        environment[f"CROSSBOOK_{name}"] = str(holder.getsockname()[1])
        holder.close()
    made = Home(path, environment)
    yield made
    for process in made.processes():
        process.kill()
    subprocess.run(
        [sys.executable, "-m", "app.cli.main", "reset", "--yes"], env=environment, cwd=ROOT, capture_output=True
    )


@pytest.mark.timeout(400)
def test_one_command_runs_the_whole_line_and_stops_cleanly(home: Home) -> None:
    started = home.start()
    status = _status_when(home, started, lambda found: _has_traded(found), limit_s=240)

    assert sum(status["markets"].values()) >= 600
    assert sum(status["pairs"].values()) >= 20
    assert status["deltas"] > 10_000
    assert all(mart["rows"] > 0 for mart in status["marts"]), status["marts"]
    _assert_loopback_only(home)

    started.terminate()
    assert started.wait(120) == 0, home.output()
    summary = json.loads((home.path.parent / "up.out").read_text())
    assert summary["deltas"] >= status["deltas"]
    assert home.processes() == []
    assert list((home.path / "run").iterdir()) == []
    assert home.ask("status")[0] == 3


@pytest.mark.timeout(200)
def test_a_second_start_goes_on_with_the_data_of_the_first(home: Home) -> None:
    before = json.loads((home.path.parent / "up.out").read_text())
    started = home.start()
    status = _status_when(home, started, lambda found: found["deltas"] > before["deltas"], limit_s=120)
    assert status["markets"].keys() == before["markets"].keys()
    assert {trade["id"] for trade in before["trades"]} <= {trade["id"] for trade in status["trades"]}
    assert home.ask("up")[0] == 2
    started.terminate()
    assert started.wait(120) == 0, home.output()
    assert home.processes() == []


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
        time.sleep(2)
    raise AssertionError(f"not met within {limit_s} s: {found}\n{home.output()}")


def _has_traded(status: dict[str, Any]) -> bool:
    is_traded = any(trade["state"] in ("hedged", "flat", "settled") for trade in status["trades"])
    return is_traded and bool(status["marts"]) and all(mart["rows"] > 0 for mart in status["marts"])


def _assert_loopback_only(home: Home) -> None:
    for process in home.processes():
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        for connection in connections:
            hosts = {connection.laddr.ip, connection.raddr.ip if connection.raddr else "127.0.0.1"}
            assert hosts <= {"127.0.0.1", "::1"}, (process.name(), connection)
