"""`crossbook database sql`: what the administrator of a PostgreSQL server runs for Crossbook."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.output import JsonOption, emit_document

database = typer.Typer(name="database", help="A PostgreSQL server of your own.", no_args_is_help=True)


def register(cli: typer.Typer) -> None:
    """Add the command group `database`."""
    cli.add_typer(database)


@database.callback()
def _group() -> None:
    """Keep `sql` a command of the group although it is the only one."""


@database.command("sql")
def administrator_sql_command(
    owner: Annotated[str, typer.Option(help="Login that migrates; default: the user of DATABASE_URL.")] = "",
    name: Annotated[str, typer.Option(help="Name of the database; default: that of DATABASE_URL.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Print the SQL that makes roles, logins and rights, for an administrator of the server that DATABASE_URL names.

    It can be run again at any time and holds no password: the administrator gives each login its own.
    """
    from psycopg.conninfo import conninfo_to_dict

    from streams.settings import load_settings
    from streams.storage.access.reader_limits import reader_limits
    from streams.storage.access.rights import administrator_sql

    settings = load_settings()
    address = settings.database_url
    parts = conninfo_to_dict(address.get_secret_value()) if address is not None else {}
    user = owner or str(parts.get("user") or "crossbook")
    text = administrator_sql(user, name or str(parts.get("dbname") or user), reader_limits(settings))
    if as_json:
        emit_document({"sql": text}, as_json=True)
    else:
        print(text)
