"""What a failed Polymarket answer means to us: one function decides, by status, then by the words of `error`.

    400, 403, 422   Refused, by words into a code of ours; a wrong heartbeat id is HeartbeatMismatch
    401             AuthenticationFailed (also the 400s that name the API key's owner or address)
    404             NotFound
    425             Unavailable: the matching engine restarts; nothing was taken, try again in one to two seconds
    429             RateLimited with the venue's own wait
    408             the same as 500: nobody says how far the request came
    500, 502, ...   OutcomeUnknown for a write, TransientError for a read
    503             Refused where the words name a mode of the engine (nothing was taken), else as 500

The venue has no codes for most refusals. The words are matched here and nowhere else. The Data API has codes, and says
by `retryable` what a later attempt may not meet.
"""

from __future__ import annotations

import re
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
    Unavailable,
)

_CODES = (
    (re.compile(r"order_version_mismatch", re.I), "order_version_mismatch"),
    (re.compile(r"duplicated", re.I), "duplicate_order"),
    (re.compile(r"wallet busy|in-flight action", re.I), "wallet_busy"),
    (re.compile(r"does not match on-chain nonce", re.I), "nonce_mismatch"),
    (re.compile(r"not enough balance|allowance", re.I), "insufficient_balance"),
    (re.compile(r"minimum tick size", re.I), "invalid_price"),
    (re.compile(r"lower than the minimum|min size", re.I), "invalid_size"),
    (re.compile(r"max accuracy|invalid amounts?\b", re.I), "invalid_amounts"),
    (re.compile(r"fully filled", re.I), "fok_not_filled"),
    (re.compile(r"no orders found to match", re.I), "fak_not_matched"),
    (re.compile(r"post.?only mode|only post-only orders", re.I), "post_only_mode"),
    (re.compile(r"post.?only", re.I), "post_only_cross"),
    (re.compile(r"expiration", re.I), "invalid_expiration"),
    (re.compile(r"closed only", re.I), "closed_only"),
    (re.compile(r"not yet ready", re.I), "market_not_ready"),
    (re.compile(r"too many", re.I), "too_many"),
    (re.compile(r"cancel.only", re.I), "cancel_only_mode"),
    (re.compile(r"trading is (currently )?disabled", re.I), "trading_disabled"),
    (re.compile(r"invalid (order )?payload", re.I), "invalid_payload"),
)
UNKNOWN_REFUSAL = "refused"
"""Our code for a refusal whose words are not known."""
# Nothing is done with an order in these states; the venue says so before it takes one.
_MODES = frozenset({"post_only_mode", "cancel_only_mode", "trading_disabled"})
_KEY_WORDS = re.compile(r"(address|owner) of the API KEY", re.I)
# The venue's advice after a restart of the engine: back off one to two seconds.
RESTART_WAIT_S = 2.0
_EPOCH_S = 1_000_000_000


class HeartbeatMismatch(Refused):
    """A heartbeat named another id than the venue expects; `heartbeat_id` is the one to go on with."""

    def __init__(self, heartbeat_id: str, message: str = "") -> None:
        super().__init__("heartbeat_mismatch", message, 400)
        self.heartbeat_id = heartbeat_id


def code_of(text: str) -> str:
    """Return our code for a refusal's words."""
    for pattern, code in _CODES:
        if pattern.search(text):
            return code
    return UNKNOWN_REFUSAL


def error_text(document: Mapping[str, Any]) -> str:
    """Return the words of an error body, empty where there are none."""
    for name in ("error", "errorMsg", "error_msg", "message"):
        if document.get(name):
            return str(document[name])[:500]
    return ""


def retry_after_s(headers: Mapping[str, str], document: Mapping[str, Any], now_s: float) -> float | None:
    """Return the wait the venue asks for, at most ten minutes; None where it does not say.

    `Retry-After` goes before the body's `retry_after_seconds`, and that before `Poly-RateLimit-Reset`, which is a Unix
    time in the captures and documented as seconds: both are understood.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for stated in (lower.get("retry-after"), document.get("retry_after_seconds"), lower.get("poly-ratelimit-reset")):
        try:
            wait = float(str(stated))
        except ValueError:
            continue
        if wait == wait:
            return max(0.0, min(600.0, wait - now_s if wait > _EPOCH_S else wait))
    return None


def classify(
    status: int, body: bytes, headers: Mapping[str, str], is_write: bool, *, now_s: float = 0.0
) -> StreamsError:
    """Return the error a status and body stand for. A write that failed inside the venue may have happened.

    Args:
        status: HTTP status.
        body: What came with it.
        headers: Its headers.
        is_write: Whether the request was to change something.
        now_s: Unix seconds, to which a stated time of reset is compared.
    """
    document = _document(body)
    text = error_text(document)
    reason = f"{status} {text}".strip()
    wait = retry_after_s(headers, document, now_s)
    if status == 429:
        return RateLimited(reason, 1.0 if wait is None else wait)
    if status == 425:
        return Unavailable(
            reason if text else "425 the matching engine restarts", RESTART_WAIT_S if wait is None else wait
        )
    if status == 401 or _KEY_WORDS.search(text):
        return AuthenticationFailed(reason)
    if status == 404:
        return NotFound(reason)
    if status == 400 and "heartbeat_id" in document:
        return HeartbeatMismatch(str(document["heartbeat_id"] or ""), text)
    code = _code(document, text)
    is_retryable = document.get("retryable") is True and not is_write
    has_failed = status == 408 or (status >= 500 and not (status == 503 and code in _MODES))
    if is_retryable or has_failed:
        return OutcomeUnknown(reason) if is_write else TransientError(reason)
    return Refused(code, text, status, wait)


def _code(document: Mapping[str, Any], text: str) -> str:
    """Return our code by the words, else the body's own where it has one."""
    stated = str(document.get("code") or "")[:60]
    if stated in _MODES:
        return stated
    found = code_of(text)
    return stated if found == UNKNOWN_REFUSAL and stated else found


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
