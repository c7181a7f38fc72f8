"""Which markets a venue's session follows: what it shall follow, what its connection was asked for. Pure.

A market is followed from the change that adds it until the change that removes it, over all connections between: while
it is followed it has an open interval in the coverage, before and afterwards it has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streams.storage.store.wanted import WantedMarket


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """Markets that leave and markets that come. A market whose tokens changed does both."""

    removed: list[WantedMarket]
    added: list[WantedMarket]

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.removed or self.added)


class Subscriptions:
    """The markets of one venue's session.

    Args:
        needs_tokens: Markets are subscribed to by tokens; one without two different tokens is never followed.
    """

    def __init__(self, *, needs_tokens: bool) -> None:
        self._needs_tokens = needs_tokens
        self._universe: dict[str, WantedMarket] = {}
        self._followed: dict[str, WantedMarket] = {}
        self._left: dict[str, WantedMarket] = {}

    def want(self, markets: Iterable[WantedMarket]) -> None:
        """Set the markets to be followed from now on."""
        self._universe = {market.market_id: market for market in markets if self._can_be_followed(market)}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to follow."""
        return not self._universe

    @property
    def followed(self) -> dict[str, WantedMarket]:
        """The markets that the connection was asked for, by id."""
        return self._followed

    def lose_connection(self) -> None:
        """The connection is gone: all markets are to be asked for anew."""
        self._left |= self._followed
        self._followed = {}

    def leave(self) -> list[WantedMarket]:
        """Return the markets that left the universe while there was no connection, once."""
        gone = [market for market_id, market in self._left.items() if market_id not in self._universe]
        for market in gone:
            del self._left[market.market_id]
        return gone

    def change(self) -> SubscriptionChange:
        """Return what makes the connection follow the universe, and take it as done.

        What left the universe since the last connection was lost leaves now, if it has not before.
        """
        removed = [market for market_id, market in self._followed.items() if self._is_other(market_id, market)]
        again = {market.market_id for market in removed}
        added = [m for market_id, m in self._universe.items() if market_id not in self._followed or market_id in again]
        self._followed = dict(self._universe)
        for market in added:
            self._left.pop(market.market_id, None)
        return SubscriptionChange(removed + self.leave(), added)

    def _is_other(self, market_id: str, market: WantedMarket) -> bool:
        wanted = self._universe.get(market_id)
        return wanted is None or (wanted.yes_token, wanted.no_token) != (market.yes_token, market.no_token)

    def _can_be_followed(self, market: WantedMarket) -> bool:
        if not market.market_id:
            return False
        tokens = {market.yes_token, market.no_token} - {""}
        return not self._needs_tokens or len(tokens) == 2
