"""The warehouse of a command: where it does not answer, the command prints one sentence and exits with code 3."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.output import ExitCode, fail
from streams.storage.access.logins import Login

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.storage.database import Connection

_PAUSE_S = 0.1


@contextmanager
def open_warehouse(
    settings: Settings, login: Login = Login.INTERFACE, *, patience_s: float = 0.0
) -> Iterator[Connection]:
    """Lend one autocommit connection to the warehouse, by default as the interfaces.

    Exits with `NOT_RUNNING` where there is none, and with `USAGE` where a text for it is not valid Unicode. A warehouse
    that goes away meanwhile ends the command like none; one that is busy, with `ERROR`; one that has no
    connection left is asked again for `patience_s` seconds.
    """
    import psycopg

    from streams.storage.outages import Trouble, told, trouble_of

    dsn = warehouse_dsn(settings, login)
    try:
        connection = _connect(dsn, patience_s)
    except psycopg.OperationalError as error:
        if trouble_of(error) is Trouble.BUSY:
            fail(told(error))
        said = [line for line in str(error).splitlines() if line.strip()]
        remedy = "start it with `make up`" if settings.database_url is None else "see DATABASE_URL"
        fail(f"The warehouse does not answer, {remedy}: {said[-1].strip()}", ExitCode.NOT_RUNNING)
    try:
        with connection:
            yield connection
    except UnicodeEncodeError:  # what an argument holds that is none in UTF-8 stays as half a pair
        fail("An argument is not valid UTF-8.", ExitCode.USAGE)
    except psycopg.Error as error:
        trouble = trouble_of(error)
        if trouble is Trouble.PERMANENT:
            raise
        fail(told(error), ExitCode.NOT_RUNNING if trouble is Trouble.AWAY else ExitCode.ERROR)


def _connect(dsn: str, patience_s: float) -> Connection:
    import psycopg

    from streams.storage.database import connect
    from streams.storage.outages import Trouble, trouble_of

    deadline = time.monotonic() + patience_s
    while True:
        try:
            return connect(dsn, application="crossbook-cli")
        except psycopg.OperationalError as error:
            if trouble_of(error) is not Trouble.BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_S)


def warehouse_dsn(settings: Settings, login: Login) -> str:
    """Return the address of the warehouse for a login; exits with `NOT_RUNNING` where this home has none yet."""
    from streams.market.errors import ConfigurationError
    from streams.storage.database import database_dsn

    try:
        return database_dsn(settings, login)
    except ConfigurationError as error:
        fail(str(error), ExitCode.NOT_RUNNING)
