"""Kalshi's archive: what the live tier has forgotten, two to three months back and more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.market.events import TradePrint
from streams.venues.common.paging import Candle, Items, Page
from streams.venues.common.responses import as_sent
from streams.venues.common.times import parse_time
from streams.venues.kalshi.rest.transport import LIST_LIMIT, Filter, KalshiTransport, named_part, path_part
from streams.venues.kalshi.types.catalogue import Market, parse_market_state
from streams.venues.kalshi.types.market_data import candle_of, trade_of
from streams.venues.kalshi.types.orders import FillState, OrderState, parse_fill, parse_order
from streams.venues.kalshi.types.portfolio import PositionState, parse_position


@dataclass(frozen=True, slots=True)
class HistoricalCutoff:
    """Before these instants things are in the archive; they move on their own, also against each other.

    Attributes:
        markets_settled_at: Markets, with their candlesticks, by when they settled.
        trades_at: Public trades and our fills, by when they happened.
        orders_at: Our orders, by when they ended.
        positions_at: Our settled positions, by when they last changed; None where the venue does not say.
    """

    markets_settled_at: datetime | None
    trades_at: datetime | None
    orders_at: datetime | None
    positions_at: datetime | None
    payload: dict[str, Any]


def parse_cutoff(document: dict[str, Any]) -> HistoricalCutoff:
    """Return the cutoff; raises KeyError where it is not one."""
    return HistoricalCutoff(
        markets_settled_at=parse_time(document["market_settled_ts"]),
        trades_at=parse_time(document["trades_created_ts"]),
        orders_at=parse_time(document["orders_updated_ts"]),
        positions_at=parse_time(document.get("market_positions_last_updated_ts")),
        payload=document,
    )


class HistoryReads(KalshiTransport):
    """The archive's own lists. Results are those of the live calls."""

    async def historical_cutoff(self) -> HistoricalCutoff:
        """Return from where on back the archive is to be asked."""
        return await self._read("/historical/cutoff", parse_cutoff)

    async def historical_markets_page(
        self, cursor: str = "", *, limit: int = LIST_LIMIT, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of archived markets as the venue's JSON; `filters` tickers, event_ticker, series_ticker."""
        return await self._page("/historical/markets", "markets", as_sent, cursor, {"limit": limit, **filters})

    async def historical_market(self, market_id: str) -> Market:
        """Return one archived market."""
        return await self._read(
            f"/historical/markets/{path_part(market_id)}",
            lambda answer: parse_market_state(named_part(answer, "market", "ticker", market_id)),
        )

    async def historical_candlesticks(
        self, market_id: str, start_ts: int, end_ts: int, period_interval: int = 1
    ) -> Items[Candle]:
        """Return the candlesticks of an archived market, oldest first; their keys lack the live ones' suffixes."""
        return await self._list(
            f"/historical/markets/{path_part(market_id)}/candlesticks",
            "candlesticks",
            lambda entry: candle_of(entry, period_interval * 60),
            ("ticker", market_id),
            start_ts=start_ts,
            end_ts=end_ts,
            period_interval=period_interval,
        )

    async def historical_trades(
        self, *, market_id: str | None = None, min_ts: int | None = None, max_ts: int | None = None
    ) -> Items[TradePrint]:
        """Return archived public trades over all pages, newest first; times in Unix seconds."""
        filters: dict[str, Filter] = {"ticker": market_id, "min_ts": min_ts, "max_ts": max_ts}
        return await self._all("/historical/trades", "trades", trade_of, **filters)

    async def historical_fills(self, *, market_id: str | None = None, max_ts: int | None = None) -> list[FillState]:
        """Return our archived executions, newest first."""
        filters: dict[str, Filter] = {"ticker": market_id, "max_ts": max_ts}
        return await self._all_once("/historical/fills", "fills", parse_fill, lambda f: f.key, **filters)

    async def historical_orders(self, *, market_id: str | None = None, max_ts: int | None = None) -> list[OrderState]:
        """Return our archived orders, newest first."""
        filters: dict[str, Filter] = {"ticker": market_id, "max_ts": max_ts}
        return await self._all_once("/historical/orders", "orders", parse_order, lambda o: o.order_id, **filters)

    async def historical_positions(
        self, *, market_id: str | None = None, event_ticker: str | None = None
    ) -> list[PositionState]:
        """Return our archived positions in settled markets."""
        filters: dict[str, Filter] = {"ticker": market_id, "event_ticker": event_ticker}
        return (await self._all("/historical/positions", "market_positions", parse_position, **filters)).whole(
            "positions"
        )
