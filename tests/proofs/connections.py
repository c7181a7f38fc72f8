"""How many connections a running system has open: `python -m tests.proofs.connections`, or `make proof-connections`.

Without `--limit` it runs on the embedded server, and what is open there is the measured truth of CONNECTIONS_NEEDED.
With `--limit 20` it runs on a server of its own with `max_connections=20`, a plain owner and the defaults of another
country, and the line must come to rows in every mart. `--kill-after 60` kills the
database meanwhile, and no run may fail for it. Exit code 1 if anything fails.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from app.supervisor.checks.database_check import CONNECTIONS_NEEDED
from streams.storage.database import Connection, connect, embedded_server
from streams.storage.server.embedded import EmbeddedServer
from tests.proofs.table import Table
from tests.support.ports import free_port
from tests.support.whole_home import Home, wait_for

_EVERY_S = 0.2
_START_LIMIT_S = 240.0
_SQL = """
SELECT coalesce(nullif(application_name, ''), usename, '?') AS who FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_DEFAULTS = {"datestyle": "German, DMY", "timezone": "Asia/Kathmandu", "intervalstyle": "iso_8601"}


class Sampler(threading.Thread):
    """Counts open connections each 0.2 s: the most ever, how often how many, and who had them at the most."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._end = threading.Event()
        self.counts: Counter[int] = Counter()
        self.at_most: Counter[str] = Counter()
        self.most_of: Counter[str] = Counter()

    @property
    def most(self) -> int:
        """Most connections ever open at once."""
        return max(self.counts, default=0)

    def run(self) -> None:
        """Look until told to end; a server that is not there yet is asked again."""
        while not self._end.is_set():
            try:
                with connect(self._dsn, application="proof") as connection:
                    while not self._end.wait(_EVERY_S):
                        self._look(connection)
            except (psycopg.Error, OSError):
                self._end.wait(_EVERY_S)

    def _look(self, connection: Connection) -> None:
        who = Counter(str(row["who"]) for row in connection.execute(_SQL).fetchall())
        if who.total() > self.most:
            self.at_most = who
        self.counts[who.total()] += 1
        for name, count in who.items():
            self.most_of[name] = max(self.most_of[name], count)

    def end(self) -> None:
        """Stop looking."""
        self._end.set()
        self.join()


class SmallServer:
    """A server with few connections whose defaults are another country's, and a plain owner of one database."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._server = EmbeddedServer(home=folder, port=free_port())
        self._server.start()
        with connect(self._server.dsn("postgres")) as connection:
            connection.execute("CREATE ROLE desk LOGIN CREATEROLE PASSWORD 'desk'")
            connection.execute("CREATE DATABASE desk OWNER desk ENCODING 'UTF8' TEMPLATE template0")
            for name, value in _DEFAULTS.items():
                connection.execute(f"ALTER DATABASE desk SET {name} = '{value}'")
        said = Path(f"/proc/{self._server.running_pid()}/cmdline").read_text()
        # The session that looks on has a slot of its own.
        self._command = [*said.rstrip("\0").split("\0"), "-c", f"max_connections={limit + 1}"]
        self.superuser = self._server.dsn("desk")
        self.owner = make_conninfo(self.superuser, user="desk", password="desk")
        self.launch()

    def launch(self) -> None:
        """Start it as it starts itself, but with fewer connections; one that runs is stopped before."""
        self._server.stop()
        self._server._make_socket_dir()
        with self._server.log_path.open("ab") as log:
            subprocess.Popen(self._command, stdout=log, stderr=log, **self._server._identity())
        while not self._server.answers():
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it without a word, and start it again five seconds later."""
        pid = self._server.running_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        time.sleep(5)
        self.launch()

    def destroy(self) -> None:
        """Stop it and delete its data."""
        self._server.destroy()


def run(home: Home, small: SmallServer | None, seconds: float, needed: int, kill_after_s: float) -> Table:
    """Run the line, kill its database on the way, and return what was found."""
    place = "the embedded server" if small is None else f"a server with max_connections={needed}"
    table = Table(f"Connections of a running system, {seconds:.0f} s after ready, on {place}")
    started = home.start("--seconds", str(seconds))
    if small is None:
        password = home.path / "postgres" / "pg_password"
        while not (password.exists() and password.read_text()) and started.poll() is None:
            time.sleep(0.1)
    sampler = Sampler(small.superuser if small else embedded_server(home.settings()).dsn())
    sampler.start()
    try:
        wait_for(lambda: "  api  " in home.output() or started.poll() is not None, _START_LIMIT_S)
        if kill_after_s and wait_for(lambda: started.poll() is not None, kill_after_s) is None:
            _kill(home, small)
        code = started.wait(seconds + _START_LIMIT_S)
    finally:
        sampler.end()
    table.same("exit code", code, 0)
    _check_line(table, home.summary())
    with home.only_database() if small is None else connect(small.superuser) as connection:
        failed = connection.execute(
            "SELECT pipeline_name AS job, count(*) AS n FROM dagster.runs WHERE status = 'FAILURE' GROUP BY 1"
        ).fetchall()
    table.same("Dagster runs that failed", [f"{row['n']} {row['job']}" for row in failed], [])
    table.check("most connections open", f"<= {needed}", sampler.most, 0 < sampler.most <= needed)
    table.figures["how often how many were open"] = str(dict(sorted(sampler.counts.items())))
    table.figures["who had them at the most"] = str(dict(sampler.at_most.most_common()))
    table.figures["the most of each"] = str(dict(sampler.most_of.most_common()))
    return table


def _kill(home: Home, small: SmallServer | None) -> None:
    if small is not None:
        small.kill()
    elif (pid := embedded_server(home.settings()).running_pid()) is not None:
        os.kill(pid, signal.SIGKILL)


def _check_line(table: Table, summary: dict[str, Any]) -> None:
    table.least("markets", sum(summary.get("markets", {}).values()), 600)
    table.least("pairs approved", summary.get("pairs", {}).get("approved", 0), 20)
    table.least("book deltas", summary.get("deltas", 0), 10_000)
    table.least("trades", len(summary.get("trades", [])), 1)
    marts = summary.get("marts", [])
    table.least("marts", len(marts), 1)
    table.same("marts without a row", [mart["name"] for mart in marts if not mart["rows"]], [])


def main() -> int:
    """Run the proof; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--limit", type=int, help="max_connections of a server of its own")
    parser.add_argument("--kill-after", type=float, default=0.0, help="seconds until the database is killed; 0: never")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crossbook-proof-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Home.make(Path(folder) / "home")
        try:
            if arguments.limit is None:
                table = run(home, None, arguments.seconds, CONNECTIONS_NEEDED, arguments.kill_after)
            else:
                small = SmallServer(Path(folder) / "server", arguments.limit)
                home.environment["DATABASE_URL"] = small.owner
                try:
                    table = run(home, small, arguments.seconds, arguments.limit, arguments.kill_after)
                finally:
                    small.destroy()
            if not table.is_ok:
                print(home.output()[-6000:], file=sys.stderr)
        finally:
            home.clear()
    print(table.render())
    return 0 if table.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
