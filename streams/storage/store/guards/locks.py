"""Locks as rows of `trading.locks`, held until the end of a transaction; readers have no right on them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import psycopg

from streams.market.identity import market_key
from streams.storage.database import Connection

Lock = Literal["migration", "acting", "views"]
_SQL = Path(__file__).parents[2] / "migrations" / "sql" / "guards.sql"
_ATTEMPTS = 20
_RACES = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DuplicateObject,
    psycopg.errors.DuplicateTable,
    psycopg.errors.DeadlockDetected,
)


def make_guards(connection: psycopg.Connection[Any]) -> None:
    """Make the locks and the functions against readers, or bring them up to date; before any migration runs.

    Several processes may do so at once: whoever comes second to a row of the server's catalogue tries again.

    Args:
        connection: Of the owner, in autocommit mode.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with connection.transaction():
                connection.execute("CREATE SCHEMA IF NOT EXISTS trading")
                connection.execute(_SQL.read_bytes())
            return
        except _RACES:
            continue
        except psycopg.errors.InternalError as error:  # "tuple concurrently updated", which has no code of its own
            if "concurrently" not in str(error) or attempt == _ATTEMPTS - 1:
                raise
    raise psycopg.errors.LockNotAvailable("the locks could not be made: others make them all the time")


def hold(connection: psycopg.Connection[Any], lock: Lock, within_s: float | None = None) -> None:
    """Take a lock until the end of the transaction.

    Args:
        connection: In a transaction.
        lock: Which one.
        within_s: Longest wait for each lock this transaction asks for from now on, of any kind; None: no limit.

    Raises:
        psycopg.errors.LockNotAvailable: If somebody else holds it for longer.
    """
    limit_lock_waits(connection, within_s)
    connection.execute("SELECT FROM trading.locks WHERE name = %s FOR UPDATE", (lock,))


def hold_market(connection: Connection, venue: str, market_id: str) -> None:
    """Take the lock of a market until the end of the transaction; its row is made by the first who needs it."""
    _hold_named(connection, f"market:{market_key(venue, market_id)}")


def hold_account(connection: Connection, venue: str, mode: str) -> None:
    """Take the lock of an account until the end of the transaction; before that of a market."""
    _hold_named(connection, account_lock(venue, mode))


def hold_all(connection: Connection, names: Collection[str]) -> None:
    """Take locks by their names until the end of the transaction, in alphabetical order; missing rows are made."""
    wanted = sorted(set(names))
    lock = "SELECT name FROM trading.locks WHERE name = ANY(%s) ORDER BY name FOR UPDATE"
    if len(connection.execute(lock, (wanted,)).fetchall()) < len(wanted):
        connection.execute(
            "INSERT INTO trading.locks (name) SELECT name FROM unnest(%s::text[]) AS name ORDER BY name"
            " ON CONFLICT DO NOTHING",
            (wanted,),
        )
        connection.execute(lock, (wanted,))


def account_lock(venue: str, mode: str) -> str:
    """Return the name of the lock of an account."""
    return f"account:{mode}:{venue}"


def _hold_named(connection: Connection, name: str) -> None:
    if connection.execute("SELECT name FROM trading.locks WHERE name = %s FOR UPDATE", (name,)).fetchone() is None:
        connection.execute("INSERT INTO trading.locks (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
        connection.execute("SELECT FROM trading.locks WHERE name = %s FOR UPDATE", (name,))


def is_held(connection: Connection, lock: Lock) -> bool:
    """Whether somebody holds a lock now; waits for nobody."""
    row = connection.execute(
        "SELECT name FROM trading.locks WHERE name = %s FOR UPDATE SKIP LOCKED", (lock,)
    ).fetchone()
    return row is None


def take_former_lock(connection: Connection, number: int) -> bool:
    """Take the advisory lock of a former version for as long as the connection is open, if nobody has it.

    Returns:
        Whether there is nobody to wait for: it is ours, or a reader has it, who has no business with it.
    """
    row = connection.execute(
        """SELECT pg_try_advisory_lock(%(number)s) OR NOT EXISTS (
               SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
               WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND NOT trading.is_reader(a.usesysid)
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND (l.classid::bigint << 32 | l.objid::bigint) = %(number)s
           ) AS is_free""",
        {"number": number},
    ).fetchone()
    return row is not None and bool(row["is_free"])


def limit_lock_waits(connection: psycopg.Connection[Any], within_s: float | None) -> None:
    """Bound each wait for a lock in this transaction from now on, at least a millisecond; None: no bound."""
    limit_ms = 0 if within_s is None else max(1, int(within_s * 1000))
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{limit_ms}ms",))
