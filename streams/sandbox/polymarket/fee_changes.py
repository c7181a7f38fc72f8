"""Fees of Polymarket markets that were changed after their listing: the venue has no list and no frame for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.sandbox.exchange.exchange import Exchange

_STATE = "fee_schedules"


class MarketFees:
    """Changed schedules, in the exchange's saved state; fills and every object that names fees follow them."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._is_restored = False

    def change(self, market_id: str, data: Mapping[str, Any]) -> None:
        """Give a listed market another schedule, from its next fill on.

        Args:
            market_id: The condition id.
            data: `{"rate", "exponent", "taker_only"}`; {} for no fees.

        Raises:
            InvalidAmount: If a number cannot be one.
        """
        self._exchange.state.markets[market_id].schedule = from_json(Venue.POLYMARKET, data)
        self._exchange.state.saved.setdefault(_STATE, {})[market_id] = dict(data)
        self._exchange.state.changes.saved = True

    def restore(self) -> None:
        """Bring back, once, what was changed before a restart."""
        if self._is_restored:
            return
        self._is_restored = True
        for market_id, data in self._exchange.state.saved.get(_STATE, {}).items():
            if market_id in self._exchange.state.markets:
                self._exchange.state.markets[market_id].schedule = from_json(Venue.POLYMARKET, data)

    def drop(self, market_id: str) -> None:
        """Drop the changed schedule of a market."""
        if self._exchange.state.saved.get(_STATE, {}).pop(market_id, None) is not None:
            self._exchange.state.changes.saved = True
