"""Tables as files: CSV by COPY, Parquet in row groups; nothing is held in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from streams.storage.database import Connection

if TYPE_CHECKING:
    import pyarrow as pa

_SCHEMAS = ("analytics", "raw", "trading")
_GROUP_ROWS = 50_000
_TEXTS = frozenset({"text", "character varying", "character", "name"})
_INERT = (
    "(CASE WHEN {name} ~ '^[[:space:]]*[-=+@|%＝＋－＠]'"
    " AND {name} !~ '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$'"
    " THEN chr(39) || {name} ELSE {name} END) AS {name}"
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view with its columns: [(name, PostgreSQL type)]."""

    schema: str
    relation: str
    columns: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.relation}"


def find_table(connection: Connection, name: str) -> Table | None:
    """Return a table or view of analytics, raw or trading; without a schema they are searched in this order."""
    schema, _, relation = name.rpartition(".")
    rows = connection.execute(
        """SELECT table_schema, column_name, data_type FROM information_schema.columns
           WHERE table_name = %s AND table_schema = ANY(%s)
           ORDER BY array_position(%s, table_schema::text), ordinal_position""",
        (relation, [schema] if schema in _SCHEMAS else [] if schema else list(_SCHEMAS), list(_SCHEMAS)),
    ).fetchall()
    if not rows:
        return None
    first = rows[0]["table_schema"]
    columns = tuple((row["column_name"], row["data_type"]) for row in rows if row["table_schema"] == first)
    return Table(first, relation, columns)


def export_csv(connection: Connection, table: Table, path: Path) -> int:
    """Write the table as CSV with a header line; returns its rows.

    A text that a spreadsheet would take for a formula gets a quote before it, as `streams.inert.in_cell` does.
    """
    columns = [
        sql.SQL(_INERT).format(name=sql.Identifier(name)) if kind in _TEXTS else sql.Identifier(name)
        for name, kind in table.columns
    ]
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT WITH (FORMAT csv, HEADER)").format(
        sql.SQL(", ").join(columns), sql.Identifier(table.schema, table.relation)
    )
    with _complete(path) as partial, partial.open("wb") as file, connection.cursor() as cursor:
        with cursor.copy(query) as copy:
            for block in copy:
                file.write(block)
        return cursor.rowcount


def export_parquet(connection: Connection, table: Table, path: Path) -> int:
    """Write the table as Parquet; returns its rows.

    numeric becomes decimal(38, 12), rounded there; JSON, arrays and other types become text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "smallint": pa.int16(),
        "boolean": pa.bool_(),
        "double precision": pa.float64(),
        "numeric": pa.decimal128(38, 12),
        "date": pa.date32(),
        "timestamp with time zone": pa.timestamp("us", "UTC"),
        "bytea": pa.binary(),
    }
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in table.columns])
    written = 0
    with _complete(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for group in _groups(connection, table, schema, known=set(types)):
            writer.write_table(group)
            written += group.num_rows
    return written


def _groups(connection: Connection, table: Table, schema: pa.Schema, known: set[str]) -> Iterator[pa.Table]:
    import pyarrow as pa

    columns = []
    for name, kind in table.columns:
        column: sql.Composable = sql.Identifier(name)
        if kind == "numeric":
            column = sql.SQL("{}::numeric(38, 12) AS {}").format(column, column)
        elif kind not in known:
            column = sql.SQL("{}::text AS {}").format(column, column)
        columns.append(column)
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(columns), sql.Identifier(table.schema, table.relation)
    )
    with connection.transaction(), connection.cursor("export") as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(_GROUP_ROWS):
            yield pa.Table.from_pylist(rows, schema=schema)


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """Give a path to write to that takes its place only when all went well."""
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
