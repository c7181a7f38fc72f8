"""One channel of one connection, and the numbers its frames carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

BOOKS = "orderbook_delta"
PRIVATE = frozenset({"fill", "user_orders", "market_positions", "order_group_updates"})
FILTERED = frozenset({BOOKS, "ticker", "trade", "fill", "user_orders", "market_positions"})
"""Channels that take a market filter; the others always send everything."""
SILENT = frozenset(
    {"multivariate_market_lifecycle", "communications", "cfbenchmarks_value", "cfbenchmarks_value_5hz", "pyth_value"}
)
"""Channels that can be subscribed to and on which nothing happens in the sandbox: no combos, quotes or indices."""
CHANNELS = FILTERED | PRIVATE | SILENT | {"market_lifecycle_v2"}
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
