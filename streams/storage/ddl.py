"""Changes of tables, which nobody is kept waiting for.

A statement that waits for a lock makes everybody wait who comes after it: one open reader would stop the recorder. So a
lock is asked for a moment only, then given up and asked for again, for a bounded time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import LiteralString, TypeVar

from psycopg import sql

from streams.market.errors import TransientError
from streams.storage.database import Connection
from streams.storage.outages import is_lock_refused

T = TypeVar("T")

LOCK_TIMEOUT_MS = 200
"""How long a change of a table waits for a lock before it lets the others pass."""
DDL_LIMIT_S = 30.0
"""How long a change is tried again and again."""


def run_ddl(
    connection: Connection,
    statement: LiteralString | sql.Composed,
    *,
    limit_s: float = DDL_LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Run one statement that changes a table, on an autocommit connection outside a transaction.

    Raises:
        TransientError: If its lock was not to be had within `limit_s` seconds.
        psycopg.Error: If the statement fails for another reason.
    """
    with _short_locks(connection):
        until_locked(lambda: connection.execute(statement), limit_s=limit_s, clock=clock, sleep=sleep)


def until_locked(
    change: Callable[[], T],
    *,
    limit_s: float = DDL_LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Repeat a change that waits a short time for its locks until it got them, and return what it returns.

    Raises:
        TransientError: If they were not to be had within `limit_s` seconds.
    """
    deadline = clock() + limit_s
    while True:
        try:
            return change()
        except Exception as error:
            if not is_lock_refused(error):
                raise
            if clock() >= deadline:
                raise TransientError(
                    f"a table could not be changed within {limit_s:.0f} s: somebody holds it in an open transaction"
                ) from error
            sleep(0.05 + 0.2 * random.random())


@contextmanager
def _short_locks(connection: Connection) -> Iterator[None]:
    row = connection.execute("SELECT current_setting('lock_timeout') AS before").fetchone()
    assert row is not None
    _set_lock_timeout(connection, f"{LOCK_TIMEOUT_MS}ms")
    try:
        yield
    finally:
        if not connection.closed:
            _set_lock_timeout(connection, row["before"])


def _set_lock_timeout(connection: Connection, value: str) -> None:
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (value,))
