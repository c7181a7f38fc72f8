"""The Data API: what any wallet holds and did. Cached; the wallet is the one that holds positions, not the signer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.venues.common.paging import Items, Page, all_items
from streams.venues.common.responses import page_of, read, read_page
from streams.venues.polymarket.data import portfolio
from streams.venues.polymarket.transport import Filter, PolymarketTransport, Result

_PER_PAGE = 500


class DataReads(PolymarketTransport):
    """Reads of the Data API, second generation: cursors only, an offset is refused.

    A list of which an item cannot be read is an `IncompleteList`: what was paid may be in it.
    """

    async def positions(self, user: str, **filters: Filter) -> list[portfolio.PositionState]:
        """Return what a wallet holds; `filters` condition or event_id (not both), status, sort_by, ..."""
        return await self._data_list("/v2/positions", portfolio.parse_position, {"user": user, **filters})

    async def activity(self, user: str, **filters: Filter) -> list[portfolio.ActivityState]:
        """Return what a wallet did; `filters` type, condition, start, end, exclude_deposits_withdrawals, ..."""
        return await self._data_list("/v2/activity", portfolio.parse_activity, {"user": user, **filters})

    async def _data_list(
        self, path: str, parse: Callable[[Mapping[str, Any]], Result], filters: Mapping[str, Filter]
    ) -> Items[Result]:
        return (await all_items(lambda cursor: self._data_page(path, parse, cursor, filters))).whole("data")

    async def _data_page(
        self, path: str, parse: Callable[[Mapping[str, Any]], Result], cursor: str, filters: Mapping[str, Filter]
    ) -> Page[Result]:
        parameters: dict[str, Filter] = {"limit": _PER_PAGE, "cursor": cursor or None, **filters}
        raw = await self._get("data", path, **parameters)
        document, items = read_page(raw, "data", parse)
        return page_of(items, lambda: read(document, portfolio.next_cursor_of, raw))
