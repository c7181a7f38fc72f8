"""Polymarket's wire forms: decimal strings without trailing zeros, lists inside strings, three styles of times, pages.

A cursor of a CLOB list is base64 of the offset, "MA==" first and "LTE=" when there is nothing after.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from streams.sandbox.http.server import Request, Response

FIRST_CURSOR, LAST_CURSOR = "MA==", "LTE="
Row = TypeVar("Row")


def decimal_text(value: int, digits: int) -> str:
    """An integer of 10^-digits as a decimal string without trailing zeros."""
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}".rstrip("0") if rest else f"{sign}{whole}"


PRICES = [decimal_text(price, 4) for price in range(10_001)]
"""`price_e4` -> "0.9"."""


def size(size_e6: int) -> str:
    """Shares."""
    return decimal_text(size_e6, 6)


def number(value_e6: int) -> float:
    """A JSON number, where the venue sends one."""
    return value_e6 / 1_000_000


def price_number(price_e4: int) -> float:
    """A price as a JSON number, where the venue sends one."""
    return price_e4 / 10_000


def list_text(values: Sequence[str]) -> str:
    """A JSON list inside a string, spaced as the venue does."""
    return json.dumps(list(values), ensure_ascii=False)


def iso(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def iso_ms(at_ms: int) -> str:
    """RFC 3339 with a fraction."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def spaced(at_ms: int) -> str:
    """The style of closedTime: "2026-05-28 05:29:05+00"."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}+00"


def parsed(body: bytes) -> Any:
    """A JSON body, None when it is none."""
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def clob_page(rows: Sequence[Row], request: Request, size: int, render: Callable[[Row], Any]) -> Response:
    """One page of {limit, count, next_cursor, data}; sending back the last cursor is refused."""
    cursor = request.param("next_cursor") or FIRST_CURSOR
    start = _offset(cursor)
    if start is None:
        return Response(400, {"error": "Invalid next_cursor"})
    page = rows[start : start + size]
    end = start + size
    following = base64.b64encode(str(end).encode()).decode() if end < len(rows) else LAST_CURSOR
    body = {"limit": size, "count": len(page), "next_cursor": following, "data": [render(row) for row in page]}
    return Response(200, body)


def _offset(cursor: str) -> int | None:
    try:
        start = int(base64.b64decode(cursor, validate=True).decode())
    except (ValueError, binascii.Error):
        return None
    return start if start >= 0 else None
