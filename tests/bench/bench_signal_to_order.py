"""From a signal to its orders through Dagster, in a whole running system; the launch against the stock launcher.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}, in milliseconds. A system of its own starts
in a temporary home with free ports and trades against its sandbox. For the first execution of each signal the times in
Postgres tell: signal opened -> run created (sensor) -> run started (launcher, Dagster's own start) -> execution (gate,
fresh books, plan) -> first order sent -> an order of every leg sent. Where the legs left one after the other, from the
answer to the first to the sending of the second; where they left at once, how far from the plan. First the armed run
takes them. Then this program takes the account over, so
that no run is armed, and each signal gets a run of its own after two seconds: the baseline, in steps as `cold`. Then
the socket of the warm runner is moved aside for a while, so that runs of the same system take the stock launcher's way.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
from psycopg.rows import dict_row

from orchestration.execution.armed.account_lease import AccountLease, account_name
from orchestration.runtime.warm_protocol import socket_path
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.database import connect, database_dsn
from streams.storage.store.leases import find_lease
from tests.support.whole_home import Home, wait_for

WANTED, WANTED_COLD = 20, 3
"""Executions to wait for: of the armed run, and of runs that were started for them."""
LIMIT_S = 180.0
STOCK_S = 60.0
EXECUTIONS = """
    SELECT * FROM (
        SELECT r.pipeline_name AS job, s.opened_at, r.create_timestamp AT TIME ZONE 'UTC' AS created_at,
            to_timestamp(r.start_time) AS began_at, e.started_at,
            o.sent_at, CASE WHEN o.legs = jsonb_array_length(e.detail -> 'plan' -> 'legs') THEN o.all_sent_at END
                AS all_sent_at,
            CASE WHEN e.detail ? 'sends' THEN NULL ELSE o.answered_at END AS answered_at, o.second_at,
            e.detail -> 'sends' AS sends
        FROM trading.executions AS e JOIN trading.signals AS s USING (signal_id) JOIN dagster.runs AS r USING (run_id)
        CROSS JOIN LATERAL (
            SELECT count(*) AS legs, min(sent_at) AS sent_at, max(sent_at) AS all_sent_at,
                (array_agg(answered_at ORDER BY sent_at))[1] AS answered_at,
                (array_agg(sent_at ORDER BY sent_at))[2] AS second_at
            FROM (SELECT i.leg_no, min(o.sent_at) AS sent_at,
                      (array_agg(o.answered_at ORDER BY o.sent_at))[1] AS answered_at
                  FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                  WHERE i.execution_id = e.execution_id AND o.sent_at IS NOT NULL GROUP BY i.leg_no) AS leg
        ) AS o
        WHERE e.attempt = 1 AND r.start_time IS NOT NULL
    ) AS found WHERE sent_at BETWEEN %(since)s AND %(until)s ORDER BY sent_at"""
LAUNCHES = """
    SELECT * FROM (
        SELECT create_timestamp AT TIME ZONE 'UTC' AS created_at, to_timestamp(start_time) AS began_at
        FROM dagster.runs WHERE pipeline_name IN ('hedged_trade', 'hedge', 'settle_trades') AND start_time IS NOT NULL
    ) AS found WHERE created_at BETWEEN %(since)s AND %(until)s ORDER BY created_at"""
STEPS = (
    ("signal_to_run", "opened_at", "created_at"),
    ("run_to_start", "created_at", "began_at"),
    ("start_to_execution", "began_at", "started_at"),
    ("execution_to_order", "started_at", "sent_at"),
)


@dataclass(frozen=True)
class System:
    """A running system: its database and the socket of its warm runner."""

    settings: Settings
    dsn: str
    warm_socket: Path


@contextmanager
def running_system() -> Iterator[System]:
    """Start `crossbook up` in a temporary home, wait for its database, and stop and delete it afterwards."""
    with tempfile.TemporaryDirectory(prefix="crossbook-bench-") as folder:
        home = Home.make(Path(folder) / "home")
        process = home.start()
        try:
            socket = socket_path(home.settings())
            if wait_for(lambda: socket.exists() or process.poll() is not None, 120) is None or not socket.exists():
                raise RuntimeError(f"the system did not start: {home.output()[-2000:]}")
            yield System(home.settings(), database_dsn(home.settings(), Login.OWNER), socket)
        finally:
            process.terminate()
            process.wait(150)
            home.clear()


class Times:
    """Reads the times of executions and of launches from a running system."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def rows(self, query: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """Return the rows of one of the queries; none while the system still makes its tables."""
        with psycopg.connect(self._dsn, row_factory=dict_row) as connection:
            try:
                return connection.execute(query, {"since": since, "until": until}).fetchall()
            except psycopg.errors.UndefinedTable:
                return []

    def wait(self, job: str, wanted: int, since: datetime) -> list[dict[str, Any]]:
        """Return the executions of a job's runs since then once there are enough, or when the limit is reached."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            rows = [row for row in self.rows(EXECUTIONS, since, datetime.now(UTC)) if row["job"] == job]
            if len(rows) >= wanted or time.monotonic() > deadline:
                return rows
            time.sleep(2)


