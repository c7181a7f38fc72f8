"""What a venue's list of markets is to a sweep: pages, parsed, and markets by id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import orjson

from streams.market.documents import JsonDocument
from streams.market.errors import MalformedFrame
from streams.market.identity import Venue
from streams.market.listing import DiscoveredMarket
from streams.storage.listings import EventRow
from streams.storage.sweeps import SweepKind

_IDS_PER_CALL = 50


@dataclass
class FetchedPage:
    """One page, parsed. `dead_letters` are entries that did not parse: (bytes, reason)."""

    markets: list[DiscoveredMarket] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    series: list[JsonDocument] = field(default_factory=list)
    dead_letters: list[tuple[bytes, str]] = field(default_factory=list)
    cursor: str = ""

    def parse(self, payload: JsonDocument, parse: Callable[[JsonDocument], DiscoveredMarket]) -> None:
        """Add one entry as a market, or as a dead letter if it does not parse."""
        try:
            self.markets.append(parse(payload))
        except MalformedFrame as error:
            self.dead_letters.append((orjson.dumps(payload), error.reason))

    def extend(self, other: FetchedPage) -> None:
        """Add the markets, events and dead letters of another page."""
        self.markets += other.markets
        self.events += other.events
        self.dead_letters += other.dead_letters


class ListingSource(Protocol):
    """Where a venue's markets come from."""

    @property
    def venue(self) -> Venue:
        """Whose markets."""

    async def prepare(self, kind: SweepKind) -> list[JsonDocument]:
        """Load what all pages need; returns the series to keep."""

    async def page(self, cursor: str, since: datetime | None) -> FetchedPage:
        """Return one page: of everything, or of what changed since."""

    async def by_id(self, market_ids: Sequence[str]) -> FetchedPage:
        """Return the named markets, whatever their state."""


def batches(market_ids: Sequence[str]) -> list[Sequence[str]]:
    """Split ids into what one call may ask for."""
    return [market_ids[start : start + _IDS_PER_CALL] for start in range(0, len(market_ids), _IDS_PER_CALL)]
