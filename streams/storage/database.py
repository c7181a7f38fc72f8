"""Where the database is, and connections to it: one pool per process, short transactions, plain SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row, kwargs_row
from psycopg_pool import ConnectionPool

from streams.market.documents import storable_text
from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.access.sessions import Clock, WarehouseConnection, with_threshold
from streams.storage.outages import Trouble, trouble_of
from streams.storage.server.embedded import EmbeddedServer

Row = dict[str, Any]
Connection = psycopg.Connection[Row]
Values = Sequence[Any] | Mapping[str, Any] | None
_T = TypeVar("_T")
_Saved = TypeVar("_Saved")

_RECONNECT_S = 3.0


def embedded_server(settings: Settings) -> EmbeddedServer:
    """Return the embedded server of this home (running or not)."""
    return EmbeddedServer(home=settings.home_dir / "postgres", port=settings.postgres_port)


def database_dsn(settings: Settings, login: Login) -> str:
    """Return the address of the warehouse for a login.

    With `DATABASE_URL` it is the login's own address where one is set, else `DATABASE_URL` itself: then one login does
    the work of several. Without it, the login of the embedded server of this home.

    Raises:
        ConfigurationError: If there is no database.
    """
    if settings.database_url is not None:
        own = getattr(settings, login.field) or settings.database_url
        return with_threshold(own.get_secret_value(), settings.database_prepare_threshold)
    try:
        return embedded_server(settings).login_dsn(login)
    except OSError:
        raise ConfigurationError(
            f"There is no database in {settings.home_dir} yet; start with `make up` or set DATABASE_URL."
        ) from None


def connect(dsn: str, *, application: str = "crossbook", clock: Clock | None = None) -> Connection:
    """Open one autocommit connection whose rows are dicts. Use `with connection.transaction():` around writes.

    Every session has the settings of `PINNED`.

    Args:
        dsn: Where to.
        application: Name of the session.
        clock: What `read_clock` reads through it; None: the database's clock.
    """
    connection = WarehouseConnection.connect(dsn, autocommit=True, row_factory=dict_row, application_name=application)
    connection.clock = clock
    return connection


def read_clock(connection: Connection) -> datetime:
    """Return the time by the clock that goes with a connection: the database's, unless it was opened with another.

    Rows of schema `trading` that several processes compare have this time, whatever the clocks of their machines say.
    Statements on that schema read no clock: they are given what was read here before. A reading that is a moment old
    when its statement runs makes a lease a moment shorter and a takeover a moment later, never the other way round.
    """
    if isinstance(connection, WarehouseConnection) and connection.clock is not None:
        return connection.clock()
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


def open_pool(
    dsn: str, *, max_size: int = 8, application: str = "crossbook", statement_timeout_s: float | None = None
) -> ConnectionPool[Connection]:
    """Open a pool of such connections. Close it, or use it as a context manager.

    A connection is tried before it is lent, so that one the server has ended is never lent. While the server is away
    each request asks it anew.

    Args:
        dsn: Where to.
        max_size: Most connections.
        application: Name of the sessions.
        statement_timeout_s: Longest life of a statement (seconds).
    """
    limits = {} if statement_timeout_s is None else {"statement_timeout": f"{statement_timeout_s * 1000:.0f}"}
    opened: list[ConnectionPool[Connection]] = []

    def check(connection: Connection) -> None:
        """Try a connection; where it is dead, so are the others, most likely: all are replaced at once."""
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.Error:
            for pool in opened:
                pool.check()
            raise

    opened.append(
        ConnectionPool(
            dsn,
            min_size=1,
            max_size=max_size,
            open=True,
            check=check,
            reconnect_timeout=_RECONNECT_S,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": application,
                "session_settings": limits,
            },
            connection_class=WarehouseConnection,
        )
    )
    return opened[0]


def trouble_of_pool(dsn: str) -> Trouble:
    """Return why a pool of connections to an address had none to lend: AWAY, or BUSY where one can be had."""
    try:
        connect(make_conninfo(dsn, connect_timeout=2), application="crossbook probe").close()
    except psycopg.Error as error:
        return trouble_of(error)
    return Trouble.BUSY


ROW_REFUSED = (
    psycopg.DataError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)
"""What the server says of a row that no table could hold: no later attempt can help it."""
_UNWRITABLE = (*ROW_REFUSED, psycopg.IntegrityError, ValueError, TypeError, OverflowError, RecursionError)
"""The same where the driver cannot even write it: no Unicode, no JSON, no date."""


def save_each(
    connection: Connection, items: Sequence[_T], save: Callable[[Sequence[_T]], _Saved]
) -> tuple[list[_Saved], list[tuple[_T, str]]]:
    """Save items together, and where the database cannot hold one of them all the others.

    Args:
        connection: Where they are saved; each call of `save` is a transaction, or a savepoint in one.
        items: What to save.
        save: Saves some of them, in their order.

    Returns:
        What `save` returned for those that are saved, and the items that cannot be held, each with the reason.
    """
    if not items:
        return [], []
    try:
        with connection.transaction():
            return [save(items)], []
    except _UNWRITABLE as error:
        if len(items) == 1:
            why = next(iter(str(error).splitlines()), type(error).__name__)
            return [], [(items[0], storable_text(f"the warehouse cannot hold it: {why[:300]}"))]
    middle = len(items) // 2
    first, second = save_each(connection, items[:middle], save), save_each(connection, items[middle:], save)
    return first[0] + second[0], first[1] + second[1]


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
