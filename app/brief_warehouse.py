"""A connection to the warehouse for whoever must go on whatever the warehouse does: it gives up soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.conninfo import make_conninfo

from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, connect, database_dsn

_CONNECT_LIMIT_S = 3
_QUERY_LIMIT = "4s"


@contextmanager
def brief_connection(settings: Settings, application: str) -> Iterator[Connection]:
    """Lend a connection that gives up: three seconds to connect, four seconds a statement or a lock.

    A server that takes a statement and is stopped then is waited for all the same: whoever may not wait for that asks
    in a thread of its own.

    Raises:
        psycopg.Error, ConfigurationError: If there is none to be had.
    """
    dsn = make_conninfo(database_dsn(settings, Login.INTERFACE), connect_timeout=_CONNECT_LIMIT_S)
    with connect(dsn, application=application) as connection:
        connection.execute(f"SET statement_timeout = '{_QUERY_LIMIT}'")
        connection.execute(f"SET lock_timeout = '{_QUERY_LIMIT}'")
        yield connection
