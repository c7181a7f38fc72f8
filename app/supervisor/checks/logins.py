"""Whether each login can do its work: asked before anything is started, so that no process fails on it later."""

from __future__ import annotations

from typing import Any

import psycopg

from streams.logs import get_logger
from streams.market.errors import ConfigurationError
from streams.settings import Settings, setting_name
from streams.storage.access.logins import GROUPS, Login
from streams.storage.access.sessions import WarehouseConnection
from streams.storage.database import database_dsn
from streams.storage.outages import Trouble, trouble_of
from streams.storage.store.warehouse import stamped_at

_REMEDY = "`crossbook database sql` prints what an administrator runs"
_PLACES = {Login.DAGSTER: ("dagster",), Login.DBT: ("analytics", "analytics_staging", "analytics_intermediate")}


def shared_logins(settings: Settings) -> list[Login]:
    """Return the kinds of process that have no login of their own and use that of `DATABASE_URL`."""
    if settings.database_url is None:
        return []
    return [login for login in GROUPS if getattr(settings, login.field) is None]


def check_logins(settings: Settings) -> None:
    """Log in as each kind of process that has a login of its own, and see that it has its rights, in this database.

    Raises:
        ConfigurationError: At the first that cannot do its work, or at a reader that can do more; names the setting.
    """
    shared = shared_logins(settings)
    own = [login for login in GROUPS if login not in shared]
    if not own:
        return
    with WarehouseConnection.connect(database_dsn(settings, Login.OWNER), autocommit=True) as connection:
        stamp = stamped_at(connection)
    for login in own:
        name = setting_name(login.field) if settings.database_url is not None else f"login {login}"
        try:
            with WarehouseConnection.connect(database_dsn(settings, login), autocommit=True) as connection:
                _check(connection, login, name, stamp)
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[-1]
            if login is Login.READER and (settings.database_url is None or trouble_of(error) is Trouble.BUSY):
                # Its sessions may all be taken, or it has changed its own password: nothing but `sql` needs it.
                get_logger().warning("the reader's login could not be tried", why=reason)
                continue
            raise ConfigurationError(f"{name} cannot be reached: {reason}") from None


def _check(connection: psycopg.Connection[Any], login: Login, name: str, stamp: object) -> None:
    is_there, who, is_super = _one(
        connection,
        "SELECT to_regrole(%s) IS NOT NULL, current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)",
        login.role,
    )
    if not is_there or not _one(connection, "SELECT pg_has_role(session_user, %s, 'usage')", login.role)[0]:
        raise ConfigurationError(f"{name}: {who} is no member of {login.role}; {_REMEDY}.")
    if login is not Login.DAGSTER and stamped_at(connection) != stamp:
        raise ConfigurationError(f"{name} leads to another database than DATABASE_URL.")
    for schema in _PLACES.get(login, ()):
        found = _one(connection, "SELECT coalesce(has_schema_privilege(to_regnamespace(%s), 'create'), false)", schema)
        if not found[0]:
            raise ConfigurationError(f"{name}: {who} may make no tables in schema {schema}; {_REMEDY}.")
    if login is Login.READER and (is_super or _may_do_more(connection)):
        raise ConfigurationError(f"{name}: {who} may do more than read; give the reader a login of its own.")


def _may_do_more(connection: psycopg.Connection[Any]) -> bool:
    """Whether the login could change anything, or run programs on the server."""
    others = [login.role for login in GROUPS if login is not Login.READER]
    others += ["pg_execute_server_program", "pg_write_server_files", "pg_read_server_files", "pg_write_all_data"]
    found = _one(
        connection,
        """SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ANY(%s) AND pg_has_role(session_user, oid, 'member'))
               OR EXISTS (SELECT FROM pg_class AS c
                   WHERE c.relnamespace IN ('raw'::regnamespace, 'trading'::regnamespace)
                   AND pg_has_role(session_user, c.relowner, 'member'))
               OR (SELECT rolcreaterole FROM pg_roles WHERE rolname = session_user)""",
        others,
    )
    return bool(found[0])


def _one(connection: psycopg.Connection[Any], query: str, value: object) -> tuple[Any, ...]:
    row = connection.execute(query, (value,)).fetchone()
    assert row is not None
    return tuple(row)
