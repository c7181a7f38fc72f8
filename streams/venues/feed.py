"""What the recorder needs of a venue's market feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

from streams.market.events import MarketEvent
from streams.market.identity import Venue


class RawFrame(NamedTuple):
    """Bytes as received, and when (wall clock, nanoseconds since the epoch)."""

    raw: bytes
    received_ns: int


class Feed(Protocol):
    """One connection to a venue's market data."""

    venue: Venue

    async def connect(self) -> None:
        """Connect."""

    async def subscribe(self, markets: Sequence[Any]) -> None:
        """Follow more markets."""

    async def unsubscribe(self, markets: Sequence[Any]) -> None:
        """Follow fewer markets."""

    async def resync(self, market_ids: Sequence[str]) -> None:
        """Ask for whole books."""

    def frames(self) -> AsyncIterator[RawFrame]:
        """Yield frames as they come."""
        ...

    def parse(self, raw: bytes) -> list[MarketEvent]:
        """Parse one frame."""
        ...

    async def close(self) -> None:
        """Close."""
