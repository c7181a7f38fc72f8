"""Gamma: the catalogue of markets. Its prices are cached; nothing is ordered by them."""

from __future__ import annotations

from typing import Any

from streams.market.errors import MalformedFrame
from streams.venues.common.paging import Page
from streams.venues.common.responses import document_of
from streams.venues.polymarket.transport import Filter, PolymarketTransport

_MARKETS_PER_PAGE = 100


class GammaReads(PolymarketTransport):
    """Reads of the catalogue. `filters` are Gamma's own parameters in snake_case (closed, tag_id, slug, ...)."""

    async def gamma_markets_page(
        self, cursor: str = "", *, limit: int = _MARKETS_PER_PAGE, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of markets as Gamma's JSON, at most 100; `parse_market` reads them."""
        raw = await self._get("gamma", "/markets/keyset", limit=limit, after_cursor=cursor or None, **filters)
        document = document_of(raw)
        items = document.get("markets")
        if not isinstance(items, list):
            raise MalformedFrame(raw[:2000], "answer without markets")
        # The last page omits the cursor.
        return Page(items, str(document.get("next_cursor") or ""))
