"""Where the database is, and connections to it: one pool per process, short transactions, plain SQL."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.storage.embedded import EmbeddedServer

Row = dict[str, Any]
Connection = psycopg.Connection[Row]


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
