"""Kalshi's public reads. Without a key they are unsigned and slow; with one they count against its budget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from streams.market.errors import MalformedFrame, NotFound
from streams.market.events import BookSnapshot, TradePrint
from streams.venues.common.paging import Candle, Items, Page
from streams.venues.common.responses import as_sent, document_of, part_of, read, read_page
from streams.venues.kalshi.rest.history import HistoryReads
from streams.venues.kalshi.rest.transport import LIST_LIMIT, Filter, KalshiRequest, named_part, path_part
from streams.venues.kalshi.types.catalogue import (
    Event,
    FeeChange,
    Market,
    Series,
    parse_event,
    parse_event_fee_change,
    parse_market_state,
    parse_series,
    parse_series_fee_change,
)
from streams.venues.kalshi.types.exchange import (
    ExchangeSchedule,
    ExchangeStatus,
    is_status,
    parse_as_of,
    parse_schedule,
    parse_status,
)
from streams.venues.kalshi.types.market_data import (
    CandlesByMarket,
    book_of,
    candle_of,
    candles_of_market,
    listed_book,
    trade_of,
)

_AS_OF = "/exchange/user_data_timestamp"
_BOOKS_PER_CALL = 100
_EVENTS_PER_PAGE = 200
_MARKETS_OF_CANDLES = 100
_CANDLES_PER_CALL = 10_000


class PublicReads(HistoryReads):
    """Exchange, series, events, markets, books, trades and candlesticks.

    Lists of one page (`..._page`) give the venue's JSON. An item of a list that cannot be read is set aside in
    `unreadable` of the page or the items; one thing that was asked for by name is that thing or an `UnreadableAnswer`.
    `/series` and `/markets` may be 15 seconds old.

    A market and its candlesticks are in one of two places, and the live one answers NotFound for what it has given to
    the archive: then the archive is asked.
    """

    # -- exchange -------------------------------------------------------------------------------------------------

    async def exchange_status(self) -> ExchangeStatus:
        """Return whether the exchange and its shards are open, also where the answer comes as 500, 503 or 504."""
        raw = await self._send(KalshiRequest("GET", "/exchange/status"), is_response=is_status)
        return read(document_of(raw), parse_status)

    async def exchange_schedule(self) -> ExchangeSchedule:
        """Return trading hours and announced maintenance."""
        return await self._read("/exchange/schedule", parse_schedule)

    async def user_data_timestamp(self) -> datetime:
        """Return the instant up to which reads of the account have caught up with writes."""
        return await self._read(_AS_OF, parse_as_of)

    async def venue_time(self) -> datetime | None:
        """Return the time of the venue's clock, without a fraction of a second; None where the answer is not dated."""
        return (await self._send_whole(KalshiRequest("GET", _AS_OF))).dated_at

    async def user_data_behind_s(self) -> float | None:
        """Return how far reads of the account lie behind the venue's present, both by the venue's own clock (seconds).

        None where the answer is not dated. A date has no fraction of a second: it is taken as late as it may be.
        """
        answer = await self._send_whole(KalshiRequest("GET", _AS_OF))
        as_of = read(document_of(answer.body), parse_as_of, answer.body)
        if answer.dated_at is None:
            return None
        return max(0.0, (answer.dated_at - as_of).total_seconds() + 1.0)

    # -- series, events, markets ----------------------------------------------------------------------------------

    async def series_list(self, *, category: str | None = None, min_updated_ts: int | None = None) -> Items[Series]:
        """Return all series (one answer of many megabytes); `min_updated_ts` in Unix seconds."""
        found = await self._list("/series", "series", parse_series, category=category, min_updated_ts=min_updated_ts)
        # The venue lists series of nothing, without a ticker.
        return Items((series for series in found if series.ticker), found.unreadable)

    async def series(self, series_ticker: str) -> Series:
        """Return one series."""
        return await self._read(
            f"/series/{path_part(series_ticker)}",
            lambda answer: parse_series(named_part(answer, "series", "ticker", series_ticker)),
        )

    async def series_fee_changes(
        self, *, series_ticker: str | None = None, show_historical: bool = False
    ) -> Items[FeeChange]:
        """Return scheduled changes of series' fees; past ones too where asked for."""
        return await self._list(
            "/series/fee_changes",
            "series_fee_change_arr",
            parse_series_fee_change,
            series_ticker=series_ticker,
            show_historical=show_historical or None,
        )

    async def event_fee_changes(self, *, event_ticker: str | None = None) -> Items[FeeChange]:
        """Return scheduled changes of events' fee overrides."""
        return await self._all(
            "/events/fee_changes", "event_fee_changes", parse_event_fee_change, event_ticker=event_ticker
        )

    async def events_page(
        self,
        cursor: str = "",
        *,
        with_nested_markets: bool = True,
        status: str | None = None,
        limit: int = _EVENTS_PER_PAGE,
        **filters: Filter,
    ) -> Page[dict[str, Any]]:
        """Return one page of events as the venue's JSON; `filters` are its own (series_ticker, min_updated_ts, ...)."""
        parameters = {"limit": limit, "with_nested_markets": with_nested_markets, "status": status, **filters}
        return await self._page("/events", "events", as_sent, cursor, parameters, nested="markets")

    async def events(self, *, with_nested_markets: bool = False, **filters: Filter) -> Items[Event]:
        """Return all events that pass the venue's own `filters` (status, series_ticker, tickers, ...). No combos."""
        return await self._all(
            "/events",
            "events",
            parse_event,
            limit=_EVENTS_PER_PAGE,
            with_nested_markets=with_nested_markets,
            **filters,
        )

    async def event(self, event_ticker: str) -> Event:
        """Return one event with its markets."""
        return await self._read(
            f"/events/{path_part(event_ticker)}",
            lambda answer: parse_event(
                named_part(answer, "event", "event_ticker", event_ticker), answer.get("markets")
            ),
            with_nested_markets=True,
        )

    async def markets_page(
        self, cursor: str = "", *, limit: int = LIST_LIMIT, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of markets as the venue's JSON; `filters` are the venue's own parameters."""
        return await self._page("/markets", "markets", as_sent, cursor, {"limit": limit, **filters})

    async def markets(self, **filters: Filter) -> Items[Market]:
        """Return all markets that pass the venue's own `filters` (event_ticker, series_ticker, status, tickers, ...).

        `status` is one of unopened, open, paused, closed, settled, which are not the words of the answer. Families of
        time filters exclude each other.
        """
        return await self._all("/markets", "markets", parse_market_state, **filters)

    async def market(self, market_id: str) -> Market:
        """Return one market, live or archived. A new one may be NotFound for a moment."""
        path = f"/markets/{path_part(market_id)}"
        try:
            return await self._read(
                path, lambda answer: parse_market_state(named_part(answer, "market", "ticker", market_id))
            )
        except NotFound:
            return await self.historical_market(market_id)

    # -- books, trades, candlesticks ------------------------------------------------------------------------------

    async def order_book(self, market_id: str, *, depth: int = 0) -> BookSnapshot:
        """Return the book, or its best `depth` levels. It has no sequence number: it cannot be joined to the socket."""
        return await self._read(
            f"/markets/{path_part(market_id)}/orderbook",
            lambda answer: book_of(market_id, part_of(answer, "orderbook_fp")),
            depth=depth or None,
        )

    async def order_books(self, market_ids: Sequence[str]) -> Items[BookSnapshot]:
        """Return the books of many markets, a hundred to a call; unknown ones are missing from the answer."""
        books: list[BookSnapshot] = []
        unreadable: list[MalformedFrame] = []
        for start in range(0, len(market_ids), _BOOKS_PER_CALL):
            # Repeated, not joined by commas: those answer with one book.
            names = market_ids[start : start + _BOOKS_PER_CALL]
            found = await self._list("/markets/orderbooks", "orderbooks", listed_book, tickers=names)
            books += found
            unreadable += found.unreadable
        return Items(books, unreadable)

    async def trades(
        self, *, market_id: str | None = None, min_ts: int | None = None, max_ts: int | None = None
    ) -> Items[TradePrint]:
        """Return public trades, newest first, over all pages; give `min_ts` (Unix seconds) or it is all there are."""
        filters: dict[str, Filter] = {"ticker": market_id, "min_ts": min_ts, "max_ts": max_ts}
        return await self._all("/markets/trades", "trades", trade_of, **filters)

    async def trades_page(
        self, cursor: str = "", *, market_id: str | None = None, limit: int = 100, **filters: Filter
    ) -> Page[TradePrint]:
        """Return one page of public trades, newest first; `filters` min_ts, max_ts, is_block_trade."""
        return await self._page(
            "/markets/trades", "trades", trade_of, cursor, {"limit": limit, "ticker": market_id, **filters}
        )

    async def candlesticks(
        self,
        series_ticker: str,
        market_id: str,
        start_ts: int,
        end_ts: int,
        period_interval: int = 1,
        *,
        include_latest_before_start: bool = False,
    ) -> Items[Candle]:
        """Return candlesticks, oldest first; `period_interval` in minutes (1, 60, 1440). Sparse: no news, no candle.

        The archive does not know `include_latest_before_start`.
        """
        filters: dict[str, Filter] = {
            "start_ts": start_ts,
            "end_ts": end_ts,
            "period_interval": period_interval,
            "include_latest_before_start": include_latest_before_start or None,
        }
        path = f"/series/{path_part(series_ticker)}/markets/{path_part(market_id)}/candlesticks"
        try:
            return await self._list(
                path, "candlesticks", lambda e: candle_of(e, period_interval * 60), ("ticker", market_id), **filters
            )
        except NotFound:
            return await self.historical_candlesticks(market_id, start_ts, end_ts, period_interval)

    async def candlesticks_of(
        self, market_ids: Sequence[str], start_ts: int, end_ts: int, period_interval: int = 1
    ) -> CandlesByMarket:
        """Return the candlesticks of many markets by ticker, as many calls as the venue's bounds ask for.

        A candlestick that cannot be read stands in `unreadable` of its market, or of the whole where it is no JSON.
        """
        periods = max(1, -(-(end_ts - start_ts) // (period_interval * 60)) + 1)
        at_once = max(1, min(_MARKETS_OF_CANDLES, _CANDLES_PER_CALL // periods))
        found = CandlesByMarket()
        for start in range(0, len(market_ids), at_once):
            parameters: dict[str, Filter] = {
                "market_tickers": ",".join(market_ids[start : start + at_once]),
                "start_ts": start_ts,
                "end_ts": end_ts,
                "period_interval": period_interval,
            }
            raw = await self._send(KalshiRequest("GET", "/markets/candlesticks", parameters))
            _, markets = read_page(
                raw, "markets", lambda entry: candles_of_market(entry, period_interval * 60), nested="candlesticks"
            )
            found.add(markets)
        return found
