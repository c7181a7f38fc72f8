"""The reader's login of the embedded server, as each start makes it anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from streams.market.errors import TransientError
from streams.storage.access.logins import Login
from streams.storage.access.reader_limits import ReaderLimits, login_statements
from streams.storage.access.rights import make_login
from streams.storage.outages import is_catalogue_race, is_lock_refused

_LIMIT_S = 30.0


def make_reader(
    connection: psycopg.Connection[Any],
    name: str,
    password: str,
    limits: ReaderLimits,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Make a login for readers, or bring the one there back to its password and defaults.

    Every role may change its own password and defaults, and its sessions may keep others from changing them: by an open
    transaction, or by doing it all the time. Those are ended, and it logs in again when all is as it should be.

    Args:
        connection: Of a superuser, in autocommit mode.
        name: Of the login.
        password: Its password.
        limits: What it is held to.
        clock: Monotonic seconds.

    Raises:
        TransientError: If somebody keeps its row for half a minute.
    """
    deadline = clock() + _LIMIT_S
    while True:
        try:
            with connection.transaction():
                _make(connection, name, password, limits)
            return
        except (psycopg.OperationalError, psycopg.InternalError) as error:
            if not is_lock_refused(error) and not is_catalogue_race(error):
                raise
            if clock() > deadline:
                raise TransientError(
                    f"the login {name} could not be changed: somebody changes it all the time"
                ) from error
        _shut_out(connection, name)


def _make(connection: psycopg.Connection[Any], name: str, password: str, limits: ReaderLimits) -> None:
    role, database = sql.Identifier(name), sql.Identifier(connection.info.dbname)
    connection.execute("SET LOCAL lock_timeout = '200ms'")
    make_login(connection, name, Login.READER, password)
    connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(role))
    connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(role, database))
    for statement in login_statements(name, limits):
        connection.execute(statement)


def _shut_out(connection: psycopg.Connection[Any], name: str) -> None:
    """End a login's sessions, and keep it out until `_make` lets it in again."""
    ended = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = %s"
    connection.execute(ended, (name,))
    with suppress(psycopg.OperationalError, psycopg.InternalError), connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '200ms'")
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(name)))
    connection.execute(ended, (name,))
