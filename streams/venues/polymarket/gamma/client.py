"""Gamma: the catalogue of markets and events. Its prices are cached; nothing is ordered by them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from streams.market.errors import MalformedFrame
from streams.market.listing import DiscoveredMarket
from streams.venues.common.paging import Page, all_pages
from streams.venues.common.responses import document_of, json_of, read
from streams.venues.polymarket.gamma import catalogue
from streams.venues.polymarket.gamma.listings import parse_market
from streams.venues.polymarket.transport import Filter, PolymarketTransport

_MARKETS_PER_PAGE = 100
_EVENTS_PER_PAGE = 500
_SERIES_PER_PAGE = 50


class GammaReads(PolymarketTransport):
    """Reads of the catalogue. `filters` are Gamma's own parameters in snake_case (closed, tag_id, slug, ...)."""

    async def gamma_markets_page(
        self, cursor: str = "", *, limit: int = _MARKETS_PER_PAGE, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of markets as Gamma's JSON, at most 100; `parse_market` reads them."""
        return await self._keyset("/markets/keyset", "markets", cursor, limit, filters)

    async def gamma_events_page(
        self, cursor: str = "", *, limit: int = _EVENTS_PER_PAGE, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of events with their markets as Gamma's JSON, at most 500; `parse_event` reads them."""
        return await self._keyset("/events/keyset", "events", cursor, limit, filters)

    async def gamma_events(
        self, *, limit: int = _EVENTS_PER_PAGE, **filters: Filter
    ) -> AsyncIterator[catalogue.GammaEvent]:
        """Yield the events of all pages, read.

        Raises:
            TransientError: If the venue hands out a cursor twice, which would never end.
        """
        pages = all_pages(lambda cursor: self._keyset("/events/keyset", "events", cursor, limit, filters))
        async for page in pages:
            for row in page.items:
                yield read(row, self._event)

    async def gamma_market(self, gamma_id: str) -> DiscoveredMarket:
        """Return one market by Gamma's id (digits)."""
        return self._market(await self._get("gamma", f"/markets/{gamma_id}"))

    async def gamma_market_by_slug(self, slug: str) -> DiscoveredMarket:
        """Return one market by the name in its address."""
        return self._market(await self._get("gamma", f"/markets/slug/{slug}"))

    async def gamma_event(self, gamma_id: str) -> catalogue.GammaEvent:
        """Return one event by Gamma's id (digits)."""
        return read(document_of(await self._get("gamma", f"/events/{gamma_id}")), self._event)

    async def gamma_event_by_slug(self, slug: str) -> catalogue.GammaEvent:
        """Return one event by the name in its address."""
        return read(document_of(await self._get("gamma", f"/events/slug/{slug}")), self._event)

    async def tags(self, *, limit: int = 100, offset: int = 0) -> list[catalogue.GammaTag]:
        """Return one page of tags."""
        rows = json_of(await self._get("gamma", "/tags", limit=limit, offset=offset))
        return read(rows, lambda items: [catalogue.parse_tag(row) for row in items])

    async def series(
        self, *, limit: int = _SERIES_PER_PAGE, offset: int = 0, **filters: Filter
    ) -> list[catalogue.GammaSeries]:
        """Return one page of series, at most 50."""
        rows = json_of(await self._get("gamma", "/series", limit=limit, offset=offset, **filters))
        return read(rows, lambda items: [catalogue.parse_series(row) for row in items])

    async def search(self, words: str, **filters: Filter) -> catalogue.SearchResult:
        """Return the events and tags that fit some words; `filters` events_status, limit_per_type, page, ..."""
        document = document_of(await self._get("gamma", "/public-search", q=words, **filters))
        return read(document, lambda found: catalogue.parse_search(found, now=self._now()))

    async def _keyset(
        self, path: str, key: str, cursor: str, limit: int, filters: Mapping[str, Filter]
    ) -> Page[dict[str, Any]]:
        raw = await self._get("gamma", path, limit=limit, after_cursor=cursor or None, **filters)
        document = document_of(raw)
        items = document.get(key)
        if not isinstance(items, list):
            raise MalformedFrame(raw[:2000], f"answer without {key}")
        # The last page omits the cursor.
        return Page(items, str(document.get("next_cursor") or ""))

    def _market(self, raw: bytes) -> DiscoveredMarket:
        return parse_market(document_of(raw), now=self._now())

    def _event(self, row: dict[str, Any]) -> catalogue.GammaEvent:
        return catalogue.parse_event(row, now=self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_s(), UTC)
