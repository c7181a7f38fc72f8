"""What `kill -9` leaves whole: `python -m tests.proofs.kills`, or `make proof-kills`.

In one home: the recorder run is killed while it records; later the whole tree (supervisor, Dagster, runs, sandbox,
PostgreSQL) while orders are on their way; then `up` is started again. Afterwards everything that was received and
everything that was traded is counted again from its origin: the segment files and the venues' own lists.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from streams.market.errors import StreamsError
from streams.storage.database import Connection, embedded_server
from streams.storage.store.leases import is_holder_dead
from tests.proofs.accounts import read_cash, read_fills
from tests.proofs.segments_again import compare
from tests.proofs.table import Table
from tests.support.whole_home import Home, wait_for

_OPEN = "('PLANNED', 'OPENING', 'COMPLETING', 'UNWINDING')"
_UNRESOLVED = "('prepared', 'sent', 'unknown', 'resting')"
_ENDED = "('SUCCESS', 'FAILURE', 'CANCELED')"


@dataclass
class InFlight:
    """What was under way when everything was killed."""

    executions: list[int] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


def run(home: Home) -> Table:
    """Kill the recorder, kill everything, start again, count again."""
    table = Table("kill -9 of the recorder run, then of the whole tree")
    started = home.start()
    if wait_for(lambda: _hedged(home) >= 3, limit_s=180) is None:
        table.check("hedged trades before anything is killed", ">= 3", home.output()[-300:], False)
        return table
    _kill_recorder(table, home)
    in_flight = _kill_everything(table, home, started)
    started = home.start()
    _check_recovery(table, home, in_flight)
    started.send_signal(signal.SIGTERM)
    table.same("exit code of the start after the kill, when stopped", started.wait(180), 0)
    table.same("left behind after the stop", home.leavings(), [])
    with home.only_database() as connection:
        check_segments(table, connection)
    return table


def _hedged(home: Home) -> int:
    try:
        with home.connect() as connection:
            return _number(connection, "SELECT count(*) FROM trading.executions WHERE state IN ('HEDGED', 'SETTLED')")
    except (psycopg.Error, OSError):
        return 0


# -- the recorder ----------------------------------------------------------------------------------------------------


def _kill_recorder(table: Table, home: Home) -> None:
    with home.connect() as connection:
        wait_for(lambda: _recorder(connection) != "", 30)
        holder = _recorder(connection)
        os.kill(int(holder.split(":")[-2]), signal.SIGKILL)
        last_killed = _number(connection, "SELECT max(segment_id) FROM raw.segments")
        leased = wait_for(lambda: _recorder(connection) not in ("", holder), 60, 0.1)
        query = f"SELECT count(*) FROM raw.segments WHERE segment_id > {last_killed} AND deltas > 0"
        recorded = wait_for(lambda: _number(connection, query) > 0, 60, 0.1)
        took = None if leased is None or recorded is None else leased + recorded
        table.check(
            "recorder killed: another has committed new deltas after",
            "<= 30 s",
            "never" if took is None else f"{took:.1f} s (lease after {leased:.1f} s)",
            took is not None and took <= 30,
        )
        query = "SELECT count(*) FROM raw.coverage WHERE state = 'gap' AND cause = 'killed'"
        table.least("gaps 'killed' in the coverage", _number(connection, query), 1)
        healed = wait_for(lambda: _number(connection, f"{query} AND ended_at IS NULL") == 0, 60)
        table.check("those gaps have ended", "<= 60 s", healed and f"{healed:.1f} s", healed is not None)


def _recorder(connection: Connection) -> str:
    """Return the live holder of the first shard, empty when there is none."""
    row = connection.execute(
        "SELECT holder FROM trading.leases WHERE name = 'shard:0' AND released_at IS NULL AND expires_at > now()"
    ).fetchone()
    return "" if row is None or is_holder_dead(row["holder"]) else str(row["holder"])


# -- everything ------------------------------------------------------------------------------------------------------


def _kill_everything(table: Table, home: Home, started: subprocess.Popen[str]) -> InFlight:
    in_flight = InFlight()
    with home.connect() as connection:
        server = embedded_server(home.settings()).running_pid()
        known = [process.pid for process in home.processes()]
        deadline = time.monotonic() + 120
        while not in_flight.orders and time.monotonic() < deadline:
            in_flight = _under_way(connection)
            time.sleep(0.005)
    _kill([started.pid, *([server] if server else []), *known])
    while left := [process.pid for process in home.processes()]:
        _kill(left)
        time.sleep(0.05)
    started.wait()
    table.least("orders on their way when everything was killed", len(in_flight.orders), 1)
    table.figures["executions open then"] = str(len(in_flight.executions))
    table.figures["Dagster runs unfinished then"] = str(len(in_flight.runs))
    return in_flight


def _under_way(connection: Connection) -> InFlight:
    with connection.transaction():
        orders = connection.execute(f"SELECT order_id FROM trading.orders WHERE state IN {_UNRESOLVED}").fetchall()
        if not orders:
            return InFlight()
        executions = connection.execute(
            f"SELECT execution_id FROM trading.executions WHERE state IN {_OPEN}"
        ).fetchall()
        runs = connection.execute(f"SELECT run_id FROM dagster.runs WHERE status NOT IN {_ENDED}").fetchall()
    return InFlight(
        [row["execution_id"] for row in executions],
        [row["order_id"] for row in orders],
        [row["run_id"] for row in runs],
    )


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# -- the next start --------------------------------------------------------------------------------------------------


def _check_recovery(table: Table, home: Home, in_flight: InFlight) -> None:
    began = time.monotonic()
    ready = wait_for(lambda: home.ask("status")[0] == 0, 120)
    table.check("the next start answers", "<= 120 s", ready and f"{ready:.0f} s", ready is not None)
    with home.connect() as connection:
        orders = f"""SELECT count(*) FROM trading.orders
            WHERE order_id = ANY(%(orders)s) AND state IN {_UNRESOLVED}"""
        executions = f"""SELECT count(*) FROM trading.executions
            WHERE execution_id = ANY(%(executions)s) AND state IN {_OPEN}"""
        runs = f"""SELECT count(*) FROM dagster.runs
            WHERE run_id = ANY(%(runs)s) AND status NOT IN {_ENDED}"""
        for what, query in {
            "orders of before without a last word": orders,
            "executions of before still open": executions,
            "Dagster runs of before not ended": runs,
        }.items():
            took = wait_for(lambda q=query: _number(connection, q, vars(in_flight)) == 0, 60)  # type: ignore[misc]
            since = f"0, {time.monotonic() - began:.0f} s after the start was asked for"
            table.check(what, "0 within a minute of ready", since if took is not None else "some", took is not None)
        states = connection.execute(
            "SELECT state, count(*) AS n FROM trading.executions WHERE execution_id = ANY(%s) GROUP BY 1",
            (in_flight.executions,),
        ).fetchall()
        table.figures["they ended as"] = ", ".join(f"{row['n']} {row['state']}" for row in states) or "none was open"
        deltas = _number(connection, "SELECT sum(deltas) FROM raw.segments")
        recording = wait_for(lambda: _number(connection, "SELECT sum(deltas) FROM raw.segments") > deltas, 60)
        table.check("recording goes on", "more deltas", recording and f"{recording:.0f} s", recording is not None)
        check_accounts(table, home, connection)
        query = "SELECT count(*) FROM trading.executions WHERE state = 'ESCALATED'"
        table.figures["executions ESCALATED"] = str(_number(connection, query))


def check_accounts(table: Table, home: Home, connection: Connection) -> None:
    """Compare fills, and cash once nothing is in flight, with the venues; pauses trading."""
    _check_fills(table, home, connection)
    # Open trades finish and nothing new opens, so that a moment comes in which nothing is in flight at a venue.
    home.ask("trade", "pause", "--reason", "accounts are compared")
    readings: dict[str, set[int]] = {}
    wait_for(lambda: _add_readings(readings, home.settings(), connection) == 2, 180)
    for venue in ("kalshi", "polymarket"):
        found = sorted(readings.get(venue, set()))
        table.check(f"{venue}: venue's cash less ledger (1e-6 usd)", "[0]", found, found == [0])


def _check_fills(table: Table, home: Home, connection: Connection) -> None:
    """The venues' lists of our fills and ours must become the same: the exchanges kept theirs, we lost none."""
    found: dict[str, Any] = {}

    def are_equal() -> bool:
        try:
            fills = read_fills(home.settings(), connection)
        except StreamsError:
            return False
        found.update({str(venue): (len(mine.at_venue), len(mine.in_tables)) for venue, mine in fills.items()})
        return all(mine.at_venue == mine.in_tables for mine in fills.values())

    is_equal = wait_for(are_equal, 60, 1.0) is not None
    table.check("fills at the venues = fills in the tables", "equal sets", found, is_equal and bool(found))
    doubled = """SELECT count(*) FROM (SELECT 1 FROM trading.fills GROUP BY venue, venue_fill_id, order_id
        HAVING count(*) > 1) AS twice"""
    table.same("fills kept twice", _number(connection, doubled), 0)


