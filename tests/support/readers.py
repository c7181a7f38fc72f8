"""Logins that may only read, and what became of their sessions."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from streams.storage.database import connect


@contextmanager
def reader_login(database: str) -> Iterator[str]:
    """Make a login that may only read; gone afterwards."""
    login, password = f"ada_{secrets.token_hex(4)}", secrets.token_hex(8)
    with connect(database) as connection:
        connection.execute(f"CREATE ROLE {login} LOGIN PASSWORD '{password}' IN ROLE crossbook_reader")
    try:
        yield psycopg.conninfo.make_conninfo(database, user=login, password=password)
    finally:
        with connect(database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (login,)
            )
            connection.execute(f"DROP ROLE {login}")


def until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def is_ended(session: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether the server has ended a session."""
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def alerts(database: str) -> list[str]:
    """Return what the alerts about ended sessions of readers say."""
    with connect(database) as connection:
        found = connection.execute("SELECT message FROM trading.alerts WHERE kind = 'reader_ended'").fetchall()
    return [row["message"] for row in found]
