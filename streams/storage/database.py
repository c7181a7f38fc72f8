"""Where the database is, and connections to it: one pool per process, short transactions, plain SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row, kwargs_row
from psycopg_pool import ConnectionPool

from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.storage.embedded import EmbeddedServer

Row = dict[str, Any]
Connection = psycopg.Connection[Row]
Values = Sequence[Any] | Mapping[str, Any] | None
_T = TypeVar("_T")


def embedded_server(settings: Settings) -> EmbeddedServer:
    """Return the embedded server of this home (running or not)."""
    return EmbeddedServer(home=settings.home_dir / "postgres", port=settings.postgres_port)


def database_dsn(settings: Settings) -> str:
    """Return the address of the warehouse: `DATABASE_URL`, else the embedded server of this home.

    Raises:
        ConfigurationError: If neither is there.
    """
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    try:
        return embedded_server(settings).dsn()
    except OSError:
        raise ConfigurationError(
            f"There is no database in {settings.home_dir} yet; start with `make up` or set DATABASE_URL."
        ) from None


def connect(dsn: str, *, application: str = "crossbook") -> Connection:
    """Open one autocommit connection whose rows are dicts. Use `with connection.transaction():` around writes."""
    return psycopg.connect(dsn, autocommit=True, row_factory=dict_row, application_name=application)


def open_pool(dsn: str, *, max_size: int = 8, application: str = "crossbook") -> ConnectionPool[Connection]:
    """Open a pool of such connections. Close it, or use it as a context manager."""
    return ConnectionPool(
        dsn,
        min_size=1,
        max_size=max_size,
        open=True,
        kwargs={"autocommit": True, "row_factory": dict_row, "application_name": application},
        connection_class=psycopg.Connection[Row],
    )


def fetch_all(connection: Connection, row: Callable[..., _T], query: str, values: Values = None) -> list[_T]:
    """Run a query and return what `row` makes of each of its rows.

    Args:
        connection: Where to run it.
        row: A row type, or a function that builds one; called with the columns by name.
        query: With placeholders for `values`.
        values: By position or by name; None where the query has no placeholders.
    """
    with connection.cursor(row_factory=kwargs_row(row)) as cursor:
        return cursor.execute(query, values).fetchall()


def fetch_one(connection: Connection, row: Callable[..., _T], query: str, values: Values = None) -> _T | None:
    """Run a query and return what `row` makes of its first row; None when there is none. See `fetch_all`."""
    with connection.cursor(row_factory=kwargs_row(row)) as cursor:
        return cursor.execute(query, values).fetchone()


def fetch_int(connection: Connection, query: str, values: Values = None) -> int:
    """Run a query of one row with one number, and return it; 0 for NULL."""
    row = connection.execute(query, values).fetchone()
    value = None if row is None else next(iter(row.values()))
    return 0 if value is None else int(value)
