"""The trading status of a venue: what it takes while it is paused, closed, restarting, or takes only some orders."""

from __future__ import annotations

from streams.market.errors import Refused
from streams.sandbox.core.records import ExchangeMode
from streams.sandbox.exchange.state import ExchangeState
from streams.sandbox.exchange.trade_capture import TradeCapture

POST_ONLY_AFTER_RESTART_MS = 120_000
"""After an engine restart Polymarket takes only post-only orders for two minutes."""
_NO_ENTRY: dict[ExchangeMode, str] = {
    "trading_paused": "trading_paused",
    "closed": "exchange_closed",
    "restarting": "restarting",
    "cancel_only": "cancel_only_mode",
}
_NO_CANCEL: dict[ExchangeMode, str] = {"closed": "exchange_closed", "restarting": "restarting"}


class TradingStatus:
    """Refuses what the mode of the moment does not allow."""

    def __init__(self, state: ExchangeState, capture: TradeCapture) -> None:
        self._state = state
        self._capture = capture

    @property
    def is_standing_still(self) -> bool:
        """Whether nothing can be placed or cancelled."""
        return self._state.mode in _NO_CANCEL

    def change(
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
        self._state.mode, self._state.mode_until_ms, self._state.mode_then = mode, until_ms, then
        self._state.changes.mode = True
        if mode in ("trading_paused", "closed"):
            for record in list(self._state.resting.values()):
                if record.request.cancel_on_pause:
                    self._capture.end_resting(record, now_ms, "paused")

    def tick(self, now_ms: int) -> None:
        """End a mode whose time has come."""
        state = self._state
        if state.mode_until_ms is None or now_ms < state.mode_until_ms:
            return
        is_after_restart = state.mode == "restarting" and state.mode_then == "post_only"
        until = state.mode_until_ms + POST_ONLY_AFTER_RESTART_MS if is_after_restart else None
        self.change(state.mode_then, now_ms, until_ms=until)

    def check_entry(self, market_id: str, *, is_post_only: bool) -> None:
        """Refuse an order that the mode does not allow, or whose market is paused.

        Raises:
            Refused: `trading_paused`, `exchange_closed`, `restarting`, `cancel_only_mode`, `post_only_mode`,
                `market_paused`.
        """
        mode = self._state.mode
        if mode in _NO_ENTRY:
            raise Refused(_NO_ENTRY[mode])
        if mode == "post_only" and not is_post_only:
            raise Refused("post_only_mode")
        listed = self._state.markets.get(market_id)
        if listed is not None and listed.status == "paused":
            raise Refused("market_paused")

    def check_cancel(self) -> None:
        """Refuse a cancel the mode does not allow.

        Raises:
            Refused: `exchange_closed` or `restarting`.
        """
        if self._state.mode in _NO_CANCEL:
            raise Refused(_NO_CANCEL[self._state.mode])
