"""The venue's modes: what it takes while it is paused, closed, restarting, or takes only some kinds of orders."""

from __future__ import annotations

from streams.market.errors import Refused
from streams.sandbox.core.records import ExchangeMode, OrderRequest
from streams.sandbox.exchange.transfers import Treasury

POST_ONLY_AFTER_RESTART_MS = 120_000
"""After an engine restart Polymarket takes only post-only orders for two minutes."""
_NO_ENTRY: dict[ExchangeMode, str] = {
    "trading_paused": "trading_paused",
    "closed": "exchange_closed",
    "restarting": "restarting",
    "cancel_only": "cancel_only_mode",
}
_NO_CANCEL: dict[ExchangeMode, str] = {"closed": "exchange_closed", "restarting": "restarting"}


class Modes(Treasury):
    """Refuses what the mode of the moment does not allow."""

    def set_mode(
        self, mode: ExchangeMode, now_ms: int, *, until_ms: int | None = None, then: ExchangeMode = "open"
    ) -> None:
        """Change what the venue takes.

        A pause (and a closed exchange) ends the orders that asked for it and keeps the others.

        Args:
            mode: The new mode.
            now_ms: When.
            until_ms: When it ends by itself; None: not by itself.
            then: The mode after it. `post_only` after `restarting` itself ends after two minutes.
        """
        self.mode, self.mode_until_ms, self.mode_then = mode, until_ms, then
        self.changes.mode = True
        if mode in ("trading_paused", "closed"):
            for ticket in list(self.resting.values()):
                if ticket.request.cancel_on_pause:
                    self.end_resting(ticket, now_ms, "paused")

    def move_mode(self, now_ms: int) -> None:
        """End a mode whose time has come."""
        if self.mode_until_ms is None or now_ms < self.mode_until_ms:
            return
        is_after_restart = self.mode == "restarting" and self.mode_then == "post_only"
        until = self.mode_until_ms + POST_ONLY_AFTER_RESTART_MS if is_after_restart else None
        self.set_mode(self.mode_then, now_ms, until_ms=until)

    def check_mode(self, request: OrderRequest) -> None:
        """Refuse an order the mode does not allow.

        Raises:
            Refused: `trading_paused`, `exchange_closed`, `restarting`, `cancel_only_mode`, `post_only_mode`.
        """
        if self.mode in _NO_ENTRY:
            raise Refused(_NO_ENTRY[self.mode])
        if self.mode == "post_only" and not request.is_post_only:
            raise Refused("post_only_mode")

    def check_cancel(self) -> None:
        """Refuse a cancel the mode does not allow.

        Raises:
            Refused: `exchange_closed` or `restarting`.
        """
        if self.mode in _NO_CANCEL:
            raise Refused(_NO_CANCEL[self.mode])
