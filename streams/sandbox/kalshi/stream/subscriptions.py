"""Who is subscribed to what, over all connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from streams.sandbox.kalshi.stream.subscription import Subscription

LIFECYCLE = "market_lifecycle_v2"


class Hub:
    """Subscriptions by channel and market. A subscription to all markets is kept apart."""

    def __init__(self) -> None:
        self.connections: dict[str, int] = {}
        self._by_market: dict[tuple[str, str], dict[Subscription, None]] = {}
        self._for_all: dict[str, dict[Subscription, None]] = {}

    def connected(self, account_id: str, change: int) -> None:
        """Count an account's sockets."""
        self.connections[account_id] = self.connections.get(account_id, 0) + change

    def subscribe(self, subscription: Subscription, tickers: list[str] | None) -> None:
        """Send it what happens in these markets (all when None)."""
        if tickers is None:
            self._for_all.setdefault(subscription.channel, {})[subscription] = None
            return
        for ticker in tickers:
            self._by_market.setdefault((subscription.channel, ticker), {})[subscription] = None

    def unsubscribe(self, subscription: Subscription, tickers: list[str] | None) -> None:
        """Stop sending it these markets (everything when None)."""
        if tickers is None:
            self._for_all.get(subscription.channel, {}).pop(subscription, None)
            tickers = list(subscription.tickers or ())
        for ticker in tickers:
            members = self._by_market.get((subscription.channel, ticker))
            if members is not None:
                members.pop(subscription, None)
                if not members:
                    del self._by_market[subscription.channel, ticker]

    def interested(self, channel: str, ticker: str) -> list[Subscription]:
        """Who wants a market's messages of a channel."""
        return [*self._by_market.get((channel, ticker), ()), *self._for_all.get(channel, ())]

    def to_all(self, channel: str, kind: str, body: dict[str, Any]) -> None:
        """Send to everybody on a channel that has no market filter."""
        members = self._for_all.get(channel)
        if members:
            message = orjson.dumps(body)
            for subscription in list(members):
                subscription.send(kind, message)

    def to_owner(self, channel: str, kind: str, account_id: str, ticker: str, body: dict[str, Any]) -> None:
        """Send to an account's own subscriptions of a private channel."""
        members = [one for one in self.interested(channel, ticker) if one.session.key.account_id == account_id]
        if members:
            message = orjson.dumps(body)
            for subscription in members:
                subscription.send(kind, message)

    def tell_fee_update(self, body: dict[str, Any]) -> None:
        """An event's fee override took effect."""
        self.to_all(LIFECYCLE, "event_fee_update", body)
