"""Cursors of the CLOB's lists: base64 of the offset, "MA==" first and "LTE=" when there is nothing after."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from streams.sandbox.http.server import Request, Response

FIRST, LAST = "MA==", "LTE="
Row = TypeVar("Row")


def clob_page(rows: Sequence[Row], request: Request, size: int, render: Callable[[Row], Any]) -> Response:
    """One page of {limit, count, next_cursor, data}; sending back the last cursor is refused."""
    cursor = request.param("next_cursor") or FIRST
    start = _offset(cursor)
    if start is None:
        return Response(400, {"error": "Invalid next_cursor"})
    page = rows[start : start + size]
    end = start + size
    following = base64.b64encode(str(end).encode()).decode() if end < len(rows) else LAST
    body = {"limit": size, "count": len(page), "next_cursor": following, "data": [render(row) for row in page]}
    return Response(200, body)


def _offset(cursor: str) -> int | None:
    try:
        start = int(base64.b64decode(cursor, validate=True).decode())
    except (ValueError, binascii.Error):
        return None
    return start if start >= 0 else None
