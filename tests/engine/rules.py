"""What a venue takes at a moment, said a second time: by its mode and by the state of the market."""

from __future__ import annotations

from dataclasses import dataclass

_ORDERS = {
    "trading_paused": "trading_paused", "closed": "exchange_closed", "restarting": "restarting",
    "cancel_only": "cancel_only_mode",
}  # fmt: skip
_CANCELS = {"closed": "exchange_closed", "restarting": "restarting"}
_MARKETS = {
    "paused": "market_paused", "closed": "market_closed", "determined": "market_closed", "settled": "market_closed",
}  # fmt: skip
BARS = frozenset({*_ORDERS.values(), *_MARKETS.values(), "post_only_mode"})
"""Every code that an order gets for the moment at which it comes."""


@dataclass
class Rules:
    """The mode, until when it lasts, and what comes then."""

    mode: str = "open"
    until_ms: int | None = None
    then: str = "open"

    def set(self, mode: str, until_ms: int, then: str) -> None:
        """Another mode holds from now on."""
        self.mode, self.until_ms, self.then = mode, until_ms, then

    def pass_time(self, now_ms: int) -> None:
        """A mode ends; two minutes of post-only follow a restart."""
        if self.until_ms is not None and now_ms >= self.until_ms:
            ended = self.until_ms
            self.until_ms = ended + 120_000 if (self.mode, self.then) == ("restarting", "post_only") else None
            self.mode, self.then = self.then, "open"

    def bar(self, is_post_only: bool, status: str) -> str:
        """The code an order is refused with for the moment; "" when it may come."""
        if self.mode == "post_only" and not is_post_only:
            return "post_only_mode"
        return _ORDERS.get(self.mode) or _MARKETS.get(status, "")

    @property
    def cancel_bar(self) -> str:
        """The code a cancel is refused with; "" when it may come."""
        return _CANCELS.get(self.mode, "")
