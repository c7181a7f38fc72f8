"""A database of an earlier version, with rows that today's code has written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from psycopg import sql

import streams.storage
from streams.storage.access.sessions import WarehouseConnection
from streams.storage.database import Connection, connect
from streams.storage.store.guards.locks import make_guards


def migrate_to(dsn: str, revision: str) -> None:
    """Bring an empty database to the schema of an earlier revision."""
    with connect(dsn) as connection:
        make_guards(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(streams.storage.__file__).parent / "migrations"))
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: WarehouseConnection.connect(dsn))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def copy_rows(source: Connection, target: Connection, tables: Sequence[tuple[str, str]]) -> None:
    """Copy the rows of tables ("schema.table", condition) in the columns that both databases have."""
    for table, condition in tables:
        shared = [name for name in _columns(target, table) if name in _columns(source, table)]
        columns = sql.SQL(", ").join(map(sql.Identifier, shared))
        name = sql.Identifier(*table.split("."))
        found = source.execute(
            sql.SQL("SELECT jsonb_agg(to_jsonb(x) ORDER BY 1)::text AS found FROM {} AS x WHERE {}").format(
                name,
                sql.SQL(condition),  # type: ignore[arg-type]
            )
        ).fetchone()
        if found is None or found["found"] is None:
            continue
        target.execute(
            sql.SQL(
                """INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE
                   SELECT {} FROM jsonb_populate_recordset(NULL::{}, %s::jsonb)"""
            ).format(name, columns, columns, name),
            (found["found"],),
        )
        _move_number_on(target, table, shared)


def _columns(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        """SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
           ORDER BY attnum""",
        (table,),
    ).fetchall()
    return [row["attname"] for row in rows]


def _move_number_on(target: Connection, table: str, columns: Sequence[str]) -> None:
    """Let the next row of a table have the number after the last one."""
    for column in columns:
        row = target.execute(
            """SELECT pg_get_serial_sequence(%s, attname) AS name FROM pg_attribute
               WHERE attrelid = %s::regclass AND attname = %s AND attidentity <> ''""",
            (table, table, column),
        ).fetchone()
        if row is not None:
            last = sql.SQL("SELECT setval(%s, max({})) FROM {}")
            target.execute(last.format(sql.Identifier(column), sql.Identifier(*table.split("."))), (row["name"],))
