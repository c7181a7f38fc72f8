"""`up`, `down`, `reset`, `status`, `doctor`: the commands that concern the whole system."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from contextlib import suppress
from typing import Annotated, Any, TextIO, cast

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail
from app.cli.warehouse import open_warehouse
from app.supervisor.last_start import forget_last_start, note_start
from app.supervisor.state import HomeLock, read_state
from streams.documents import plain_decimal
from streams.market.errors import ConfigurationError, StreamsError
from streams.outermost import say
from streams.private_folders import drop_socket_folder, home_socket
from streams.settings import Settings, load_settings

_SECONDS_MAX = 1_000_000_000
_LEFT_OVER_LIMIT_S = 30.0
"""How long what a killed start has left may take to end by itself: recorders write out what they hold."""


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    cli.command("up")(up)
    cli.command("down")(down)
    cli.command("reset")(reset)
    cli.command("status")(status)
    cli.command("doctor")(doctor)


def _seconds(text: str) -> float:
    return float(plain_decimal(text))


def up(
    seconds: Annotated[
        float | None,
        typer.Option(parser=_seconds, help="Stop this many seconds after everything is ready."),
    ] = None,
    i_understand: Annotated[
        bool, typer.Option("--i-understand", help="Needed for live orders on live venues.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    from app.supervisor.checks.preflight import check_home
    from app.supervisor.service import Supervisor
    from streams.log_files import LogFile
    from streams.logs import configure_logs

    if seconds is not None and not 0 <= seconds <= _SECONDS_MAX:
        fail(f"--seconds must be a number from 0 to {_SECONDS_MAX}.", ExitCode.USAGE)
    settings = load_settings(**({"i_understand": True} if i_understand else {}))
    check_home(settings.home_dir, 0)
    if read_state(settings.home_dir) is None:
        sys.stderr = cast("TextIO", LogFile(settings.home_dir / "logs" / "supervisor.log", sys.stderr))
    configure_logs(settings.log_level)
    try:
        summary = Supervisor(settings, say).run(seconds)
    except Exception as error:
        if read_state(settings.home_dir) is None:
            note_start(settings.home_dir, str(error) if isinstance(error, StreamsError) else type(error).__name__)
        if isinstance(error, ConfigurationError) or not isinstance(error, StreamsError):
            raise
        fail(f"Crossbook has stopped: {error}")
    note_start(settings.home_dir)
    if as_json:
        emit_document(summary, as_json=True)
    else:
        _print_summary(summary)


def down(as_json: JsonOption = False) -> None:
    """Stop what runs in this home and wait until it is gone; also what a killed `up` has left running."""
    settings = load_settings()
    state = read_state(settings.home_dir)
    if state is None:
        if not _end_left_over(settings):
            fail(f"Nothing runs in {settings.home_dir}.", ExitCode.NOT_RUNNING)
        emit_document({"stopped": True}, as_json=as_json)
        return
    if not state.signal(signal.SIGTERM) and state.is_same(read_state(settings.home_dir)):
        fail("Crossbook runs there as a process that cannot be signalled from here (another user's or container's).")
    deadline = time.monotonic() + 180
    while state.is_same(read_state(settings.home_dir)):
        if time.monotonic() > deadline:
            fail("It did not stop within three minutes; look at the logs.")
        time.sleep(0.2)
    emit_document({"stopped": True}, as_json=as_json)


def _end_left_over(settings: Settings) -> bool:
    """End the processes of a start that was killed, which would go on trading; return whether there were any."""
    from app.supervisor.children import end_leftovers, leftovers
    from streams.storage.database import embedded_server

    server = embedded_server(settings) if settings.database_url is None else None
    serves = False
    with suppress(ConfigurationError):  # its record cannot be read, which the next start says
        serves = server is not None and server.running_pid() is not None
    if not serves and not leftovers(settings.home_dir):
        return False
    lock = HomeLock(settings.home_dir)  # nothing starts meanwhile
    lock.acquire()
    try:
        end_leftovers(settings.home_dir, _LEFT_OVER_LIMIT_S)
        if server is not None:
            server.stop()
        for path in home_socket(settings.home_dir, "any").parent.glob("*.sock"):
            path.unlink(missing_ok=True)
        drop_socket_folder(settings.home_dir)
    finally:
        lock.release()
    return True


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete everything the sandbox has made: exchanges, database, recordings, runs. Only in the sandbox."""
    from app.supervisor.checks.preflight import UNFINISHED_RESTORE
    from app.supervisor.children import end_leftovers
    from streams.storage.database import embedded_server

    settings = load_settings()
    if settings.venues != "sandbox":
        fail("reset deletes data and is for the sandbox only.", ExitCode.REFUSED)
    if settings.database_url is not None:
        fail("reset does not touch the database that DATABASE_URL names; drop it yourself.", ExitCode.REFUSED)
    if read_state(settings.home_dir) is not None:
        fail("Crossbook is running; stop it first (`crossbook down`).", ExitCode.REFUSED)
    if not yes and not typer.confirm(f"Delete all sandbox data in {settings.home_dir}?"):
        fail("Nothing was deleted.", ExitCode.REFUSED)
    lock = HomeLock(settings.home_dir)  # nothing starts meanwhile
    lock.acquire()
    try:
        end_leftovers(settings.home_dir, term_limit_s=10)  # of a start that was killed; they would write on
        embedded_server(settings).destroy()
        for name in ("sandbox", "segments", "dagster", "dbt", "logs", "postgres", "kill"):
            shutil.rmtree(settings.home_dir / name, ignore_errors=True)
        (settings.home_dir / UNFINISHED_RESTORE).unlink(missing_ok=True)
        forget_last_start(settings.home_dir)
        shutil.rmtree(settings.home_dir / "run", ignore_errors=True)
    finally:
        lock.release()
    emit_document({"reset": True}, as_json=as_json)


