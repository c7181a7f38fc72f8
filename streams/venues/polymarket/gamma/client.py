"""Gamma: the catalogue of markets. Its prices are cached; nothing is ordered by them."""

from __future__ import annotations

from typing import Any

from streams.venues.common.paging import Page
from streams.venues.common.responses import as_sent, cursor_of, page_of, read_page
from streams.venues.polymarket.transport import Filter, PolymarketTransport

_MARKETS_PER_PAGE = 100


class GammaReads(PolymarketTransport):
    """Reads of the catalogue. `filters` are Gamma's own parameters in snake_case (closed, tag_id, slug, ...)."""

    async def gamma_markets_page(
        self, cursor: str = "", *, limit: int = _MARKETS_PER_PAGE, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of markets as Gamma's JSON, at most 100; `parse_market` reads them."""
        raw = await self._get("gamma", "/markets/keyset", limit=limit, after_cursor=cursor or None, **filters)
        document, items = read_page(raw, "markets", as_sent, cursor="next_cursor")
        # The last page omits the cursor.
        return page_of(items, lambda: cursor_of(document, "next_cursor"))
