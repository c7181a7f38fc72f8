"""Pages and errors of the Data API, version 2: cursors only, and `has_more` always agrees with `next_cursor`."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from streams.sandbox.http.routes import Rejected
from streams.sandbox.http.server import Request, Response

_MOST = 1_000


class BadParameter(Rejected):
    """A parameter the Data API answers with 400."""

    def __init__(self, message: str, parameter: str) -> None:
        body = {
            "error": message,
            "code": "bad_request",
            "retryable": False,
            "trace_id": "0" * 32,
            "parameter": parameter,
        }
        super().__init__(Response(400, body))


def data_page(rows: list[dict[str, Any]], request: Request, most: int = _MOST) -> Response:
    """One page of rows, at most `most`.

    Raises:
        BadParameter: For an offset, a wrong limit or a cursor that is none.
    """
    if request.param("offset"):
        raise BadParameter("offset is not supported, use cursor", "offset")
    limit = request.param("limit") or request.param("page_size") or "100"
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise BadParameter(f"limit must be between 1 and {most}", "limit")
    start = _position(request.param("cursor"))
    end = start + int(limit)
    following = base64.urlsafe_b64encode(f"row:{end}".encode()).decode() if end < len(rows) else None
    pagination = {"has_more": following is not None, "next_cursor": following}
    return Response(200, {"data": rows[start:end], "pagination": pagination})


def moment(request: Request, name: str) -> int | None:
    """A time in seconds, None when it is not asked for.

    Raises:
        BadParameter: If it is no number.
    """
    text = request.param(name)
    if text and not text.isdecimal():
        raise BadParameter(f"{name} must be epoch seconds", name)
    return int(text) if text else None


def conditions(request: Request) -> set[str]:
    """The conditions asked for, none for all.

    Raises:
        BadParameter: If events are named as well.
    """
    found = set(request.params("condition")) | set(request.params("condition_id"))
    if found and request.param("event_id"):
        raise BadParameter("must provide either eventId or condition, not both", "event_id")
    return found


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        kind, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
        start = int(number)
    except (ValueError, binascii.Error):
        raise BadParameter("invalid cursor", "cursor") from None
    if kind != "row" or start < 0:
        raise BadParameter("invalid cursor", "cursor")
    return start