def status(as_json: JsonOption = False) -> None:
    """Print what runs and what has been counted so far."""
    from app.queries.status import system_status

    settings = load_settings()
    state = read_state(settings.home_dir)
    if state is None:
        fail(f"Nothing runs in {settings.home_dir}; start it with `make up`.", ExitCode.NOT_RUNNING)
    if not state.is_ready:
        fail(f"Crossbook is starting or stopping in {settings.home_dir} (pid {state.pid}).", ExitCode.NOT_RUNNING)
    with open_warehouse(settings) as connection:
        document = {
            **system_status(connection, trading_mode=settings.trading_mode),
            "addresses": state.addresses,
        }
    if as_json:
        emit_document(document, as_json=True)
    else:
        _print_summary(document)
        emit_document({"switch": document["switch"], **document["mode"], **document["addresses"]}, as_json=False)


def doctor(as_json: JsonOption = False) -> None:
    """Look for what is wrong, each finding with a remedy."""
    from app.diagnosis.examination import examine, settings_and_problems

    findings = examine(*settings_and_problems())
    emit_lines(
        ({"check": found.check, "ok": found.is_ok, "found": found.found, "remedy": found.remedy} for found in findings),
        as_json=as_json,
    )
    if not all(found.is_ok for found in findings):
        raise typer.Exit(int(ExitCode.ERROR))


def _print_summary(summary: dict[str, Any]) -> None:
    if not summary:
        print("stopped")
        return
    counted = {
        name: summary[name] for name in ("markets", "candidates", "verdicts", "pairs", "deltas", "gaps", "signals")
    }
    emit_document(counted, as_json=False)
    marts = ", ".join(f"{mart['name']} {mart['rows']}" for mart in summary["marts"])
    print(f"marts: {marts}")
    for mart in [*summary["marts"], *summary["views"]]:
        for test in mart["failed_tests"]:
            since = f"{test['failed_at']:%Y-%m-%d %H:%M} UTC"
            print(f"mart {mart['name']}: data test {test['test']} does not pass since {since}")
    for trade in summary["trades"][:20]:
        print(f"trade {trade['id']}: {trade['state']}, edge {trade['edge_usd']}, pnl {trade['pnl_usd']}")
    for sentence in summary["alerts"]["sentences"]:
        print(f"alerts: {sentence}")
    print(f"trades: {len(summary['trades'])}, pnl_usd: {summary['pnl_usd']}")
