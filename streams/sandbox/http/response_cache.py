"""Answers that a venue's edge keeps for a while: whoever asks the same soon sees what the first one saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import orjson

from streams.sandbox.http.server import Request, Response

_KEPT_ANSWERS = 500


class _Kept(NamedTuple):
    at_ms: int
    until_ms: int
    body: bytes


class ResponseCache:
    """Answers by path and query."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], _Kept] = {}

    def answer(self, request: Request, age_ms: int, now_ms: int, make: Callable[[], Response]) -> Response:
        """Answer from what is kept and not older than `age_ms`, else afresh; only a 200 is kept."""
        if not age_ms:
            return make()
        name = (request.path, tuple(sorted(request.query)))
        known = self._kept.get(name)
        if known is not None and 0 <= now_ms - known.at_ms < age_ms:
            return Response(200, orjson.loads(known.body))
        response = make()
        if response.status == 200:
            self._kept.pop(name, None)
            self._make_room(now_ms)
            self._kept[name] = _Kept(now_ms, now_ms + age_ms, orjson.dumps(response.body))
        return response

    def _make_room(self, now_ms: int) -> None:
        """Drop what nobody is answered with any more, the oldest first, and one more where there are too many."""
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest].until_ms > now_ms and len(self._kept) < _KEPT_ANSWERS:
                return
            del self._kept[oldest]
