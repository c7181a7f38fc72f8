"""What a failed Kalshi answer means to us: one function decides, by the body's code first and the status second.

Bodies come in four shapes: `{"error": {"code", "message", "details"}}`, the same flat, `{"msg"}`, and
`{"error": "text"}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streams.market.errors import (
    AuthenticationFailed,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StreamsError,
    TransientError,
)

_AUTHENTICATION = frozenset(
    {
        "authentication_error",
        "signature_is_missing_from_headers",
        "header_timestamp_expired",
        "token_authentication_failure",
    }
)
_NOT_FOUND = frozenset({"not_found", "market_not_found"})


def error_of_body(body: bytes) -> tuple[str, str]:
    """Return (code, message) of an error body of any shape; empty strings where there is none."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    inner = document.get("error", document)
    if isinstance(inner, str):
        return inner.strip().lower().replace(" ", "_"), inner
    if not isinstance(inner, dict):
        return "", ""
    if "msg" in inner and "code" not in inner:
        return "invalid_parameters", str(inner["msg"])[:500]
    parts = [str(inner[name]) for name in ("message", "details") if inner.get(name)]
    return str(inner.get("code") or ""), ": ".join(dict.fromkeys(parts))[:500]


def classify(status: int, body: bytes, _headers: Mapping[str, str], is_write: bool) -> StreamsError:
    """Return the error a status and body stand for.

    A write that failed inside the venue (5xx) may have happened: OutcomeUnknown. A 404 for an order says that it is not
    resting, never why.
    """
    code, message = error_of_body(body)
    text = f"{status} {code or 'without a code'}: {message}" if message else f"{status} {code or 'without a code'}"
    if status == 429 or code == "too_many_requests":
        return RateLimited(text)
    if code in _AUTHENTICATION or status == 401:
        return AuthenticationFailed(text)
    if code in _NOT_FOUND or (status == 404 and not code):
        return NotFound(text)
    if status >= 500:
        return OutcomeUnknown(text) if is_write else TransientError(text)
    return Refused(code or f"http_{status}", message, status)
