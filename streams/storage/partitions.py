"""Daily partitions of the raw tables: made ahead, dropped when older than the retention; never by migrations."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from psycopg import sql

from streams.storage.database import Connection
from streams.storage.schema import PARTITIONED_TABLES, create_partitions

_NAME = re.compile(r"^(?P<table>.+)_(?P<day>\d{8})$")


def ensure_partitions(connection: Connection, today: date, days_ahead: int = 2) -> list[str]:
    """Make the partitions from `today` on and return the names that were missing."""
    before = set(partition_names(connection))
    create_partitions(connection, today, days_ahead)
    return sorted(set(partition_names(connection)) - before)


def partition_names(connection: Connection) -> list[str]:
    """Return the names of all partitions of the raw tables, the default ones included."""
    rows = connection.execute(
        """SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
           JOIN pg_class AS p ON p.oid = i.inhparent JOIN pg_namespace AS n ON n.oid = p.relnamespace
           WHERE n.nspname = 'raw' AND p.relname = ANY(%s) ORDER BY 1""",
        (list(PARTITIONED_TABLES),),
    )
    return [row["relname"] for row in rows]


def drop_old_partitions(connection: Connection, today: date, retention_days: int) -> list[str]:
    """Drop the partitions of days before `today - retention_days` and return their names."""
    oldest = today - timedelta(days=retention_days)
    dropped = []
    for name in partition_names(connection):
        found = _NAME.match(name)
        if found and datetime.strptime(found["day"], "%Y%m%d").replace(tzinfo=UTC).date() < oldest:
            connection.execute(sql.SQL("DROP TABLE raw.{}").format(sql.Identifier(name)))
            dropped.append(name)
    return dropped


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
