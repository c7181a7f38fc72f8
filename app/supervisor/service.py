"""`crossbook up`: start everything in order, keep it running, stop it in order, leave no process behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import psycopg

from app.brief_warehouse import brief_connection
from app.doors.links import first_link
from app.kill import record_kills_on_disk
from app.queries.status import system_status
from app.stop_request import STOP_WANTED, hear_stop
from app.supervisor import plan
from app.supervisor.backup_pause import end_dead_pause
from app.supervisor.causes import cause_in
from app.supervisor.checks.logins import check_logins
from app.supervisor.checks.preflight import check_all
from app.supervisor.children import Child, end_leftovers, wait_until
from app.supervisor.dagster_api import TRADING_JOBS, DagsterApi
from app.supervisor.database import DatabaseChild
from app.supervisor.disk import KEPT_JOBS, DiskGuard
from app.supervisor.errands import Errand, within
from app.supervisor.state import HomeLock
from app.supervisor.telling.alarms import Alarms
from app.supervisor.telling.dead_man import DeadManPing
from app.supervisor.telling.vital_signs import VitalSigns
from app.supervisor.trading_switch import reduce_for_stop, resume_after_stop
from app.supervisor.watch import ChildLost, FirstPass, Supervised, Watch
from streams.addresses import shown_database_address
from streams.disk import is_full
from streams.log_files import trim_log
from streams.logs import get_logger
from streams.market.errors import ConfigurationError, StreamsError, TransientError
from streams.private_folders import home_socket
from streams.process_id import private_memory_mb, session_cpu_s
from streams.processes.handover import SecretsDesk
from streams.processes.parts import RUNS, Process, environment_of, secrets_of
from streams.settings import PROJECT_ROOT, Settings
from streams.storage.access.logins import Login
from streams.storage.access.reader_limits import reader_limits
from streams.storage.database import database_dsn, embedded_server
from streams.storage.kill_files import prepare_kills
from streams.storage.reader.watchdog import ReaderWatchdog
from streams.storage.schema import migrate
from streams.storage.server.patience import Patience

_EFFORT_INTERVAL_S = 2.0
_READY_INTERVAL_S = 0.3
_LOG_TRIM_INTERVAL_S = 10.0
_DISK_INTERVAL_S = 5.0
_KILLS_INTERVAL_S = 1.0
_TRADES_END_MARGIN_S = 5.0
"""A stop waits for hedges under way as long as they may take, and this much longer: one that is left is naked."""
_RUNS_END_LIMIT_S = 30.0
_WAREHOUSE_LIMIT_S = 15.0
"""How long a stop waits for the warehouse to take the switch, and for its closing summary."""
_APPLICATION = "crossbook supervisor"

log = get_logger(room="supervisor")


class Supervisor:
    """One start of one home, from the lock to the last process gone."""

    def __init__(self, settings: Settings, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._report = report
        self._lock = HomeLock(settings.home_dir)
        self._stop = STOP_WANTED
        self._dagster_variables: dict[str, str] = {}
        self._desk: SecretsDesk | None = None
        self._children: list[Child] = []
        self._dagster = DagsterApi(home_socket(settings.home_dir, "dagster.sock"))
        self._watchdog: ReaderWatchdog | None = None
        self._alarms = Alarms(settings, report)
        self._said: set[str] = set()
        self._first_pass = FirstPass(self._dagster, self._alarms, report)

    def run(self, seconds: float | None) -> dict[str, Any]:
        """Start, wait for a signal or `seconds` after ready, stop; return the closing summary (a status document).

        A signal is a wanted stop, also during the start and before this was made (`app.stop_request`).

        Raises:
            ConfigurationError: If the start is refused. Nothing is left running.
            TransientError: If the start failed, or something that is needed was lost. Nothing is left running.
        """
        hear_stop()
        self._lock.acquire()
        summary: dict[str, Any] = {}
        try:
            ended = end_leftovers(self._settings.home_dir, term_limit_s=10)
            if ended:
                self._report(f"ended {ended} processes that an earlier start left")
            check_all(self._settings)
            try:
                self._start_all()
                self._watch(seconds)
            except (StreamsError, psycopg.Error, OSError) as error:
                # a step that ends with an error because of the stop, like a program that Ctrl-C reached too
                if not self._stop.is_set():
                    raise
                if not isinstance(error, _Interrupted):
                    log.warning("what was under way was broken off", reason=str(error))
                self._report("asked to stop before everything was ready")
            finally:
                summary = self._stop_all()
        finally:
            self._alarms.settle()
            self._lock.release()
        return summary

    # -- start ------------------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        settings = self._settings
        self._step("PostgreSQL", self._start_database)
        if settings.venues == "sandbox":
            self._step("sandbox exchanges", self._start_sandbox)
        self._step("Dagster's storage", self._prepare_dagster)
        self._step("warehouse models", lambda: self._run_module("orchestration.dbt.project", Process.PREPARE_VIEWS))
        dagster_variables = self._dagster_variables
        self._desk = SecretsDesk(settings, {run: secrets_of(settings, run, dagster_variables) for run in RUNS})
        self._launch(plan.warm_runner_child(settings, dagster_variables))
        dagster = plan.dagster_children(settings, dagster_variables)
        for child in [*dagster[:2], *plan.interface_children(settings)]:
            self._launch(child)
        self._step("Dagster, dashboard, API", self._await_children)
        self._step("runs of an earlier start", self._end_orphaned_runs)
        self._resume_trading()
        self._launch(dagster[2])
        self._step("Dagster's daemon", lambda: self._await_ready(dagster[2]))
        shown = plan.addresses(settings, self._sql_address())
        self._lock.publish(shown, is_ready=True)
        self._first_pass.look(time.monotonic())
        self._report(f"mode: venues {settings.venues}, trading {settings.trading_mode}")
        for name, address in shown.items():
            self._report(f"  {name:<12}{address}")
        self._show_link()

    def _show_link(self) -> None:
        """Show a link that signs the person at this terminal in: on the terminal alone, never in a file."""
        try:
            link = first_link(self._settings) if sys.stdout.isatty() else ""
        except StreamsError as error:
            self._report(f"nobody can sign in: {error}")
            return
        if link:
            print(f"  {'sign in':<12}{link}", "(once, within 15 minutes)", flush=True)
        else:
            self._report("to sign in, open the link that `crossbook login` prints")

    def _start_database(self) -> None:
        limits = reader_limits(self._settings)
        if self._settings.database_url is None:
            server = embedded_server(self._settings)
            server.start(self._stop.is_set)
            if self._stop.is_set():
                raise _Interrupted
            server.create_logins(limits)
        try:
            refused = migrate(database_dsn(self._settings, Login.OWNER), self._settings.venues, limits)
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConfigurationError(f"DATABASE_URL cannot be reached: {reason}") from None
        check_logins(self._settings)
        if refused:
            log.warning("readers are not held to all limits; an administrator may run the rest", sql="; ".join(refused))
        self._watchdog = ReaderWatchdog(
            lambda: database_dsn(self._settings, Login.INTERFACE),
            limits,
            self._settings.reader_look_ms / 1000,
            memory_of=private_memory_mb if self._settings.database_url is None else None,
        )
        self._watchdog.start()

    def _sql_address(self) -> str:
        """The embedded server's read-only login, or the given server without its password."""
        address = database_dsn(self._settings, Login.READER)
        if self._settings.database_url is None:
            return address
        return shown_database_address(address)

    def _start_sandbox(self) -> None:
        from streams.venues.credentials.keystore import ensure_sandbox_credentials

        ensure_sandbox_credentials(self._settings)
        child = plan.sandbox_child(self._settings)
        self._launch(child)
        self._await_ready(child)

    def _prepare_dagster(self) -> None:
        printed = self._run_module("orchestration.runtime.instance", Process.PREPARE_DAGSTER)
        self._dagster_variables = json.loads(printed)

    def _end_orphaned_runs(self) -> None:
        self._run_module("orchestration.runtime.orphaned_runs", Process.END_ORPHANS)

    def _launch(self, child: Child) -> None:
        child.start()
        self._children.append(child)

    def _await_children(self) -> None:
        for child in self._children:
            self._await_ready(child)

    def _await_ready(self, child: Child) -> None:
        def settled() -> bool:
            return self._stop.is_set() or not child.is_running or child.is_ready()

        if not self._await(settled, child.effort):
            error = self._dagster.load_error() if child.name == "webserver" else ""
            said = cause_in(error) if error else child.last_words()
            raise TransientError(f"{child.name} does not get ready ({said}); see {child.log_path}")
        if self._stop.is_set():
            raise _Interrupted
        if not child.is_running:
            raise TransientError(f"{child.name} ended with {child.exit_code}: {child.last_words()}")

    def _await(self, is_settled: Callable[[], bool], effort: Callable[[], tuple[float, int]]) -> bool:
        """Wait for something to settle while it gets on; False when it does not any more."""
        patience = Patience(time.monotonic())
        look_at = 0.0
        while not is_settled():
            now = time.monotonic()
            if now >= look_at:  # a look at every process of the machine costs more than what is waited for
                look_at = now + _EFFORT_INTERVAL_S
                if patience.is_over(now, effort()):
                    return False
            time.sleep(_READY_INTERVAL_S)
        return True

    def _run_module(self, module: str, process: Process) -> str:
        """Run one of our modules to its end, for as long as it gets on; return what it said on stdout."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            started = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", module],
                env=environment_of(self._settings, process, self._dagster_variables),
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                is_settled = self._await(
                    lambda: self._stop.is_set() or started.poll() is not None,
                    lambda: (session_cpu_s(started.pid), os.fstat(err.fileno()).st_size),
                )
            finally:
                started.kill()
                started.wait()
            if self._stop.is_set():
                raise _Interrupted
            said, wrong = (_text(file) for file in (out, err))
        if not is_settled:
            raise TransientError(f"{module} does not come to an end: {cause_in(wrong)}")
        if started.returncode != 0:
            raise TransientError(f"{module} failed: {cause_in(wrong or said)}")
        return said

    def _step(self, what: str, act: Callable[[], object]) -> None:
        if self._stop.is_set():
            raise _Interrupted
        started = time.monotonic()
        act()
        self._report(f"{what} ready in {time.monotonic() - started:.1f} s")

    # -- watch ------------------------------------------------------------------------------------------------------

    def _watch(self, seconds: float | None) -> None:
        """Look after everything until a signal, or for so many seconds.

        Raises:
            TransientError: If something that is needed keeps ending.
        """
        started = now = time.monotonic()
        watched: list[Supervised] = [*self._children]
        if self._settings.database_url is None:
            watched.insert(0, DatabaseChild(embedded_server(self._settings)))
        watch = Watch(watched, self._alarms, self._report, partial(is_full, self._settings))
        disk = DiskGuard(self._settings, self._alarms, self._end_batch_runs)
        signs = VitalSigns(self._settings, self._alarms)
        ping = DeadManPing(self._settings, signs.why_ill, self._alarms)
        errands = (
            Errand("logs", self._trim_logs, _LOG_TRIM_INTERVAL_S),
            Errand("kills on disk", self._record_kills, _KILLS_INTERVAL_S),
            Errand("disk", disk.look, _DISK_INTERVAL_S),
            Errand("our pauses", partial(self._see_to_pauses, disk), _DISK_INTERVAL_S),
        )
        looks = (watch.look, self._first_pass.look, signs.look, ping.look, *(errand.look for errand in errands))
        while not self._stop.wait(0.5) and (seconds is None or now - started < seconds):
            now = time.monotonic()
            self._lock.check()
            for look in looks:
                self._looked(look, now)

    def _looked(self, look: Callable[[float], object], now: float) -> None:
        """Look once. What goes wrong with that, but for the loss of a child, ends nothing; it is said once."""
        try:
            look(now)
        except ChildLost:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if reason not in self._said:
                self._said.add(reason)
                log.warning("a look failed", reason=reason)

    def _see_to_pauses(self, disk: DiskGuard) -> None:
        """One after the other: each opens a connection."""
        self._end_dead_pause()
        disk.follow()

    def _trim_logs(self) -> None:
        for path in self._log_paths():
            trim_log(path)

    def _log_paths(self) -> list[Path]:
        outputs = (self._settings.home_dir / "dagster" / "storage").glob("*/compute_logs/*")
        paths = [path for path in outputs if path.suffix in (".err", ".out")]  # of runs, which may last for weeks
        paths += [child.log_path for child in self._children]
        return paths if self._settings.database_url else [*paths, embedded_server(self._settings).log_path]

    def _record_kills(self) -> None:
        with suppress(OSError, ConfigurationError):
            prepare_kills(self._settings.home_dir)
        recorded = record_kills_on_disk(self._settings)
        if recorded:
            self._report(f"a kill that lay on disk is recorded; trading is killed ({recorded})")

    def _end_dead_pause(self) -> None:
        with (
            suppress(StreamsError, psycopg.Error, OSError),
            brief_connection(self._settings, _APPLICATION) as connection,
        ):
            if end_dead_pause(connection, self._settings.home_dir):
                self._report("a backup was broken off; trading goes on")

    def _end_batch_runs(self) -> None:
        """End the runs that neither record nor trade."""
        with suppress(TransientError):
            runs = [run["runId"] for run in self._dagster.unfinished_runs() if run["jobName"] not in KEPT_JOBS]
            self._dagster.end_runs(runs)

    # -- stop -------------------------------------------------------------------------------------------------------

    def _stop_all(self) -> dict[str, Any]:
        """Stop in order; every step is tried even when an earlier one failed."""
        self._report("stopping")
        with suppress(StreamsError, psycopg.Error, OSError):  # there may be no database yet, or it hangs
            within(_WAREHOUSE_LIMIT_S, self._reduce_trading)
        self._stop_children(["daemon"])
        if any(child.name == "webserver" for child in self._children):
            self._tried(lambda: self._dagster.end_runs(self._dagster.runs_of({"hedged_trade"})))
            if not wait_until(self._trades_have_ended, self._settings.execution_max_s + _TRADES_END_MARGIN_S, 0.3):
                log.warning("trading runs did not end in time; the next start reconciles them")
            self._tried(self._end_runs)
        self._stop_children(["runner", "code-server", "doors", "webserver", "dashboard", "api", "sandbox"])
        summary = self._summary()
        if self._watchdog is not None:
            self._tried(self._watchdog.stop)
        self._tried(lambda: end_leftovers(self._settings.home_dir, term_limit_s=5))
        self._tried(self._drop_sockets)
        if self._desk is not None:
            self._tried(self._desk.close)
        if self._settings.database_url is None:
            self._tried(embedded_server(self._settings).stop)
        return summary

    def _drop_sockets(self) -> None:
        """Remove the sockets of processes that had to be killed."""
        for name in plan.SOCKETS:
            home_socket(self._settings.home_dir, name).unlink(missing_ok=True)

    def _tried(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            log.warning("a step of the stop failed", reason=f"{type(error).__name__}: {error}")

    def _stop_children(self, names: list[str]) -> None:
        by_name = {child.name: child for child in self._children}
        for name in names:
            if name in by_name:
                self._tried(by_name[name].stop)

    def _trades_have_ended(self) -> bool:
        try:
            return not self._dagster.runs_of(TRADING_JOBS)
        except TransientError:
            return True

    def _end_runs(self) -> None:
        """Ask the recorders, and whatever else still runs, to end; recorders drain first."""
        try:
            left = [run["runId"] for run in self._dagster.unfinished_runs() if run["status"] != "QUEUED"]
            self._dagster.end_runs(left)
            if left:
                wait_until(self._runs_have_ended, _RUNS_END_LIMIT_S, 0.3)
        except TransientError as error:
            log.warning("runs are ended with their processes", reason=str(error))

    def _runs_have_ended(self) -> bool:
        return all(run["status"] == "QUEUED" for run in self._dagster.unfinished_runs())

    def _reduce_trading(self) -> None:
        with brief_connection(self._settings, _APPLICATION) as connection:
            reduce_for_stop(connection)

    def _resume_trading(self) -> None:
        self._record_kills()
        with brief_connection(self._settings, _APPLICATION) as connection:
            resume_after_stop(connection)

    def _summary(self) -> dict[str, Any]:
        if self._watchdog is None:  # the database was not ready yet
            return {}
        try:
            return within(_WAREHOUSE_LIMIT_S, self._status)
        except (StreamsError, psycopg.Error, OSError) as error:
            log.warning("no closing summary", reason=str(error))
            return {}

    def _status(self) -> dict[str, Any]:
        with brief_connection(self._settings, _APPLICATION) as connection:
            return system_status(connection, trading_mode=self._settings.trading_mode)


class _Interrupted(StreamsError):
    """A signal arrived during the start."""

    def __str__(self) -> str:
        return "stopped before everything was ready"


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
