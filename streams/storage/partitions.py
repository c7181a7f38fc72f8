"""Daily partitions of the raw tables: made ahead and before a row needs one, dropped when older than the retention.

Nobody who reads or records waits for any of it. Days are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from psycopg import sql

from streams.logs import get_logger
from streams.market.errors import TransientError
from streams.storage.database import Connection, fetch_all, fetch_int, read_clock
from streams.storage.ddl import run_ddl, until_locked

PARTITIONED_TABLES = ("book_deltas", "book_snapshots", "quotes", "trades", "lifecycle_events")
FAR_DAY = "far_day"
"""Kind of the alert that rows of a day far from today are recorded."""

_NAME = re.compile(r"^(?P<table>.+)_(?P<day>\d{8})$")
_BATCH_ROWS = 20_000
_DETACH_LIMIT_S = 5.0


class TableDay(NamedTuple):
    """A day of one of the partitioned tables."""

    table: str
    day: date


class _Partition(NamedTuple):
    """A table of one day. `state`: attached | pending (being detached) | alone (detached, not dropped)."""

    name: str
    table: str
    state: str

    @property
    def day(self) -> date | None:
        found = _NAME.match(self.name)
        return None if found is None else datetime.strptime(found["day"], "%Y%m%d").replace(tzinfo=UTC).date()


def create_partitions(connection: Connection, first: date, days_ahead: int) -> list[str]:
    """Make the daily partitions of all tables from `first` to `days_ahead` days later; return those that were missing.

    Raises:
        TransientError: If another change of a table lasts too long.
    """
    wanted = [
        TableDay(table, first + timedelta(days=offset))
        for table in PARTITIONED_TABLES
        for offset in range(days_ahead + 1)
    ]
    made = []
    for table, day in wanted:
        if until_locked(partial(_make_day, connection, table, day)):
            made.append(f"{table}_{day:%Y%m%d}")
    return made


def ensure_partitions(connection: Connection, today: date, days_ahead: int = 2) -> list[str]:
    """Make the partitions from `today` on and return the names that were missing."""
    return sorted(create_partitions(connection, today, days_ahead))


def ensure_days(connection: Connection, days: Collection[TableDay]) -> None:
    """Make the partitions of rows that are about to be written, outside their transaction.

    A day far from today is an alert.

    Raises:
        TransientError: If another change of a table lasts too long.
        psycopg.DataError: If a table has no partitions, or a day cannot be one.
    """
    ordered = sorted(days)
    if not ordered:
        return
    tables, dates = [day.table for day in ordered], [day.day for day in ordered]
    query = "SELECT raw.ensure_day(t, d, %s) FROM unnest(%s::text[], %s::date[]) AS x (t, d)"
    until_locked(lambda: connection.execute(query, (read_clock(connection), tables, dates)))


def partition_names(connection: Connection) -> list[str]:
    """Return the names of all partitions of the raw tables."""
    return [partition.name for partition in _partitions(connection) if partition.state == "attached"]


def far_days(connection: Connection, today: date) -> list[date]:
    """Return the days further ahead than maintenance makes them (three) that have partitions: rows were written."""
    days = {partition.day for partition in _partitions(connection) if partition.state == "attached"}
    return sorted(day for day in days if day is not None and day > today + timedelta(days=3))


def drop_old_partitions(connection: Connection, today: date, retention_days: int) -> list[str]:
    """Drop the partitions of days before `today - retention_days` and return their names.

    One that somebody reads is left, also half detached, to the next call, and with it the others of its table, of which
    only one may be half detached. The connection is the owner's, in autocommit.
    """
    oldest = today - timedelta(days=retention_days)
    dropped: list[str] = []
    left: set[str] = set()
    for partition in sorted(_partitions(connection), key=lambda found: found.state != "pending"):
        if partition.day is None or partition.day >= oldest or partition.table in left:
            continue
        try:
            _drop(connection, partition)
        except TransientError as error:
            get_logger().warning("an old partition is left to the next time", partition=partition.name, why=str(error))
            left.add(partition.table)
            continue
        dropped.append(partition.name)
    return dropped


def empty_default_partitions(connection: Connection) -> int:
    """Move what an earlier version put into default partitions to its days, and drop those; return how many rows.

    Each batch is a transaction of its own: what a kill interrupts is continued by the next call. Rows of a time that no
    clock tells (before 1970, infinity) stay in their table, which is no partition any more. The connection is the
    owner's, in autocommit.

    Raises:
        TransientError: If somebody holds a table in an open transaction.
    """
    moved = 0
    for table in PARTITIONED_TABLES:
        name = f"{table}_default"
        parent, default = sql.Identifier("raw", table), sql.Identifier("raw", name)
        if fetch_int(connection, "SELECT count(*) FROM pg_class WHERE oid = to_regclass(%s)", (f"raw.{name}",)) == 0:
            continue
        if fetch_int(connection, "SELECT count(*) FROM pg_inherits WHERE inhrelid = %s::regclass", (f"raw.{name}",)):
            run_ddl(connection, sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(parent, default))
        while rows := _move_batch(connection, table, parent, default):
            moved += rows
        kept = fetch_int(connection, sql.SQL("SELECT count(*) FROM {}").format(default).as_string(connection))
        if kept:
            get_logger().warning("rows of no day are left aside", table=f"raw.{name}", rows=kept)
            continue
        run_ddl(connection, sql.SQL("DROP TABLE {}").format(default))
    if moved:
        get_logger().info("rows of default partitions moved to their days", rows=moved)
    return moved


def delete_old_segments(connection: Connection, before: datetime) -> int:
    """Delete the files of segments closed before `before`, whose rows are all committed; returns how many.

    The row of `raw.segments` stays: it is what rows refer to.
    """
    rows = connection.execute(
        "SELECT path FROM raw.segments WHERE closed_at < %s ORDER BY segment_id", (before,)
    ).fetchall()
    deleted = 0
    for row in rows:
        path = Path(row["path"])
        if path.exists():
            path.unlink()
            deleted += 1
    return deleted


def _make_day(connection: Connection, table: str, day: date) -> bool:
    return bool(fetch_int(connection, "SELECT raw.make_day(%s, %s)::int", (table, day)))


def _partitions(connection: Connection) -> list[_Partition]:
    """Return every table that is or was a partition of ours, by name."""
    return fetch_all(
        connection,
        _Partition,
        r"""SELECT c.relname AS name, p.table,
               CASE WHEN i.inhrelid IS NULL THEN 'alone' WHEN i.inhdetachpending THEN 'pending' ELSE 'attached' END
                   AS state
           FROM unnest(%s::text[]) AS p ("table")
           JOIN pg_class AS c ON c.relnamespace = 'raw'::regnamespace AND c.relkind = 'r'
               AND c.relname ~ ('^' || p.table || '_(\d{8}|default)$')
           LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid ORDER BY 1""",
        (list(PARTITIONED_TABLES),),
    )


def _drop(connection: Connection, partition: _Partition) -> None:
    """Detach and drop one day, from wherever an interrupted attempt left it."""
    parent, day = sql.Identifier("raw", partition.table), sql.Identifier("raw", partition.name)
    detach = sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}")
    if partition.state == "attached":
        # Once: what it began and could not end is pending, and is ended by the statement below.
        with suppress(TransientError):
            run_ddl(connection, detach.format(parent, day, sql.SQL("CONCURRENTLY")), limit_s=0)
    state = next((found.state for found in _partitions(connection) if found.name == partition.name), None)
    if state == "pending":
        run_ddl(connection, detach.format(parent, day, sql.SQL("FINALIZE")), limit_s=_DETACH_LIMIT_S)
    elif state == "attached":
        raise TransientError(f"{partition.table} is being changed by somebody else")
    if state is not None:
        run_ddl(connection, sql.SQL("DROP TABLE {}").format(day), limit_s=_DETACH_LIMIT_S)


def _move_batch(connection: Connection, table: str, parent: sql.Identifier, default: sql.Identifier) -> int:
    """Move some rows of one day from a detached default partition, all or none; return how many."""
    row = connection.execute(
        sql.SQL(
            "SELECT (received_at AT TIME ZONE 'UTC')::date AS day FROM {}"
            " WHERE received_at >= '1970-01-01 00:00+00' AND received_at < '9999-12-31 00:00+00' LIMIT 1"
        ).format(default)
    ).fetchone()
    if row is None:
        return 0
    day: date = row["day"]
    until_locked(partial(_make_day, connection, table, day))
    moved = connection.execute(
        sql.SQL(
            "WITH gone AS (DELETE FROM {default} WHERE ctid = ANY(ARRAY("
            "SELECT ctid FROM {default} WHERE received_at >= %s AND received_at < %s LIMIT %s))"
            " RETURNING {columns}) INSERT INTO {parent} ({columns}) SELECT {columns} FROM gone"
        ).format(default=default, parent=parent, columns=_columns(connection, table)),
        (_midnight(day), _midnight(day + timedelta(days=1)), _BATCH_ROWS),
    )
    return moved.rowcount


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _columns(connection: Connection, table: str) -> sql.Composed:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum",
        (f"raw.{table}",),
    ).fetchall()
    return sql.SQL(", ").join(sql.Identifier(row["attname"]) for row in rows)
