"""The matching engine's states on the wire: restarting, disabled, cancel-only, post-only."""

from __future__ import annotations

from streams.sandbox.exchange import Exchange
from streams.sandbox.polymarket_face.settings import FaceSettings
from streams.sandbox.server import Response

_DISABLED = "Trading is currently disabled. Check polymarket.com for updates"
_CANCEL_ONLY = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
_POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"


class RestartWatch:
    """Sees restarts end, and keeps the exchange post-only for a while after each."""

    def __init__(self, exchange: Exchange, settings: FaceSettings) -> None:
        self._exchange = exchange
        self._settings = settings
        self._was_restarting = False
        self._post_only_until_ms = 0

    def tick(self, now_ms: int) -> None:
        """Notice the end of a restart."""
        mode = self._exchange.mode
        if self._was_restarting and mode in ("open", "post_only"):
            self._post_only_until_ms = now_ms + self._settings.post_only_after_restart_ms
            self._exchange.set_mode("post_only", now_ms, until_ms=self._post_only_until_ms, then="open")
        self._was_restarting = mode == "restarting"

    def ends_in_s(self, now_ms: int) -> int:
        """Seconds until post-only mode ends, as far as it is known."""
        return max(1, -(-(self._post_only_until_ms - now_ms) // 1000))


def mode_refusal(exchange: Exchange, ends_in_s: int, *, is_cancel: bool, is_post_only: bool) -> Response | None:
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
        body = {"error": _POST_ONLY, "code": "post_only_mode", "retry_after_seconds": ends_in_s}
        return Response(503, body, {"Retry-After": str(ends_in_s)})
    return None
