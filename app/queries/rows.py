"""How rows are read: typed, paged by key, and calm where a mart has not been built yet."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
import psycopg

from streams.storage.database import Connection, Values

T = TypeVar("T")

PAGE_LIMIT_MAX = 1000


class InvalidCursor(ValueError):
    """A cursor that no page of this list has given out."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `next_cursor` is None on the last one."""

    rows: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class MartRows(Generic[T]):
    """Rows of a mart, or why there are none.

    Attributes:
        rows: The rows; empty when the mart is missing.
        problem: None, or one sentence on why the mart cannot be read (not built yet, other columns).
    """

    rows: tuple[T, ...]
    problem: str | None = None


def fetch(connection: Connection, row_type: type[T], query: str, params: Values = None) -> list[T]:
    """Return the rows of `query` as instances of a dataclass whose fields are its columns."""
    return [row_type(**row) for row in connection.execute(query, params or {})]


def fetch_mart(connection: Connection, row_type: type[T], query: str, params: Values = None) -> MartRows[T]:
    """Return the rows of a query on `analytics`, or why it cannot be read; never raises for a missing mart."""
    try:
        return MartRows(tuple(fetch(connection, row_type, query, params)))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return MartRows((), "The warehouse models have not been built yet; the first pass builds them.")
    except psycopg.errors.UndefinedColumn as error:
        return MartRows((), f"A warehouse model is older than this page ({error.diag.message_primary}); rebuild it.")


def conditions(*wanted: tuple[str, str, Any]) -> tuple[str, dict[str, object]]:
    """Return (WHERE clause, parameters) of those (condition, parameter, value) whose value is neither None nor False.

    A condition that is not wanted is not in the query at all, so that each combination gets a plan of its own.
    """
    kept = [(condition, name, value) for condition, name, value in wanted if value is not None and value is not False]
    clause = " AND ".join(condition for condition, _, _ in kept)
    return f"WHERE {clause}" if clause else "", {name: value for _, name, value in kept}


def scalar(connection: Connection, query: str, params: Values = None) -> Any:
    """Return the first column of the first row, or None."""
    row = connection.execute(query, params or {}).fetchone()
    return None if row is None else next(iter(row.values()))


def page_of(rows: Sequence[T], limit: int, keys: Sequence[str]) -> Page[T]:
    """Cut a list that was read with `limit` + 1 rows into a page; the cursor holds `keys` of its last row."""
    if len(rows) <= limit:
        return Page(tuple(rows), None)
    last = rows[limit - 1]
    return Page(tuple(rows[:limit]), encode_cursor([getattr(last, key) for key in keys]))


def encode_cursor(keys: Sequence[Any]) -> str:
    """Return an opaque text for the key of the last row of a page."""
    text = json.dumps([key if isinstance(key, int) else str(key) for key in keys])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kinds: Sequence[type]) -> tuple[Any, ...] | None:
    """Return the key in a cursor, or None for the first page.

    Raises:
        InvalidCursor: If it was not made by `encode_cursor` for keys of these kinds.
    """
    if cursor is None:
        return None
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise InvalidCursor("The cursor is not one this list has given out.") from None
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise InvalidCursor("The cursor belongs to another list.")
    if any(type(value) is int and not -(2**63) <= value < 2**63 for value in values):
        raise InvalidCursor("The cursor is out of range.")
    if any(isinstance(value, str) and "\x00" in value for value in values):
        raise InvalidCursor("The cursor holds a character no id has.")
    return tuple(values)
