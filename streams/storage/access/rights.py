"""Bring the roles of a database to what this version needs: groups, their rights, and who owns what."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from streams.market.errors import ConfigurationError
from streams.storage.access.logins import GROUPS, Login
from streams.storage.access.reader_limits import ReaderLimits, database_statements, login_statements
from streams.storage.outages import is_catalogue_race, is_lock_refused

_SQL = Path(__file__).parent / "sql"
_PATIENCE_S = 60.0
_UNUSED_ROLE = "crossbook_face"
_LOGIN = """
DO $login$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN
        CREATE ROLE {name} LOGIN;
    END IF;
END $login$;
GRANT {group} TO {name};"""


AnyConnection = psycopg.Connection[Any]


def make_groups(connection: AnyConnection) -> bool:
    """Make the group roles that are missing; return whether all are there. Where roles may not be made, none are."""
    try:
        connection.execute(_text("roles"))
    except psycopg.errors.InsufficientPrivilege:
        found = connection.execute(
            "SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s)", ([login.role for login in GROUPS],)
        ).fetchone()
        return found is not None and found[0] == len(GROUPS)
    return True


def give_rights(connection: AnyConnection) -> None:
    """Give each group exactly its rights, and hand over what dbt and Dagster own. Run as the owner, after migrating.

    Nothing is done where the group roles are missing, as on a server where the owner may not make them: then one login
    does everything. What an open query holds is waited for.

    Raises:
        ConfigurationError: If a table that changes its owner was in use for a whole minute.
    """
    if not make_groups(connection):
        return
    _drop_unused(connection)
    with connection.transaction():
        connection.execute(_text("rights"))
    for name in ("ownership", "opening", "query"):
        # What may not be done is found by the start's checks, where somebody needs it.
        with suppress(psycopg.errors.InsufficientPrivilege):
            _run_patiently(connection, _text(name))


def make_login(connection: AnyConnection, name: str, login: Login, password: str) -> None:
    """Make a login that is a member of its group, or give the one there its password; as a superuser."""
    role, group = sql.Identifier(name), sql.Identifier(login.role)
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    connection.execute(sql.SQL("GRANT {} TO {}").format(group, role))
    connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
    if login.owns_objects:
        connection.execute(sql.SQL("ALTER ROLE {} SET role = {}").format(role, sql.Literal(login.role)))


def administrator_sql(owner: str, database: str, limits: ReaderLimits | None = None) -> str:
    """Return what an administrator of a server runs once, and again after an upgrade: groups, logins, rights, owners.

    It is plain SQL, safe to repeat, and names no password: each login gets its own from the administrator.

    Args:
        owner: Login that migrates.
        database: Where it is run.
        limits: What the reader is held to; default those of the settings' defaults.
    """
    logins = {login: login_name(login) for login in GROUPS}
    parts = [
        f"-- Roles and rights of Crossbook in database {_one_line(database)}, whose owner is {_one_line(owner)}.",
        "-- An administrator runs it in that database (psql -f), before the first start and after each upgrade.",
        _text("roles"),
        "-- A login for each kind of process. Each gets its password from you, like this or by \\password in psql:",
        *(f"--   ALTER ROLE {name} PASSWORD '<password of {login}>';" for login, name in logins.items()),
    ]
    for login, name in logins.items():
        parts.append(_LOGIN.format(name=name, group=login.role))
        if login.owns_objects:
            parts.append(f"ALTER ROLE {name} SET role = '{login.role}';")
    parts += [
        "\n-- What the reader may take of the server, and the owner's right to see and end its sessions.",
        *(
            f"{statement.as_string(None)};"
            for statement in login_statements(logins[Login.READER], limits or ReaderLimits())
        ),
        *(_where_there_is(statement.as_string(None)) for statement in database_statements(database)),
        f"GRANT pg_read_all_stats, pg_signal_backend TO {_quoted(owner)};",
        "\n-- The owner may hand over what dbt and Dagster make, and let people read as the reader.",
        f"GRANT crossbook_dbt, crossbook_dagster, crossbook_reader TO {_quoted(owner)};",
        f"GRANT CREATE, TEMPORARY ON DATABASE {_quoted(database)} TO {_quoted(owner)};",
        f"GRANT TEMPORARY ON DATABASE {_quoted(database)} TO {Login.DBT.role};\n",
        f"SET ROLE {_quoted(owner)};",
        _text("rights"),
        "RESET ROLE;\n",
        _text("ownership"),
    ]
    return "\n".join(parts)


def login_name(login: Login) -> str:
    """Return the name that `administrator_sql` gives a login."""
    return f"{login.role}_login"


def _where_there_is(statement: str) -> str:
    """Return a statement that says nothing where its function or schema is not on the server."""
    block = f"BEGIN {statement}; EXCEPTION WHEN undefined_function OR invalid_schema_name THEN NULL; END"
    return f"DO {_literal(block)};"


def _drop_unused(connection: AnyConnection) -> None:
    """Drop the role that an earlier version made and nothing used, unless another database of the server has it."""
    try:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(_UNUSED_ROLE)))
    except (
        psycopg.errors.DependentObjectsStillExist,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.InternalError_,  # another database's start drops it at the same moment
    ):
        return


def _run_patiently(connection: AnyConnection, statement: str) -> None:
    """Run a statement that waits for a lock only a moment at a time, so that nobody queues behind it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '200ms'")
                connection.execute(statement)
            return
        except (psycopg.errors.LockNotAvailable, psycopg.InternalError) as error:
            if not is_lock_refused(error) and not is_catalogue_race(error):
                raise
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    "Tables of analytics or dagster are in use by another session, so their owner cannot be changed; "
                    "end that session and start again."
                ) from None
            time.sleep(0.1)


def _text(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _one_line(name: str) -> str:
    """Return a name that cannot end the comment it stands in."""
    return " ".join(name.split())
