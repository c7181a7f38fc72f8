"""`up`, `down`, `reset`, `status`, `doctor`, `sql`: the commands that concern the whole system."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from typing import Annotated, Any

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail
from app.cli.warehouse import open_warehouse, warehouse_dsn
from app.supervisor.state import read_state
from streams.market.errors import ConfigurationError, StreamsError
from streams.settings import Settings, load_settings


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    cli.command("up")(up)
    cli.command("down")(down)
    cli.command("reset")(reset)
    cli.command("status")(status)
    cli.command("doctor")(doctor)
    cli.command("sql")(sql)


def up(
    seconds: Annotated[float | None, typer.Option(help="Stop this many seconds after everything is ready.")] = None,
    i_understand: Annotated[
        bool, typer.Option("--i-understand", help="Needed for live orders on live venues.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    from app.supervisor.service import Supervisor
    from streams.logs import configure_logs

    settings = load_settings(**({"i_understand": True} if i_understand else {}))
    configure_logs(settings.log_level)
    try:
        summary = Supervisor(settings, lambda line: print(line, file=sys.stderr, flush=True)).run(seconds)
    except ConfigurationError:
        raise
    except StreamsError as error:
        fail(f"The start failed: {error}")
    if as_json:
        emit_document(summary, as_json=True)
    else:
        _print_summary(summary)


def down(as_json: JsonOption = False) -> None:
    """Stop what runs in this home and wait until it is gone."""
    settings = load_settings()
    state = read_state(settings.home_dir)
    if state is None:
        fail(f"Nothing runs in {settings.home_dir}.", ExitCode.NOT_RUNNING)
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + 180
    while read_state(settings.home_dir) is not None:
        if time.monotonic() > deadline:
            fail("It did not stop within three minutes; look at the logs.")
        time.sleep(0.2)
    emit_document({"stopped": True}, as_json=as_json)


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete everything the sandbox has made: exchanges, database, recordings, runs. Only in the sandbox."""
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
    embedded_server(settings).destroy()
    for name in ("sandbox", "segments", "dagster", "dbt", "logs", "run", "postgres"):
        shutil.rmtree(settings.home_dir / name, ignore_errors=True)
    emit_document({"reset": True}, as_json=as_json)


def status(as_json: JsonOption = False) -> None:
    """Print what runs and what has been counted so far."""
    from app.queries.status import system_status

    settings = load_settings()
    state = read_state(settings.home_dir)
    if state is None:
        fail(f"Nothing runs in {settings.home_dir}; start it with `make up`.", ExitCode.NOT_RUNNING)
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
    from app.supervisor.doctor import examine

    findings = examine(load_settings())
    emit_lines(
        ({"check": found.check, "ok": found.is_ok, "found": found.found, "remedy": found.remedy} for found in findings),
        as_json=as_json,
    )
    if not all(found.is_ok for found in findings):
        raise typer.Exit(int(ExitCode.ERROR))


def sql(
    query: Annotated[str | None, typer.Argument(help="One query; without it, psql opens.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Query the warehouse as its reader, who can change nothing."""
    import psycopg

    settings = load_settings()
    dsn = warehouse_dsn(settings)
    if query is None:
        _open_psql(settings, dsn)
        return
    try:
        with open_warehouse(settings) as connection:
            _become_reader(connection)
            cursor = connection.execute(query.encode())
            rows = cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        fail(str(error).strip())
    emit_lines(rows, as_json=as_json)


def _become_reader(connection: Any) -> None:
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'crossbook_reader'").fetchone()
    if found:
        connection.execute("SET ROLE crossbook_reader")
    connection.execute("SET default_transaction_read_only = on")
    connection.execute("SET search_path = analytics, raw, trading")


def _open_psql(settings: Settings, dsn: str) -> None:
    from streams.storage.embedded import binaries_dir

    found = shutil.which("psql") or str(binaries_dir() / "psql")
    options = "-c default_transaction_read_only=on -c search_path=analytics,raw,trading"
    if settings.database_url is None:
        options += " -c role=crossbook_reader"
    os.execve(found, [found, dsn], {**os.environ, "PGOPTIONS": options})  # noqa: S606 - replaces this process on purpose


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
    print(f"trades: {len(summary['trades'])}, pnl_usd: {summary['pnl_usd']}")
