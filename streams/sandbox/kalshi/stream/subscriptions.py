"""Subscriptions of Kalshi's socket: one channel of one connection each, and who gets what over all connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

LIFECYCLE = "market_lifecycle_v2"
BOOKS = "orderbook_delta"
PRIVATE = frozenset({"fill", "user_orders", "market_positions", "order_group_updates"})
FILTERED = frozenset({BOOKS, "ticker", "trade", "fill", "user_orders", "market_positions"})
"""Channels that take a market filter; the others always send everything."""
SILENT = frozenset(
    {"multivariate_market_lifecycle", "communications", "cfbenchmarks_value", "cfbenchmarks_value_5hz", "pyth_value"}
)
"""Channels that can be subscribed to and on which nothing happens in the sandbox: no combos, quotes or indices."""
CHANNELS = FILTERED | PRIVATE | SILENT | {LIFECYCLE}
UNNUMBERED = frozenset({"ticker", "fill", "user_orders", "market_positions"})


class Subscriber(Protocol):
    """A connection as feeds know it."""

    def publish(self, subscription: Subscription, kind: str, message: bytes) -> None:
        """Send a message of a type as a frame of one of the connection's subscriptions."""


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription.

    Attributes:
        subscriber: The connection it belongs to.
        account_id: The account of the connection's key.
        tickers: None is all markets.
        is_by_id: The markets were named by their UUIDs; acknowledgements list those.
        is_terse: Acknowledgements leave the list out.
        seq: The last number used; only numbered channels show it on data.
    """

    subscriber: Subscriber
    account_id: str
    sid: int
    channel: str
    tickers: dict[str, None] | None
    use_yes_price: bool = False
    is_by_id: bool = False
    is_terse: bool = False
    seq: int = 0

    @property
    def is_numbered(self) -> bool:
        """Whether data and acknowledgements carry `seq`."""
        return self.channel not in UNNUMBERED

    def number(self) -> int:
        """Use up the next number: a frame that gets lost has used it all the same."""
        self.seq += 1
        return self.seq


class Subscriptions:
    """Subscriptions by channel and market. A subscription to all markets is stored apart.

    Attributes:
        connections: Open sockets by account.
    """

    def __init__(self) -> None:
        self.connections: dict[str, int] = {}
        self._by_market: dict[tuple[str, str], dict[Subscription, None]] = {}
        self._for_all: dict[str, dict[Subscription, None]] = {}

    def count_connection(self, account_id: str, change: int) -> None:
        """Count an account's sockets."""
        self.connections[account_id] = self.connections.get(account_id, 0) + change

    def add(self, subscription: Subscription, tickers: list[str] | None) -> None:
        """Send it what happens in these markets (all when None)."""
        if tickers is None:
            self._for_all.setdefault(subscription.channel, {})[subscription] = None
            return
        for ticker in tickers:
            self._by_market.setdefault((subscription.channel, ticker), {})[subscription] = None

    def remove(self, subscription: Subscription, tickers: list[str] | None) -> None:
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

    def of_market(self, channel: str, ticker: str) -> list[Subscription]:
        """Those that get a market's messages of a channel."""
        return [*self._by_market.get((channel, ticker), ()), *self._for_all.get(channel, ())]

    def of_owner(self, channel: str, ticker: str, account_id: str) -> list[Subscription]:
        """An account's own ones among those that get a market's messages of a private channel."""
        some, others = self._by_market.get((channel, ticker)), self._for_all.get(channel)
        if not some and not others:
            return []
        return [one for one in (*(some or ()), *(others or ())) if one.account_id == account_id]

    def publish_to_all(self, channel: str, kind: str, body: dict[str, Any]) -> None:
        """Send to everybody on a channel that has no market filter."""
        if members := list(self._for_all.get(channel, ())):
            publish(members, kind, body)

    def publish_fee_override(self, body: dict[str, Any]) -> None:
        """An event's fee override took effect."""
        self.publish_to_all(LIFECYCLE, "event_fee_update", body)

    def publish_order_group(self, account_id: str, body: dict[str, Any]) -> None:
        """An account's order group changed."""
        if owner := self.of_owner("order_group_updates", "", account_id):
            publish(owner, "order_group_updates", body)


def publish(subscriptions: Iterable[Subscription], kind: str, body: dict[str, Any]) -> None:
    """Send one message to several subscriptions, rendered once."""
    message = orjson.dumps(body)
    for subscription in subscriptions:
        subscription.subscriber.publish(subscription, kind, message)
