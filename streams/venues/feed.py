"""What a live feed of one venue offers the recorder. Reconnecting, integrity and storage are the recorder's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from streams.market.events import MarketEvent
from streams.market.identity import Venue


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
    """One connection to one venue's market data.

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
