"""What grows while the system runs for hours: `python -m tests.proofs.soak --hours 1`, or `make soak HOURS=1`.

One `crossbook up` in a home of its own. Each process's anonymous memory (what it holds itself, not files; pages that a
fork still shares with its parent count for both, so that a run that ends moves nothing) is read every 15 s; a
least-squares line through the readings from minute 15 on is its slope. The sizes of the database's
schemas, of the segments and of Dagster's files are read each minute. Readings are kept in a file of JSON lines, so that
a soak that was broken off can be looked at.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from tests.proofs.table import Table
from tests.support.whole_home import Home, wait_for

_SLOPE_LIMIT_MB_H = 5.0
_SETTLES_AFTER_S = 15 * 60
_LEAST_LIFE_S = 20 * 60
_READ_EVERY_S = 15.0
_SIZES_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The anonymous memory of one process at one moment: seconds since ready, megabytes (10^6 bytes).

    `began`: when the process was created, in seconds since the epoch: ids of processes are given again within the hour.
    """

    name: str
    pid: int
    began: float
    at_s: float
    memory_mb: float


def slope_mb_h(readings: Sequence[Reading]) -> float:
    """Return the slope of a least-squares line through the readings, in megabytes an hour; 0 for fewer than two."""
    if len(readings) < 2:
        return 0.0
    mean_at = sum(reading.at_s for reading in readings) / len(readings)
    mean_mb = sum(reading.memory_mb for reading in readings) / len(readings)
    spread = sum((reading.at_s - mean_at) ** 2 for reading in readings)
    shared = sum((reading.at_s - mean_at) * (reading.memory_mb - mean_mb) for reading in readings)
    return 3600 * shared / spread if spread else 0.0


def settled(readings: Iterable[Reading]) -> dict[tuple[str, int, float], list[Reading]]:
    """Return the readings from minute 15 on of every process that was read over at least 20 minutes."""
    by_process: dict[tuple[str, int, float], list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading.at_s >= _SETTLES_AFTER_S:
            by_process[reading.name, reading.pid, reading.began].append(reading)
    return {key: found for key, found in by_process.items() if found[-1].at_s - found[0].at_s >= _LEAST_LIFE_S}


def run(home: Home, hours: float, kept: Path) -> Table:
    """Run the system for `hours` after it is ready and judge what was read."""
    table = Table(f"{hours:g} h of `crossbook up`")
    started = home.start()
    ready_s = wait_for(lambda: "dashboard" in home.output() or started.poll() is not None, 300)
    if ready_s is None or started.poll() is not None:
        table.check("ready", "<= 300 s", home.output()[-300:], False)
        return table
    readings: list[Reading] = []
    sizes: list[dict[str, float]] = []
    began = time.monotonic()
    with kept.open("w") as file:
        while started.poll() is None and (at_s := time.monotonic() - began) < hours * 3600:
            new = list(_read_memory(home, at_s))
            readings += new
            if not sizes or at_s - sizes[-1]["at_s"] >= _SIZES_EVERY_S:
                sizes.append({"at_s": at_s, **_read_sizes(home)})
                file.write(json.dumps(sizes[-1]) + "\n")
            file.writelines(
                json.dumps([reading.name, reading.pid, round(reading.at_s), round(reading.memory_mb, 1)]) + "\n"
                for reading in new
            )
            file.flush()
            time.sleep(_READ_EVERY_S)
    table.check(
        "still running at the end", "yes", "no" if started.poll() is not None else "yes", started.poll() is None
    )
    started.send_signal(signal.SIGTERM)
    table.same("exit code", started.wait(300), 0)
    table.same("left behind after the stop", home.leavings(), [])
    _judge(table, readings, sizes)
    return table


def _judge(table: Table, readings: Sequence[Reading], sizes: Sequence[Mapping[str, float]]) -> None:
    for (name, pid, _), found in sorted(settled(readings).items()):
        slope = slope_mb_h(found)
        table.check(
            f"{name} ({pid}): growth of its memory, from {found[0].memory_mb:.0f} MB",
            f"< {_SLOPE_LIMIT_MB_H:g} MB/h",
            f"{slope:+.1f} MB/h",
            slope < _SLOPE_LIMIT_MB_H,
        )
    if len(sizes) > 1:
        first, last = sizes[0], sizes[-1]
        hours = (last["at_s"] - first["at_s"]) / 3600 or 1
        for name in sorted(set(first) & set(last) - {"at_s"}):
            table.figures[f"{name}: at the end, a hour"] = (
                f"{last[name]:,.1f}, {(last[name] - first[name]) / hours:+,.1f}"
            )


def _read_memory(home: Home, at_s: float) -> Iterable[Reading]:
    for process in home.processes():
        try:
            name, began = name_of(process), process.create_time()
            memory = process.memory_info()
            memory_mb = (memory.rss - memory.shared) / 1e6
        except psutil.Error:
            continue
        yield Reading(name, process.pid, began, at_s, memory_mb)


def name_of(process: psutil.Process) -> str:
    """Name a process by what it runs: the last module or program of its command line, without options."""
    command = process.cmdline()
    for flag, word in itertools.pairwise(command):
        if flag == "-m":
            rest = [part for part in command[command.index(word) + 1 :] if part in ("grpc", "execute_run", "run")]
            return " ".join([word, *rest[:1]])
    return Path(command[0]).name if command else process.name()


def _read_sizes(home: Home) -> dict[str, float]:
    """Return megabytes of each schema, of the segments and of Dagster's files, and rows of Dagster's event log."""
    sizes = {
        "segments (MB)": _folder_mb(home.path / "segments"),
        "Dagster's files (MB)": _folder_mb(home.path / "dagster"),
        "logs (MB)": _folder_mb(home.path / "logs"),
        "sandbox (MB)": _folder_mb(home.path / "sandbox"),
    }
    try:
        with home.connect() as connection:
            rows = connection.execute(
                """SELECT n.nspname AS schema, sum(pg_total_relation_size(c.oid))::float8 / 1e6 AS mb
                   FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                   WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^(pg_|information)' GROUP BY 1"""
            ).fetchall()
            sizes |= {f"schema {row['schema']} (MB)": row["mb"] for row in rows}
            for table in ("event_logs", "runs"):
                row = connection.execute(f"SELECT count(*)::float8 AS n FROM dagster.{table}").fetchone()
                sizes[f"rows of dagster.{table}"] = row["n"] if row else 0.0
    except (psycopg.Error, OSError):
        return sizes
    return sizes


def _folder_mb(folder: Path) -> float:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total / 1e6


def main() -> None:
    """Run the soak in a temporary home and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--keep", action="store_true", help="keep the home for a look")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    home = Home.make(folder / "home")
    print(f"CROSSBOOK_HOME={home.path}", file=sys.stderr, flush=True)
    try:
        table = run(home, options.hours, folder / "readings.jsonl")
    finally:
        if not options.keep:
            home.clear()
    print(table.render())
    sys.exit(0 if table.is_ok else 1)


if __name__ == "__main__":
    main()