@contextmanager
def nobody_armed(system: System) -> Iterator[None]:
    """Hold the account in the place of the armed run, which ends, and state the version it was started with."""
    with connect(system.dsn) as connection:
        held = find_lease(connection, account_name(system.settings.trading_mode))
    if held is None:
        sys.exit("no run is armed")
    lease = AccountLease(system.dsn, system.settings, "bench", detail=lambda: held.detail, on_end=sys.exit)
    lease.arm(lambda: True)
    try:
        yield
    finally:
        lease.give_back()


def durations_ms(rows: list[dict[str, Any]], begin: str, end: str) -> list[float]:
    """Return the milliseconds between two of the times of each row that has both."""
    return [(row[end] - row[begin]).total_seconds() * 1000 for row in rows if row[begin] and row[end]]


def off_plan_ms(rows: list[dict[str, Any]]) -> list[float]:
    """Return how far from its plan each order left that was held back so that all legs match together."""
    sends = [row["sends"] for row in rows if row["sends"]]
    return [
        abs(left - planned)
        for sent in sends
        for planned, left in zip(sent["planned_ms"], sent["left_ms"], strict=True)
        if planned and left is not None
    ]


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


FIGURES: tuple[tuple[str, Callable[[list[float]], float]], ...] = (
    ("median", median),
    ("p95", partial(percentile, percent=95)),
    ("p99", partial(percentile, percent=99)),
)


def lines(name: str, values: list[float], baseline: str | None = None, others: list[float] | None = None) -> list[Any]:
    """Return median, p95 and p99 of some durations as results; nothing without any."""
    results = []
    for suffix, figure in FIGURES if values else ():
        other = figure(others) if others else None
        results.append(
            {
                "name": f"{name}_{suffix}",
                "value": round(figure(values)),
                "unit": "ms",
                "baseline": f"{baseline} ({len(values)} against {len(others or [])})" if other else None,
                "baseline_value": round(other) if other else None,
                "ratio": round(figure(values) / other, 3) if other else None,
            }
        )
    return results


def report(
    armed: list[dict[str, Any]], cold: list[dict[str, Any]], warm: list[dict[str, Any]], stock: list[dict[str, Any]]
) -> list[Any]:
    """Return the results of executions, and of launches by both launchers."""
    results = lines(
        "signal_to_first_order",
        durations_ms(armed, "opened_at", "sent_at"),
        "a run started for the signal",
        durations_ms(cold, "opened_at", "sent_at"),
    )
    results += lines(
        "signal_to_all_legs",
        durations_ms(armed, "opened_at", "all_sent_at"),
        "a run started for the signal",
        durations_ms(cold, "opened_at", "all_sent_at"),
    )
    results += lines("answer_to_next_leg", durations_ms(armed, "answered_at", "second_at"))
    results += lines("legs_at_once_off_plan", off_plan_ms(armed))
    for name, begin, end in STEPS:
        results += lines(f"cold_{name}", durations_ms(cold, begin, end))
    results += lines(
        "launch_to_start_of_run",
        durations_ms(warm, "created_at", "began_at"),
        "the stock launcher in the same system",
        durations_ms(stock, "created_at", "began_at"),
    )
    return results


def main() -> None:
    """Measure and print."""
    with running_system() as system:
        times, begun = Times(system.dsn), datetime.now(UTC)
        armed = times.wait("hedged_trade", WANTED, begun)
        with nobody_armed(system):
            cold = times.wait("hedge", WANTED_COLD, datetime.now(UTC))
        warm_until = datetime.now(UTC)
        aside = system.warm_socket.with_suffix(".aside")
        system.warm_socket.rename(aside)
        try:
            time.sleep(STOCK_S)
        finally:
            aside.rename(system.warm_socket)
        warm = times.rows(LAUNCHES, begun, warm_until)
        stock = times.rows(LAUNCHES, warm_until, datetime.now(UTC))
    if not (armed and cold and warm and stock):
        sys.exit(
            f"too little to tell from: {len(armed)} and {len(cold)} executions, {len(warm)} and {len(stock)} launches"
        )
    print(json.dumps(report(armed, cold, warm, stock)))


if __name__ == "__main__":
    main()
