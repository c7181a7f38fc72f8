"""One home of the whole system with ports of its own, for tests and proofs that start it as a person would."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.supervisor.state import read_state
from streams.private_folders import temporary_folder
from streams.settings import Settings, load_settings
from streams.storage.database import Connection, connect, embedded_server
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
_PORTS = (
    "DAGSTER_PORT",
    "DASHBOARD_PORT",
    "API_PORT",
    "CODE_SERVER_PORT",
    "KALSHI_SANDBOX_PORT",
    "POLYMARKET_SANDBOX_PORT",
    "SANDBOX_ADMIN_PORT",
    "POSTGRES_PORT",
)


@dataclass
class Home:
    """One home with ports of its own; what `up` says goes to files beside it.

    Commands run in `working_dir`, whose `.env` they read.
    """

    path: Path
    environment: dict[str, str]
    working_dir: Path = ROOT
    starts: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    def make(cls, path: Path, working_dir: Path = ROOT) -> Home:
        """Return a home on ports that are free now; whether there is anything at `path` does not matter."""
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment["CROSSBOOK_HOME"] = str(path)
        environment |= {f"CROSSBOOK_{name}": str(free_port()) for name in _PORTS}
        environment["PYTHONPATH"] = str(ROOT)
        return cls(path, environment, working_dir)

    def settings(self) -> Settings:
        """Return the settings of this home."""
        ports = {name.lower(): int(self.environment[f"CROSSBOOK_{name}"]) for name in _PORTS}
        return load_settings(home=self.path, **ports)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `crossbook up` with its output in a file."""
        out = (self.path.parent / "up.out").open("w")
        err = (self.path.parent / "up.err").open("w")
        command = [sys.executable, "-m", "app.cli.main", "up", "--json", *arguments]
        with out, err:
            started = subprocess.Popen(
                command, env=self.environment, cwd=self.working_dir, stdout=out, stderr=err, text=True
            )
        self.starts.append(started)
        return started

    def ask(self, *arguments: str) -> tuple[int, Any]:
        """Run one command with `--json`; return its exit code and document."""
        command = [sys.executable, "-m", "app.cli.main", *arguments, "--json"]
        done = subprocess.run(
            command, env=self.environment, cwd=self.working_dir, capture_output=True, text=True, timeout=180
        )
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None

    def processes(self) -> list[psutil.Process]:
        """Return every process that carries this home's mark, and its PostgreSQL server."""
        found = []
        server = embedded_server(self.settings()).running_pid()
        for process in psutil.process_iter():
            try:
                is_ours = process.pid == server or process.environ().get("SUPERVISED_HOME") == str(self.path)
            except (psutil.Error, OSError):
                continue
            if is_ours:
                found.append(process)
        return found

    def bearer(self) -> dict[str, str]:
        """Return the headers with which a program passes every door of the running system."""
        token = (self.path / "api_token").read_text().strip()
        return {"Authorization": f"Bearer {token}"}

    def address(self, port: str, path: str = "/") -> str:
        """Return an address behind one of the ports, such as `API_PORT`."""
        return f"http://127.0.0.1:{self.environment[f'CROSSBOOK_{port}']}{path}"

    def output(self) -> str:
        """Return what `up` said so far."""
        return (self.path.parent / "up.err").read_text()

    def summary(self) -> dict[str, Any]:
        """Return the closing summary of the last `up`, empty when there is none."""
        said = (self.path.parent / "up.out").read_text()
        document: dict[str, Any] = json.loads(said) if said.strip() else {}
        return document

    def connect(self) -> Connection:
        """Open a connection to the running warehouse."""
        return connect(embedded_server(self.settings()).dsn())

    @contextmanager
    def only_database(self) -> Iterator[Connection]:
        """Start nothing but PostgreSQL for a while."""
        server = embedded_server(self.settings())
        server.start()
        try:
            with connect(server.dsn()) as connection:
                yield connection
        finally:
            server.stop()

    def leavings(self) -> list[str]:
        """Return what a stopped system has left behind: processes, run files, sockets, ports, locks.

        What stays on purpose, as the record of the last start, stands in the home itself and not in `run`.
        """
        settings = self.settings()
        found = [f"process {process.pid} {process.name()}" for process in self.processes()]
        found += [f"file {path.name}" for path in (self.path / "run").iterdir()]
        server = embedded_server(settings)
        found += [f"socket folder {server.socket_dir}"] if server.socket_dir.exists() else []
        found += ["postmaster.pid"] if (server.data_dir / "postmaster.pid").exists() else []
        found += [f"port {name} is open" for name in _PORTS if _is_open(int(self.environment[f"CROSSBOOK_{name}"]))]
        found += [f"socket folder {folder}" for folder in [temporary_folder("run", self.path)] if folder.exists()]
        found += ["supervisor.json is locked"] if read_state(self.path) is not None else []
        found += [f"lock {path}" for path in self.path.rglob("lock") if _is_locked(path)]
        return found

    def clear(self) -> None:
        """End what runs, the supervisor first so that it starts nothing again, and delete the data."""
        for started in self.starts:
            started.kill()
            started.wait()
        for process in self.processes():
            try:
                process.kill()
            except psutil.Error:
                continue
        command = [sys.executable, "-m", "app.cli.main", "reset", "--yes"]
        subprocess.run(command, env=self.environment, cwd=self.working_dir, capture_output=True)


def wait_for(condition: Callable[[], bool], limit_s: float, poll_s: float = 0.5) -> float | None:
    """Wait until the condition holds; return the seconds it took, None when the limit passed first."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit_s:
            return None
        time.sleep(poll_s)
    return time.monotonic() - started


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
