"""How Kalshi's lists take their parameters and hand out their pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from streams.sandbox.http.routes import Rejected
from streams.sandbox.http.server import Request
from streams.sandbox.kalshi.errors import bad_parameter

Row = TypeVar("Row")
END_OF_TIME_MS = 2**62
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def limit_of(request: Request, call: str, default: int, most: int) -> int:
    """The page size.

    Raises:
        Rejected: If it is no whole number, below zero or above the call's maximum.
    """
    text = request.param("limit")
    if not text or text == "0":
        return default
    limit = whole(request, "limit") or 0
    if limit > most:
        raise Rejected(bad_parameter(call, "Limit", "lte"))
    if limit < 0:
        raise Rejected(bad_parameter(call, "Limit", "gte"))
    return limit


def whole(request: Request, name: str) -> int | None:
    """A whole-number parameter, None when it is absent.

    Raises:
        Rejected: If it is something else.
    """
    text = request.param(name)
    if not text:
        return None
    if not _WHOLE.fullmatch(text):
        raise Rejected(bad_parameter(f"Invalid format for parameter {name}: {text!r} is not a whole number"))
    return int(text)


def one_of(request: Request, call: str, name: str, words: Sequence[str]) -> str:
    """A parameter that takes one of a few words, empty when it is absent.

    Raises:
        Rejected: If it is another word (several, joined by commas, count as one other word).
    """
    text = request.param(name)
    if text and text not in words:
        raise Rejected(bad_parameter(call, name.title().replace("_", ""), "oneof"))
    return text


def time_range(request: Request) -> tuple[int, int]:
    """`min_ts` and `max_ts`, whole seconds, as milliseconds [low, high]."""
    low, high = whole(request, "min_ts"), whole(request, "max_ts")
    return (low or 0) * 1000, END_OF_TIME_MS if high is None else high * 1000 + 999


def paged(
    rows: Sequence[Row],
    cursor: str,
    limit: int,
    key: Callable[[Row], str],
    matches: Callable[[Row], bool] = lambda _: True,
) -> tuple[list[Row], str]:
    """Return one page of rows that are oldest first, and the next cursor ("" on the last).

    The cursor names the next page's first row and its place: rows that go meanwhile shift nothing. A garbage cursor is
    page one, as at the venue.
    """
    page: list[Row] = []
    for index in range(_start(rows, cursor, key), len(rows)):
        if not matches(rows[index]):
            continue
        if len(page) == limit:
            return page, _encoded(f"at:{index}:{key(rows[index])}")
        page.append(rows[index])
    return page, ""


def paged_after(rows: Sequence[Row], cursor: str, limit: int, key: Callable[[Row], str]) -> tuple[list[Row], str]:
    """Return one page of rows that are newest first, and the next cursor: new rows in front shift no later page.

    A cursor that names no row (any more) is page one.
    """
    after = _decoded(cursor).removeprefix("after:")
    first = next((index + 1 for index, row in enumerate(rows) if key(row) == after), 0) if after else 0
    page = list(rows[first : first + limit])
    return page, _encoded(f"after:{key(page[-1])}") if first + limit < len(rows) else ""


def _start(rows: Sequence[Row], cursor: str, key: Callable[[Row], str]) -> int:
    mark, _, rest = _decoded(cursor).partition(":")
    place, _, name = rest.partition(":")
    if mark != "at" or not _WHOLE.fullmatch(place) or int(place) < 0:
        return 0
    index = int(place)
    if index < len(rows) and key(rows[index]) == name:
        return index
    return next((at for at, row in enumerate(rows) if key(row) == name), min(index, len(rows)))


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
