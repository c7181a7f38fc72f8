"""What a failed Kalshi answer means to us: one function decides, by the body's code first and the status second.

Bodies come in four shapes: `{"error": {"code", "message", "details"}}`, the same flat, `{"msg"}`, and
`{"error": "text"}`. What may be done next is the class:

    wait            RateLimited
    retry           TransientError         a read that failed inside the venue
    give up         AuthenticationFailed   key, signature, clock or scope
                    NotFound               nothing under that id; never why
                    Refused                understood and refused; `code` says why, nothing happened
    outcome unknown OutcomeUnknown         a write that may have happened; only reads may follow

A failure inside the venue (5xx) leaves a write open whatever its body says. Else the status decides only where the body
has no code we know: a proxy's page, or a code newer than this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

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
_NOT_FOUND = "not_found"
"""How the codes end that say so: not_found, market_not_found and what may be added."""
_RATE = frozenset({"too_many_requests"})
# Known noes: nothing happened, with whatever status they come. `trading_is_paused` was seen as 409 and reported as 400.
_REFUSED = frozenset(
    {
        "bad_request",
        "invalid_parameters",
        "invalid_price",
        "invalid_order",
        "invalid_order_size",
        "insufficient_balance",
        "available_balance_too_low",
        "insufficient_shard_balance",
        "order_id_and_client_order_id_mismatch",
        "order_side_mismatch",
        "order_ticker_mismatch",
        "order_already_exists",
        "fill_or_kill_insufficient_resting_volume",
        "trading_is_paused",
        "exchange_is_paused",
        "market_not_active",
        "market_inactive",
        "deprecated_v1_order_endpoint",
    }
)
# A proxy or the venue gave up waiting: the request may have been acted on.
_UNANSWERED_STATUS = frozenset({408, 499})


def error_of_body(body: bytes) -> tuple[str, str]:
    """Return (code, message) of an error body of any shape; empty strings where there is none."""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    return error_of(document.get("error") or document)


def error_of(part: Any) -> tuple[str, str]:
    """Return (code, message) of the part of a body that tells the error: an object, or a text."""
    if isinstance(part, str):
        return part.strip().lower().replace(" ", "_"), part[:500]
    if not isinstance(part, dict):
        return "", ""
    parts = [str(part[name]) for name in ("message", "details", "msg") if part.get(name)]
    return str(part.get("code") or ""), ": ".join(dict.fromkeys(parts))[:500]


def classify(status: int, body: bytes, _headers: Mapping[str, str], is_write: bool) -> StreamsError:
    """Return the error a status and body stand for."""
    code, message = error_of_body(body)
    return error_for(code, message, status, is_write=is_write)


def error_for(code: str, message: str, status: int = 0, *, is_write: bool) -> StreamsError:
    """Return the error a code stands for, and the status where the code is empty or new.

    Args:
        code: The venue's word, empty where the body has none.
        message: Its text.
        status: HTTP status; 0 for the error of one item in a batch, which has none of its own: one with a code that is
            not known may have happened.
        is_write: Whether the call would have changed something.
    """
    text = f"{status} {code or 'without a code'}" + (f": {message}" if message else "")
    word = code.lower()
    failed = OutcomeUnknown(text) if is_write else TransientError(text)
    if status >= 500 or status in _UNANSWERED_STATUS:
        return failed
    if word in _RATE:
        return RateLimited(text)
    if word in _AUTHENTICATION:
        return AuthenticationFailed(text)
    if word.endswith(_NOT_FOUND):
        return NotFound(text)
    if word in _REFUSED:
        return Refused(code, message, status)
    return _by_status(code, message, status, text) if status else failed


def _by_status(code: str, message: str, status: int, text: str) -> StreamsError:
    if status == 429:
        return RateLimited(text)
    if status in (401, 403):
        return AuthenticationFailed(text)
    if status == 404 and not code:
        return NotFound(text)
    # A parameter that cannot be meant is answered with a bare text.
    unnamed = "invalid_parameters" if status == 400 and message else f"http_{status}"
    return Refused(code or unnamed, message, status)
