"""The CLOB's texts for orders it does not take, and what its trading status answers to orders and cancels."""

from __future__ import annotations

from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Response

INVALID_PAYLOAD = "Invalid order payload"
UNFILLED_FOK = "order couldn't be fully filled. FOK orders are fully filled or killed."
UNMATCHED_FAK = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
POST_ONLY_CROSS = "invalid post-only order: order crosses book"
NOT_READY = "the market is not yet ready to process new orders"
NOT_INSERTED = "could not insert order"
POST_ONLY_MODE = "post-only mode: only post-only orders and cancels are allowed"
_DISABLED = "Trading is currently disabled. Check polymarket.com for updates"
_CANCEL_ONLY = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."


class Invalid(Exception):
    """An order the venue would refuse with this text."""


def trading_refusal(
    exchange: Exchange, now_ms: int, *, is_cancel: bool = False, is_post_only: bool = False
) -> Response | None:
    """What the trading status answers to an order or a cancel, None when it may pass."""
    status = exchange.state.mode
    if status == "restarting":
        # The text is unconfirmed; clients go by the status.
        return Response(425, {"error": "matching engine restarting"})
    if status == "closed" or (status == "trading_paused" and not is_cancel):
        return Response(503, {"error": _DISABLED})
    if is_cancel:
        return None
    if status == "cancel_only":
        return Response(503, {"error": _CANCEL_ONLY})
    if status == "post_only" and not is_post_only:
        ends_in_s = max(1, -(-((exchange.state.mode_until_ms or now_ms) - now_ms) // 1000))
        body = {"error": POST_ONLY_MODE, "code": "post_only_mode", "retry_after_seconds": ends_in_s}
        return Response(503, body, {"Retry-After": str(ends_in_s)})
    return None
