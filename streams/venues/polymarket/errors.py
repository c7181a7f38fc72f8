"""What a failed Polymarket answer means to us: one function decides, by status, then by the words of `error`.

The venue has no codes for most refusals. The words are matched here and nowhere else, and each becomes a code of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from streams.market.errors import (
    AuthenticationFailed,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StreamsError,
    TransientError,
)

_CODES = (
    (re.compile(r"order_version_mismatch", re.I), "order_version_mismatch"),
    (re.compile(r"duplicated", re.I), "duplicate_order"),
    (re.compile(r"not enough balance|allowance", re.I), "insufficient_balance"),
    (re.compile(r"minimum tick size", re.I), "invalid_price"),
    (re.compile(r"lower than the minimum|min size", re.I), "invalid_size"),
    (re.compile(r"fully filled", re.I), "fok_not_filled"),
    (re.compile(r"no orders found to match", re.I), "fak_not_matched"),
    (re.compile(r"post-only", re.I), "post_only_cross"),
    (re.compile(r"expiration", re.I), "invalid_expiration"),
    (re.compile(r"closed only", re.I), "closed_only"),
    (re.compile(r"not yet ready", re.I), "market_not_ready"),
    (re.compile(r"trading|cancel-only|cancel only", re.I), "trading_disabled"),
)
# Nothing is done with an order in these states; the venue says so before it takes one.
_NOT_TAKEN_503 = re.compile(r"trading|cancel|post.?only", re.I)


def code_of(text: str) -> str:
    """Return our code for a refusal's words."""
    for pattern, code in _CODES:
        if pattern.search(text):
            return code
    return "refused"


def error_text(body: bytes) -> str:
    """Return the words of an error body, empty where there are none."""
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    stated = document.get("error") or document.get("errorMsg") or document.get("message") or ""
    return str(stated)[:500]


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the wait the venue asks for, one second where it does not say."""
    try:
        return max(0.0, min(600.0, float(headers.get("retry-after") or headers.get("Retry-After") or 1)))
    except ValueError:
        return 1.0


def classify(status: int, body: bytes, headers: Mapping[str, str], is_write: bool) -> StreamsError:
    """Return the error a status and body stand for. A write that failed inside the venue may have happened."""
    text = error_text(body)
    said = f"{status} {text}".strip()
    if status == 429:
        return RateLimited(said, retry_after_s(headers))
    if status == 425:
        return TransientError(said or "425 the matching engine restarts")
    if status == 401 or "address of the API KEY" in text or "owner of the API KEY" in text:
        return AuthenticationFailed(said)
    if status == 404:
        return NotFound(said)
    if status == 503 and _NOT_TAKEN_503.search(text):
        return Refused(code_of(text), text, status)
    if status >= 500:
        return OutcomeUnknown(said) if is_write else TransientError(said)
    return Refused(code_of(text), text, status)
