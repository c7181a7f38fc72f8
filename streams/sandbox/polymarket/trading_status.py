"""The matching engine's states on the wire: restarting, disabled, cancel-only, post-only."""

from __future__ import annotations

from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Response

_DISABLED = "Trading is currently disabled. Check polymarket.com for updates"
_CANCEL_ONLY = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
_POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"


def mode_refusal(exchange: Exchange, now_ms: int, *, is_cancel: bool, is_post_only: bool) -> Response | None:
    """What a mode answers to an order or a cancel, None when it may pass."""
    mode = exchange.mode
    if mode == "restarting":
        # The text is unconfirmed; clients go by the status.
        return Response(425, {"error": "matching engine restarting"})
    if mode == "closed" or (mode == "trading_paused" and not is_cancel):
        return Response(503, {"error": _DISABLED})
    if is_cancel:
        return None
    if mode == "cancel_only":
        return Response(503, {"error": _CANCEL_ONLY})
    if mode == "post_only" and not is_post_only:
        ends_in_s = max(1, -(-((exchange.mode_until_ms or now_ms) - now_ms) // 1000))
        body = {"error": _POST_ONLY, "code": "post_only_mode", "retry_after_seconds": ends_in_s}
        return Response(503, body, {"Retry-After": str(ends_in_s)})
    return None
