"""The Data API: what any wallet holds and did. Cached; the wallet is the one that holds positions, not the signer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.venues.common.paging import Page, all_items
from streams.venues.common.responses import document_of, json_of, read
from streams.venues.polymarket.data import portfolio
from streams.venues.polymarket.transport import Filter, PolymarketTransport, Result

_PER_PAGE = 500


class DataReads(PolymarketTransport):
    """Reads of the Data API, second generation: cursors only, an offset is refused."""

    async def positions(self, user: str, **filters: Filter) -> list[portfolio.PositionState]:
        """Return what a wallet holds; `filters` condition or event_id (not both), status, sort_by, ..."""
        return await self._data_list("/v2/positions", portfolio.parse_position, {"user": user, **filters})

    async def activity(self, user: str, **filters: Filter) -> list[portfolio.ActivityState]:
        """Return what a wallet did; `filters` type, condition, start, end, exclude_deposits_withdrawals, ..."""
        return await self._data_list("/v2/activity", portfolio.parse_activity, {"user": user, **filters})

    async def public_trades_page(self, cursor: str = "", **filters: Filter) -> Page[portfolio.PublicTrade]:
        """Return one page of trades of all wallets, newest first; `filters` user, condition, event_id, side, ..."""
        return await self._data_page("/v2/trades", portfolio.parse_public_trade, cursor, filters)

    async def holders(self, **filters: Filter) -> list[portfolio.Holder]:
        """Return who holds most of a market's tokens; `filters` condition, limit, ..."""
        page = await self._data_page("/v2/holders", portfolio.parse_holders, "", filters)
        return [holder for of_token in page.items for holder in of_token]

    async def positions_value(self, user: str, **filters: Filter) -> int:
        """Return what a wallet's positions are worth by the venue's marks, as `cash_e6`."""
        return read(json_of(await self._get("data", "/v2/value", user=user, **filters)), portfolio.parse_value)

    async def _data_list(
        self, path: str, parse: Callable[[Mapping[str, Any]], Result], filters: Mapping[str, Filter]
    ) -> list[Result]:
        return await all_items(lambda cursor: self._data_page(path, parse, cursor, filters))

    async def _data_page(
        self, path: str, parse: Callable[[Mapping[str, Any]], Result], cursor: str, filters: Mapping[str, Filter]
    ) -> Page[Result]:
        parameters: dict[str, Filter] = {"limit": _PER_PAGE, "cursor": cursor or None, **filters}
        document = document_of(await self._get("data", path, **parameters))

        def page(answer: dict[str, Any]) -> Page[Result]:
            return Page([parse(row) for row in portfolio.rows_of(answer)], portfolio.next_cursor_of(answer))

        return read(document, page)
