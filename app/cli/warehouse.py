"""The warehouse of a command: where it does not answer, the command prints one sentence and exits with code 3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.output import ExitCode, fail

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.storage.database import Connection


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[Connection]:
    """Lend one autocommit connection to the warehouse; exits with `NOT_RUNNING` where there is none."""
    import psycopg

    from streams.storage.database import connect

    dsn = warehouse_dsn(settings)
    try:
        connection = connect(dsn, application="crossbook-cli")
    except psycopg.OperationalError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        remedy = "start it with `make up`" if settings.database_url is None else "see DATABASE_URL"
        fail(f"The warehouse does not answer, {remedy}: {said[-1].strip()}", ExitCode.NOT_RUNNING)
    with connection:
        yield connection


def warehouse_dsn(settings: Settings) -> str:
    """Return the address of the warehouse; exits with `NOT_RUNNING` where this home has none yet."""
    from streams.market.errors import ConfigurationError
    from streams.storage.database import database_dsn

    try:
        return database_dsn(settings)
    except ConfigurationError as error:
        fail(str(error), ExitCode.NOT_RUNNING)
