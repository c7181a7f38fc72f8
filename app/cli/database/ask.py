"""`crossbook sql`: one query, or psql, as the reader and nobody else."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from app.cli.output import ExitCode, JsonOption, emit_lines, fail
from app.cli.warehouse import open_warehouse, warehouse_dsn
from streams.storage.access.logins import Login

if TYPE_CHECKING:
    from streams.settings import Settings

_NO_READER = (
    "The reader has no login: set CROSSBOOK_DATABASE_URL_READER; `crossbook database sql` says how to make one."
)
_MISSING = ("function trading.read_as_reader", 'schema "trading"')


def register(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command("sql")(sql)


def sql(
    query: Annotated[str | None, typer.Argument(help="One query; without it, psql opens.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Query the warehouse as its reader, who can change nothing."""
    import psycopg

    from streams.settings import load_settings

    settings = load_settings()
    has_reader = settings.database_url is None or settings.database_url_reader is not None
    if query is None:
        if not has_reader:
            fail(_NO_READER, ExitCode.USAGE)
        _open_psql(warehouse_dsn(settings, Login.READER))
    try:
        rows = _ask(settings, query) if has_reader else _ask_through_the_owner(settings, query)
    except UnicodeEncodeError:
        fail("The query is no valid Unicode.", ExitCode.USAGE)
    except psycopg.Error as error:
        fail(str(error).strip())
    emit_lines(rows, as_json=as_json)


def _ask(settings: Settings, query: str) -> list[dict[str, object]]:
    from psycopg.rows import tuple_row

    from app.cli.database.answers import prepare, rows_of

    with open_warehouse(settings, Login.READER) as connection:
        prepare(connection)
        connection.execute("SET default_transaction_read_only = on")
        connection.execute("SET search_path = analytics, raw, trading")
        connection.execute("SET datestyle = ISO")
        with connection.cursor(row_factory=tuple_row) as cursor:
            return rows_of(cursor.execute(query.encode()))


def _ask_through_the_owner(settings: Settings, query: str) -> list[dict[str, object]]:
    """Ask by a function of the reader's, in which no role can be taken back; it takes one query that returns rows."""
    import psycopg

    from app.cli.database.answers import parse_row
    from streams.storage.store.warehouse import read_as_reader

    with open_warehouse(settings) as connection:
        connection.execute("SET default_transaction_read_only = on")
        try:
            rows = read_as_reader(connection, query.strip().rstrip(";"))
        except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName) as error:
            if (error.diag.message_primary or "").startswith(_MISSING):
                fail(_NO_READER, ExitCode.USAGE)
            raise
        return [parse_row(row) for row in rows]


def _open_psql(dsn: str) -> NoReturn:
    """Become psql. Its address, password included, stands in its environment, which only its user may read."""
    from streams.processes.parts import without_secrets
    from streams.storage.server.embedded import binaries_dir

    found = shutil.which("psql") or str(binaries_dir() / "psql")
    environment = without_secrets(os.environ) | psql_environment(dsn)
    os.execve(found, [found], environment)  # noqa: S606 - replaces this process on purpose


def psql_environment(dsn: str) -> dict[str, str]:
    """Return the variables by which libpq finds an address, and what psql shows first."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    from streams.storage.access.sessions import PINNED_ENVIRONMENT, libpq_environment, session_options

    options = "-c default_transaction_read_only=on -c search_path=analytics,raw,trading"
    own = " ".join(filter(None, [str(conninfo_to_dict(dsn).get("options") or ""), options]))
    given = make_conninfo(dsn, options=session_options(make_conninfo(options=own)))
    return {**libpq_environment(given), **PINNED_ENVIRONMENT}
