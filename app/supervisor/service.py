"""`crossbook up`: start everything in order, keep it running, stop it in order, leave no process behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from app.queries.status import system_status
from app.supervisor import plan
from app.supervisor.children import Child, end_leftovers, wait_until
from app.supervisor.dagster_api import DagsterApi
from app.supervisor.preflight import check_all
from app.supervisor.state import HomeLock
from streams.logs import get_logger
from streams.market.errors import ConfigurationError, StreamsError, TransientError
from streams.market.trading import SwitchState
from streams.settings import PROJECT_ROOT, Settings
from streams.storage.database import connect, database_dsn, embedded_server
from streams.storage.schema import migrate
from streams.storage.store.risk import current_switch, last_switch, set_switch

_READY_LIMIT_S = 120.0
_RESTARTS_MAX = 5
_TRADES_END_LIMIT_S = 20.0
_RUNS_END_LIMIT_S = 30.0
_STOPPED_BY = "supervisor"

log = get_logger(room="supervisor")


class Supervisor:
    """One start of one home, from the lock to the last process gone."""

    def __init__(self, settings: Settings, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._report = report
        self._lock = HomeLock(settings.home_dir)
        self._stop = threading.Event()
        self._environment: dict[str, str] = {}
        self._children: list[Child] = []
        self._dagster = DagsterApi(settings.dagster_port)

    def run(self, seconds: float | None) -> dict[str, Any]:
        """Start, wait for a signal or `seconds` after ready, stop; return the closing summary (a status document).

        Raises:
            ConfigurationError: If the start is refused. Nothing is left running.
        """
        self._lock.acquire()
        summary: dict[str, Any] = {}
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: self._stop.set())
            ended = end_leftovers(self._settings.home_dir, term_limit_s=10)
            if ended:
                self._report(f"ended {ended} processes that an earlier start left")
            check_all(self._settings)
            try:
                self._start_all()
                self._watch(seconds)
            finally:
                summary = self._stop_all()
        finally:
            self._lock.release()
        return summary

    # -- start ------------------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        settings = self._settings
        self._environment = plan.base_environment(settings)
        self._step("PostgreSQL", self._start_database)
        if settings.venues == "sandbox":
            self._step("sandbox exchanges", self._start_sandbox)
        self._step("Dagster's storage", self._prepare_dagster)
        self._step("warehouse models", lambda: self._run_module("orchestration.dbt.project"))
        self._launch(plan.warm_runner_child(settings, self._environment))
        dagster = plan.dagster_children(settings, self._environment)
        for child in [*dagster[:2], *plan.interface_children(settings, self._environment)]:
            self._launch(child)
        self._step("Dagster, dashboard, API", self._await_children)
        self._step("runs of an earlier start", lambda: self._run_module("orchestration.runtime.orphaned_runs"))
        self._resume_trading()
        self._launch(dagster[2])
        shown = plan.addresses(settings, self._sql_address())
        self._lock.publish(shown, is_ready=True)
        run_id = self._dagster.launch("first_pass")
        self._report(f"first_pass runs as {run_id}")
        self._report(f"mode: venues {settings.venues}, trading {settings.trading_mode}")
        for name, address in shown.items():
            self._report(f"  {name:<12}{address}")

    def _start_database(self) -> None:
        if self._settings.database_url is None:
            embedded_server(self._settings).start()
        try:
            migrate(database_dsn(self._settings), self._settings.venues)
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConfigurationError(f"DATABASE_URL cannot be reached: {reason}") from None
        if self._settings.database_url is None:
            embedded_server(self._settings).create_reader_login()

    def _sql_address(self) -> str:
        """The embedded server's read-only login, or the given server without its password."""
        if self._settings.database_url is None:
            return embedded_server(self._settings).reader_dsn()
        parts = psycopg.conninfo.conninfo_to_dict(database_dsn(self._settings))
        return f"postgresql://{parts.get('user')}@{parts.get('host')}:{parts.get('port', 5432)}/{parts.get('dbname')}"

    def _start_sandbox(self) -> None:
        from streams.venues.credentials.keystore import ensure_sandbox_credentials

        ensure_sandbox_credentials(self._settings)
        child = plan.sandbox_child(self._settings, self._environment)
        self._launch(child)
        self._await_ready(child)

    def _prepare_dagster(self) -> None:
        self._environment |= json.loads(self._run_module("orchestration.runtime.instance"))

    def _launch(self, child: Child) -> None:
        child.start()
        self._children.append(child)

    def _await_children(self) -> None:
        for child in self._children:
            self._await_ready(child)

    def _await_ready(self, child: Child) -> None:
        def settled() -> bool:
            return self._stop.is_set() or not child.is_running or child.is_ready()

        if not wait_until(settled, _READY_LIMIT_S):
            raise TransientError(f"{child.name} did not get ready in {_READY_LIMIT_S:.0f} s; see {child.log_path}")
        if self._stop.is_set():
            raise _Interrupted
        if not child.is_running:
            raise TransientError(f"{child.name} ended with {child.exit_code}: {child.last_words()}")

    def _run_module(self, module: str) -> str:
        result = subprocess.run(  # noqa: S603 - our own modules
            [sys.executable, "-m", module],
            env=self._environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=_READY_LIMIT_S,
        )
        if result.returncode != 0:
            lines = (result.stderr.strip() or result.stdout.strip() or "no reason given").splitlines()
            raise TransientError(f"{module} failed: {lines[-1]}")
        return result.stdout

    def _step(self, what: str, act: Callable[[], object]) -> None:
        if self._stop.is_set():
            raise _Interrupted
        started = time.monotonic()
        act()
        self._report(f"{what} ready in {time.monotonic() - started:.1f} s")

    # -- watch ------------------------------------------------------------------------------------------------------

    def _watch(self, seconds: float | None) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._stop.wait(0.5):
            if deadline is not None and time.monotonic() >= deadline:
                return
            for child in self._children:
                if not child.is_running:
                    self._restart(child)

    def _restart(self, child: Child) -> None:
        child.restarts += 1
        if child.restarts > _RESTARTS_MAX:
            raise TransientError(f"{child.name} keeps ending ({child.exit_code}): {child.last_words()}")
        log.warning("child ended, started again", child=child.name, exit_code=child.exit_code, restarts=child.restarts)
        self._report(f"{child.name} ended with {child.exit_code} and is started again")
        child.stop()
        child.start()

    # -- stop -------------------------------------------------------------------------------------------------------

    def _stop_all(self) -> dict[str, Any]:
        """Stop in order; every step is tried even when an earlier one failed."""
        self._report("stopping")
        by_name = {child.name: child for child in self._children}
        with suppress(StreamsError, psycopg.Error, OSError):
            self._reduce_trading()
        self._stop_children(by_name, ["daemon"])
        if "webserver" in by_name:
            if not wait_until(self._trades_have_ended, _TRADES_END_LIMIT_S, 0.3):
                log.warning("trading runs did not end in time; the next start reconciles them")
            self._end_runs()
        self._stop_children(by_name, ["runner", "code-server", "webserver", "dashboard", "api", "sandbox"])
        summary = self._summary()
        end_leftovers(self._settings.home_dir, term_limit_s=5)
        if self._settings.database_url is None:
            embedded_server(self._settings).stop()
        return summary

    def _stop_children(self, by_name: dict[str, Child], names: list[str]) -> None:
        for name in names:
            if name in by_name:
                by_name[name].stop()

    def _trades_have_ended(self) -> bool:
        try:
            return not any(run["jobName"] == "hedged_trade" for run in self._dagster.unfinished_runs())
        except TransientError:
            return True

    def _end_runs(self) -> None:
        """Ask the recorders, and whatever else still runs, to end; recorders drain first."""
        try:
            left = [run["runId"] for run in self._dagster.unfinished_runs() if run["status"] != "QUEUED"]
            if left:
                self._dagster.end_runs(left)
                wait_until(self._runs_have_ended, _RUNS_END_LIMIT_S, 0.3)
        except TransientError as error:
            log.warning("runs are ended with their processes", reason=str(error))

    def _runs_have_ended(self) -> bool:
        return all(run["status"] == "QUEUED" for run in self._dagster.unfinished_runs())

    def _reduce_trading(self) -> None:
        """Switch to `reduce` for the stop, remembering in the row what was in force."""
        with connect(database_dsn(self._settings)) as connection:
            before = current_switch(connection)
            if before in ("run", "pause"):
                set_switch(connection, "reduce", _STOPPED_BY, f"stop; was {before}")

    def _resume_trading(self) -> None:
        """Set the switch back to what it was before our own last stop; a switch that a person set stays."""
        with connect(database_dsn(self._settings)) as connection:
            last = last_switch(connection)
            if last is not None and last.set_by == _STOPPED_BY and last.state == "reduce":
                before: SwitchState = "pause" if last.reason.endswith(" pause") else "run"
                set_switch(connection, before, _STOPPED_BY, "start")

    def _summary(self) -> dict[str, Any]:
        try:
            with connect(database_dsn(self._settings)) as connection:
                return system_status(connection, trading_mode=self._settings.trading_mode)
        except (StreamsError, psycopg.Error) as error:
            log.warning("no closing summary", reason=str(error))
            return {}


class _Interrupted(StreamsError):
    """A signal arrived during the start."""

    def __str__(self) -> str:
        return "stopped before everything was ready"
