"""What a venue's list of markets is to a sweep: pages, parsed, and markets by id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from streams.market.documents import JsonDocument
from streams.market.errors import MalformedFrame, UnreadableAnswer
from streams.market.identity import Venue
from streams.market.listing import DiscoveredMarket
from streams.storage.discovered.listings import EventRow
from streams.storage.discovered.sweeps import SweepKind
from streams.venues.common.responses import check_storable, object_of, read_item

Parsed = TypeVar("Parsed")
_IDS_PER_CALL = 50


@dataclass
class FetchedPage:
    """One page, parsed.

    Attributes:
        dead_letters: Entries that cannot be read: (bytes, reason).
        cursor: Asks for the next page, empty after the last.
        next_list: Where to go on if `cursor` was given before, or none can be read: the list that comes after this
            one, empty for none.
        broken_off: Why nothing says where this list goes on; None where something does.
    """

    markets: list[DiscoveredMarket] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    series: list[JsonDocument] = field(default_factory=list)
    dead_letters: list[tuple[bytes, str]] = field(default_factory=list)
    cursor: str = ""
    next_list: str = ""
    broken_off: UnreadableAnswer | None = None

    def parse(self, payload: Any, parse: Callable[[JsonDocument], Parsed]) -> Parsed | None:
        """Return what `parse` makes of one entry; what it cannot read is a dead letter and None."""
        try:
            check_storable(payload)
            return read_item(payload, lambda entry: parse(object_of(entry)))
        except MalformedFrame as error:
            self.set_aside([error])
            return None

    def set_aside(self, unreadable: Iterable[MalformedFrame]) -> None:
        """Add entries that cannot be read as dead letters."""
        self.dead_letters += [(entry.raw, entry.reason) for entry in unreadable]

    def extend(self, other: FetchedPage) -> None:
        """Add the markets, events, series and dead letters of another page."""
        self.markets += other.markets
        self.events += other.events
        self.series += other.series
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

    def beyond(self, cursor: str, since: datetime | None, lost: UnreadableAnswer) -> FetchedPage:
        """Return an empty page in the place of one that cannot be read and that says where the list goes on."""

    async def by_id(self, market_ids: Sequence[str]) -> FetchedPage:
        """Return the named markets, whatever their state."""


def batches(market_ids: Sequence[str]) -> list[Sequence[str]]:
    """Split ids into what one call may ask for."""
    return [market_ids[start : start + _IDS_PER_CALL] for start in range(0, len(market_ids), _IDS_PER_CALL)]
