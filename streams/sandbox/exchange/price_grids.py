"""Price grids while a market trades: a step that is changed, and one that becomes finer by itself near an end."""

from __future__ import annotations

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.state import ExchangeState

_COARSE_TICK_E4, _FINE_TICK_E4 = 100, 10
_FINE_BELOW_E4, _FINE_ABOVE_E4 = 400, 9_600
"""Ticks of a cent become tenths of a cent when the price passes 0.04 or 0.96."""


class PriceGrids:
    """Changes the valid prices of markets; resting orders stay where they are."""

    def __init__(self, state: ExchangeState, feed: ChangeFeed) -> None:
        self._state = state
        self._feed = feed

    def change(self, listed: ListedMarket, tick_e4: int, now_ms: int) -> None:
        """Give a market that trades another step (1/10,000 dollar)."""
        if listed.status not in ("open", "paused") or listed.tick_e4 == tick_e4:
            return
        listed.previous_tick_e4 = listed.tick_e4
        listed.price_ranges = ((0, PRICE_ONE_E4, tick_e4),)
        self._state.engine.change_grid(listed.market_id, listed.price_ranges)
        self._feed.publish_lifecycle(listed, "tick_changed", now_ms)

    def refine(self, listed: ListedMarket, now_ms: int) -> None:
        """Make the grid finer where the price has come near an end."""
        if listed.price_ranges[0][2] != _COARSE_TICK_E4:
            return
        price = listed.middle_e4
        if price and not _FINE_BELOW_E4 <= price <= _FINE_ABOVE_E4:
            self.change(listed, _FINE_TICK_E4, now_ms)