def _add_readings(readings: dict[str, set[int]], settings: Any, connection: Connection) -> int:
    for reading in read_cash(settings, connection):
        readings.setdefault(str(reading.venue), set()).add(reading.cash_e6 - reading.ledger_e6)
    return len(readings)


# -- counted again ---------------------------------------------------------------------------------------------------


def check_segments(table: Table, connection: Connection) -> None:
    """Read the segment files again and compare them with the rows."""
    found = compare(connection)
    table.least("frames in the segment files, read again", found.frames, 10_000)
    table.same("segments whose frames are not what was counted", found.miscounted, [])
    table.same("segments not closed", found.not_closed, 0)
    table.same("segment files gone", found.missing, 0)
    table.check(
        "level changes in the files that are no row", "0", f"{found.lost} of {found.changes:,}", found.lost == 0
    )
    table.check("rows that no level change gives", "0", f"{found.doubled} of {found.rows:,}", found.doubled == 0)
    table.figures["segments with a torn tail"] = f"{found.torn} of {found.segments}"
    connections = "SELECT count(*) FROM raw.connections WHERE ended_at IS NULL"
    table.same("connections without an end", _number(connection, connections), 0)


def _number(connection: Connection, query: str, parameters: Any = None) -> int:
    row = connection.execute(query, parameters).fetchone()
    return int(next(iter(row.values())) or 0) if row else 0


def main() -> int:
    """Run the proof in a temporary home and print the table."""
    parser = argparse.ArgumentParser(description="Kill the recorder, then everything, and check what is left whole.")
    parser.add_argument("--keep", action="store_true", help="keep the home, for looking at what was found")
    arguments = parser.parse_args()
    home = Home.make(Path(tempfile.mkdtemp(prefix="crossbook-kills-")) / "home")
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} in {home.path}", file=sys.stderr, flush=True)
    try:
        table = run(home)
    finally:
        if not arguments.keep:
            home.clear()
    print(table.render())
    return 0 if table.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
