"""From a signal to its first order through Dagster, in a whole running system, against the stock run launcher.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}, in milliseconds. A system of its own starts
in a temporary home with free ports and trades against its sandbox. For each execution that was its signal's first
attempt and the first of its run, the times in Postgres tell: signal opened -> run created (sensor) -> run started
(launcher, import, Dagster's own start) -> execution (gate, fresh books, plan) -> first order sent. Then the socket of
the warm runner is moved aside, so that the same runs take the stock launcher's way in the same system, and back.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
from psycopg.rows import dict_row

from orchestration.resources.warm_protocol import socket_path
from streams.settings import load_settings
from streams.storage.database import database_dsn

ROOT = Path(__file__).resolve().parents[2]
PORTS = (
    "DAGSTER_PORT",
    "DASHBOARD_PORT",
    "API_PORT",
    "CODE_SERVER_PORT",
    "KALSHI_SANDBOX_PORT",
    "POLYMARKET_SANDBOX_PORT",
    "POSTGRES_PORT",
)
WARM, STOCK = 20, 5
"""Executions wanted of each way."""
LEAST = 3
LIMIT_S = {"warm": 240.0, "stock": 100.0}
STEPS = (
    ("signal_to_run", "opened_at", "created_at"),
    ("run_to_start", "created_at", "began_at"),
    ("start_to_execution", "began_at", "started_at"),
    ("execution_to_order", "started_at", "sent_at"),
    ("signal_to_first_order", "opened_at", "sent_at"),
)
QUERY = """
    WITH firsts AS (
        SELECT DISTINCT ON (e.run_id) e.run_id, e.execution_id, e.started_at, e.attempt, s.opened_at,
            (SELECT min(o.sent_at) FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
             WHERE i.execution_id = e.execution_id) AS sent_at
        FROM trading.executions AS e JOIN trading.signals AS s USING (signal_id)
        WHERE e.run_id <> '' ORDER BY e.run_id, e.execution_id
    )
    SELECT f.opened_at, r.create_timestamp AT TIME ZONE 'UTC' AS created_at, to_timestamp(r.start_time) AS began_at,
        f.started_at, f.sent_at
    FROM firsts AS f JOIN dagster.runs AS r USING (run_id)
    WHERE f.attempt = 1 AND f.sent_at IS NOT NULL AND r.start_time IS NOT NULL
        AND f.opened_at > %(since)s AND r.create_timestamp AT TIME ZONE 'UTC' > %(since)s
    ORDER BY f.sent_at"""


@dataclass(frozen=True)
class System:
    """A running system: its process, its database and the socket of its warm runner."""

    process: subprocess.Popen[bytes]
    dsn: str
    warm_socket: Path


@contextmanager
def running_system() -> Iterator[System]:
    """Start `crossbook up` in a temporary home, wait for its database, and stop and delete it afterwards."""
    with tempfile.TemporaryDirectory(prefix="crossbook-bench-") as folder:
        home = Path(folder) / "home"
        os.environ.pop("DATABASE_URL", None)
        os.environ["CROSSBOOK_HOME"] = str(home)
        holders = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
        for name, holder in zip(PORTS, holders, strict=True):
            os.environ[f"CROSSBOOK_{name}"] = str(holder.getsockname()[1])
            holder.close()
        command = [sys.executable, "-m", "app.cli.main"]
        with (Path(folder) / "up.log").open("wb") as log:
            process = subprocess.Popen([*command, "up"], cwd=ROOT, stdout=log, stderr=log)
        try:
            settings = load_settings()
            deadline = time.monotonic() + 120
            while not socket_path(settings).exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the system did not start: {(Path(folder) / 'up.log').read_text()[-2000:]}")
                time.sleep(0.5)
            yield System(process, database_dsn(settings), socket_path(settings))
        finally:
            process.terminate()
            process.wait(150)
            subprocess.run([*command, "reset", "--yes"], cwd=ROOT, capture_output=True)


def measure(dsn: str, wanted: int, limit_s: float) -> list[dict[str, Any]]:
    """Wait until there are `wanted` executions that began after now, or the limit, and return their times."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        now = connection.execute("SELECT now() AS now").fetchone()
        assert now is not None
        deadline = time.monotonic() + limit_s
        while True:
            rows = _rows(connection, now["now"])
            if len(rows) >= wanted or time.monotonic() > deadline:
                return rows
            time.sleep(2)


def _rows(connection: psycopg.Connection[dict[str, Any]], since: object) -> list[dict[str, Any]]:
    try:
        return connection.execute(QUERY, {"since": since}).fetchall()
    except psycopg.errors.UndefinedTable:  # the system is still making its tables
        return []


def durations_ms(rows: list[dict[str, Any]], begin: str, end: str) -> list[float]:
    """Return the milliseconds between two of the times of each row."""
    return [(row[end] - row[begin]).total_seconds() * 1000 for row in rows]


def p90(values: list[float]) -> float:
    """Return the 90th percentile."""
    return quantiles(values, n=10, method="inclusive")[8]


def report(warm: list[dict[str, Any]], stock: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows: median and p90 of each step, the stock launcher's figure as the baseline."""
    results = []
    for name, begin, end in STEPS:
        ours, theirs = durations_ms(warm, begin, end), durations_ms(stock, begin, end)
        for suffix, figure in (("median", median), ("p90", p90)):
            value, other = figure(ours), figure(theirs)
            results.append(
                {
                    "name": f"{name}_{suffix}",
                    "value": round(value),
                    "unit": "ms",
                    "baseline": f"the stock launcher ({len(ours)} warm, {len(theirs)} stock runs)",
                    "baseline_value": round(other),
                    "ratio": round(value / other, 3) if other else None,
                }
            )
    return results


def main() -> None:
    """Measure both ways and print."""
    with running_system() as system:
        warm = measure(system.dsn, WARM, LIMIT_S["warm"])
        aside = system.warm_socket.with_suffix(".aside")
        system.warm_socket.rename(aside)
        try:
            stock = measure(system.dsn, STOCK, LIMIT_S["stock"])
        finally:
            aside.rename(system.warm_socket)
    if min(len(warm), len(stock)) < LEAST:
        sys.exit(f"too few executions to tell: {len(warm)} warm, {len(stock)} by the stock launcher")
    print(json.dumps(report(warm, stock)))


if __name__ == "__main__":
    main()
