"""Answers of any query as rows that can be printed: every type of PostgreSQL is text or JSON, never an error."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIME = re.compile(r"^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)(:\d\d)?)?$")
_DEPTH_MAX = 200
_DIGITS_MAX = 4000
_AS_THEY_ARE = ("bool", "int2", "int4", "int8", "oid", "numeric", "text", "varchar", "bpchar", "name", '"char"')


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Let a connection return values that `printable` knows: numbers, texts, JSON and lists of them."""
    kept = {psycopg.adapters.types[name].oid for name in _AS_THEY_ARE}
    for info in psycopg.adapters.types:
        if info.oid and info.oid not in kept:
            connection.adapters.register_loader(info.oid, _Text)
    for name, loader in (("float4", _Float), ("float8", _Float), ("json", _Json), ("jsonb", _Json)):
        connection.adapters.register_loader(name, loader)
    for name in ("timestamp", "timestamptz"):
        connection.adapters.register_loader(name, _Time)


def rows_of(cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[dict[str, object]]:
    """Return the rows of all the statements of a cursor, one after the other."""
    rows: list[dict[str, object]] = []
    more: bool | None = True
    while more:
        if cursor.description is not None:
            names = distinct([column.name for column in cursor.description])
            rows += [dict(zip(names, map(printable, row), strict=True)) for row in cursor.fetchall()]
        more = cursor.nextset()
    return rows


def parse_row(text: str) -> dict[str, object]:
    """Return one row that came as a JSON object: decimals stay decimals, columns of one name get different ones.

    A row with a document that is too deep to be read is one text.
    """
    if _depth(text) > _DEPTH_MAX:
        return {"row": text}

    def columns(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        return dict(zip(distinct([name for name, _ in pairs]), (value for _, value in pairs), strict=True))

    row: dict[str, object] = json.loads(text, object_pairs_hook=columns, parse_float=Decimal, parse_int=_whole)
    return {name: printable(value) for name, value in row.items()}


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names, each that was there before with a number behind it."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found


def printable(value: object) -> object:
    """Return what valid JSON can say: numbers it has no word for become text."""
    if isinstance(value, Decimal):
        return str(value) if not value.is_finite() else format(value, "f")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [printable(entry) for entry in value]
    if isinstance(value, dict):
        return {str(name): printable(entry) for name, entry in value.items()}
    return value


class _Text(Loader):
    """The text that PostgreSQL writes."""

    def load(self, data: Buffer) -> object:
        return bytes(data).decode("utf-8", "replace")


class _Float(Loader):
    """A number; NaN and infinity as PostgreSQL writes them."""

    def load(self, data: Buffer) -> object:
        text = bytes(data).decode()
        return float(text) if text.lstrip("-")[:1].isdigit() else text


class _Json(Loader):
    """A document; a number too large for a float keeps its digits as text, and one too deep to be read stays text."""

    def load(self, data: Buffer) -> object:
        text = bytes(data).decode("utf-8", "replace")
        if _depth(text) > _DEPTH_MAX:
            return text
        return json.loads(text, parse_float=_number, parse_int=_whole)


class _Time(Loader):
    """An instant in ISO 8601; what ISO 8601 has no form for (infinity, years before Christ) as PostgreSQL writes it."""

    def load(self, data: Buffer) -> object:
        text = bytes(data).decode()
        found = _TIME.match(text)
        if found is None:
            return text
        day, time, hours, minutes = found.groups()
        return f"{day}T{time}" + (f"{hours}{minutes or ':00'}" if hours else "")


def _depth(text: str) -> int:
    """Return how deep a JSON document nests, or more: brackets within its texts count too."""
    steps = (1 if sign in "[{" else -1 for sign in text if sign in "[]{}")
    return max(accumulate(steps), default=0)


def _whole(text: str) -> object:
    return int(text) if len(text) < _DIGITS_MAX else text


def _number(text: str) -> object:
    value = float(text)
    return value if math.isfinite(value) else text
