"""Polymarket's list: Gamma's keyset pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from orchestration.discovery.sources.protocol import FetchedPage
from streams.market.documents import JsonDocument
from streams.market.errors import UnreadableAnswer
from streams.market.identity import Venue
from streams.market.listing import DiscoveredMarket
from streams.storage.discovered.listings import EventRow
from streams.storage.discovered.sweeps import SweepKind
from streams.venues.common.paging import Page
from streams.venues.polymarket.gamma.listings import parse_market


class GammaLists(Protocol):
    """What discovery needs of the Polymarket client."""

    async def gamma_markets_page(self, cursor: str = ..., *, limit: int = ..., **filters: Any) -> Page[JsonDocument]:
        """Return one page of markets."""


class PolymarketSource:
    """Polymarket: Gamma's keyset list, all of it or what started since.

    Gamma has no "updated since"; changed texts of older markets are found by the daily full sweep.
    """

    venue = Venue.POLYMARKET

    def __init__(self, client: GammaLists, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock

    async def prepare(self, kind: SweepKind) -> list[JsonDocument]:
        """Gamma's markets carry what they need."""
        return []

    async def page(self, cursor: str, since: datetime | None) -> FetchedPage:
        """Return one page of markets that are not closed."""
        filters: JsonDocument = {"closed": "false"}
        if since is not None:
            filters["start_date_min"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        page = await self._client.gamma_markets_page(cursor, **filters)
        return self._parsed(page)

    def beyond(self, cursor: str, since: datetime | None, lost: UnreadableAnswer) -> FetchedPage:
        """Return an empty page in the place of one that cannot be read."""
        return FetchedPage(cursor=lost.next_cursor or "", dead_letters=[(lost.raw, lost.reason)])

    async def by_id(self, market_ids: Sequence[str]) -> FetchedPage:
        """Return markets by condition id, open and closed ones."""
        fetched = FetchedPage()
        for closed in ("true", "false"):
            page = await self._client.gamma_markets_page("", condition_ids=list(market_ids), closed=closed)
            fetched.extend(self._parsed(page))
        return fetched

    def _parsed(self, page: Page[JsonDocument]) -> FetchedPage:
        fetched = FetchedPage(cursor=page.cursor, broken_off=page.broken_off)
        fetched.set_aside(page.unreadable)
        for payload in page.items:
            market = fetched.parse(payload, lambda p: parse_market(p, now=self._clock()))
            if market is not None:
                fetched.markets.append(market)
                fetched.events.append(_gamma_event(market, payload))
        return fetched


def _gamma_event(market: DiscoveredMarket, payload: JsonDocument) -> EventRow:
    nested = payload.get("events") or [{}]
    return EventRow(
        venue=Venue.POLYMARKET,
        event_id=market.listing.event_id,
        series_id=market.terms.series_id,
        title=market.listing.event_title or market.listing.title,
        category=market.listing.category,
        is_exclusive=market.terms.is_exclusive_event,
        payload={key: value for key, value in nested[0].items() if key != "markets"},
    )
