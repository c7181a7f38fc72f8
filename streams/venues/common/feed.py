"""What live feeds of one venue offer: `Feed` for market data, `UserFeed` for our own account.

Reconnecting, integrity and storage are the business of whoever reads them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from streams.market.events import MarketEvent
from streams.market.identity import Venue
from streams.market.user_stream_events import UserStreamEvent


class RawFrame(NamedTuple):
    """One message as received, with the wall clock of its arrival."""

    raw: bytes
    received_ns: int


class NamedMarket(Protocol):
    """A market by its canonical id: enough for Kalshi."""

    @property
    def market_id(self) -> str:
        """The canonical id."""


class FeedMarket(NamedMarket, Protocol):
    """What every feed can work with: Polymarket subscribes by tokens (empty texts on Kalshi)."""

    @property
    def yes_token(self) -> str:
        """Token id of YES."""

    @property
    def no_token(self) -> str:
        """Token id of NO."""


class Feed(Protocol):
    """One venue's market data, over one connection or several.

    `connect` starts afresh: nothing is subscribed afterwards. `frames` and `batches` read the same stream, so use one
    of them. Pings, pongs and heartbeats happen inside and do not appear as frames.
    """

    @property
    def venue(self) -> Venue:
        """Whose feed it is."""

    async def connect(self) -> None:
        """Open the connection.

        Raises:
            TransientError: It cannot be opened now.
            AuthenticationFailed: The key is not accepted, or one is needed and missing.
        """

    async def subscribe(self, markets: Sequence[FeedMarket]) -> None:
        """Ask for the books and trades of markets; those already asked for are left alone."""

    async def unsubscribe(self, markets: Sequence[FeedMarket]) -> None:
        """Stop the books and trades of markets."""

    async def resync(self, market_ids: Sequence[str]) -> None:
        """Ask for fresh snapshots of subscribed markets."""

    def frames(self) -> AsyncIterator[RawFrame]:
        """Yield frames as they arrive.

        Raises:
            TransientError: The connection is gone or silent.
        """

    def batches(self) -> AsyncIterator[list[RawFrame]]:
        """Yield all frames that have arrived since the last batch, never an empty list; errors as for `frames`."""

    def parse(self, raw: bytes) -> list[MarketEvent]:
        """Return the events of a frame of this feed; raises MalformedFrame only."""

    async def close(self) -> None:
        """Close the connection; safe to call at any time."""


class UserFeed(Protocol):
    """One venue's user stream: what it reports of our account.

    There is no replay. The first event after `connect` is `AccountUnread`, and it comes again whenever something may
    have been missed: orders, executions and positions are then read over REST, and later events applied on top.
    `streams.market.order_lifecycle` puts both together in any order.
    """

    @property
    def venue(self) -> Venue:
        """Whose feed it is."""

    async def connect(self) -> None:
        """Open the connection and subscribe; errors as for `Feed.connect`."""

    def events(self) -> AsyncIterator[UserStreamEvent]:
        """Yield events as they arrive. A frame that cannot be read becomes `AccountUnread`.

        Raises:
            TransientError: The connection is gone or silent.
            AuthenticationFailed: The key is not accepted for these channels.
        """

    async def close(self) -> None:
        """Close the connection; safe to call at any time."""
