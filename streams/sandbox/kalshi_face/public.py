"""Kalshi's public REST: exchange, series, events, markets, order books, trades, candlesticks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.history import Candle, grouped, past_candles
from streams.sandbox.kalshi_face.errors import bad_parameter, not_found
from streams.sandbox.kalshi_face.formats import DOLLARS, count, moment
from streams.sandbox.kalshi_face.objects import (
    FILTER_WORDS,
    event_object,
    market_object,
    order_book_object,
    series_object,
)
from streams.sandbox.records import ListedMarket, Trade
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.kalshi_face.face import KalshiFace

_MAX_CANDLES = 5_000
Row = TypeVar("Row")


class PublicRest:
    """Handlers that need no signature."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/exchange/status", self.status)
        router.add("GET", "/exchange/schedule", self.schedule)
        router.add("GET", "/exchange/user_data_timestamp", self.user_data_timestamp)
        router.add("GET", "/series", self.series_list)
        router.add("GET", "/series/fee_changes", lambda request: Response(200, {"series_fee_change_arr": []}))
        router.add("GET", "/series/{ticker}", self.series)
        router.add("GET", "/events", self.events)
        router.add("GET", "/events/fee_changes", lambda request: Response(200, {"event_fee_changes": [], "cursor": ""}))
        router.add("GET", "/events/{ticker}", self.event)
        router.add("GET", "/markets", self.markets)
        router.add("GET", "/markets/trades", self.trades)
        router.add("GET", "/markets/orderbooks", self.order_books)
        router.add("GET", "/markets/{ticker}", self.market)
        router.add("GET", "/markets/{ticker}/orderbook", self.order_book)
        router.add("GET", "/series/{series}/markets/{ticker}/candlesticks", self.candlesticks)
        router.add("GET", "/historical/cutoff", self.cutoff)

    def status(self, request: Request) -> Response:
        """Everything trades."""
        flags = {"exchange_active": True, "trading_active": True, "intra_exchange_transfers_active": True}
        shard = {"exchange_index": 0, "description": "Default", **flags}
        return Response(200, {**flags, "exchange_index_statuses": [shard]})

    def schedule(self, request: Request) -> Response:
        """Open all day, without maintenance."""
        return Response(200, {"schedule": {"standard_hours": [], "maintenance_windows": []}})

    def user_data_timestamp(self, request: Request) -> Response:
        """Portfolio reads never lag here."""
        return Response(200, {"as_of_time": moment(self._face.now_ms())})

    def cutoff(self, request: Request) -> Response:
        """Nothing is archived."""
        start = moment(0)
        return Response(200, {"market_settled_ts": start, "trades_created_ts": start, "orders_updated_ts": start})

    def series_list(self, request: Request) -> Response:
        """All series, unpaged."""
        category = request.param("category")
        found = [
            series_object(series_id, listed)
            for series_id, listed in self._face.series.items()
            if not category or listed.event.category == category
        ]
        return Response(200, {"series": found})

    def series(self, request: Request, ticker: str) -> Response:
        """One series."""
        listed = self._face.series.get(ticker)
        return not_found() if listed is None else Response(200, {"series": series_object(ticker, listed)})

    def events(self, request: Request) -> Response:
        """A page of events; an event matches a status when any of its markets does."""
        limit = _limit(request, 200, 200)
        if limit is None:
            return bad_parameter("GetEvents: Limit")
        words = _status_filter(request)
        if words is None:
            return bad_parameter("GetEvents: Status")
        updated = int(request.param("min_updated_ts", "0") or 0) * 1000
        tickers, series = set(request.params("tickers")), request.param("series_ticker")

        def matches(markets: list[ListedMarket]) -> bool:
            event = markets[0].event
            return (
                any(listed.status in words for listed in markets)
                and (not tickers or event.event_id in tickers)
                and (not series or event.series_id == series)
                and (not updated or any(listed.updated_ms >= updated for listed in markets))
            )

        page, cursor = paged(list(self._face.events.values()), request.param("cursor"), limit, matches)
        nested = request.param("with_nested_markets") == "true"
        return Response(
            200, {"events": [event_object(markets, with_markets=nested) for markets in page], "cursor": cursor}
        )

    def event(self, request: Request, ticker: str) -> Response:
        """One event; its markets nested, or beside it."""
        markets = self._face.events.get(ticker)
        if markets is None:
            return not_found()
        if request.param("with_nested_markets") == "true":
            return Response(200, {"event": event_object(markets, with_markets=True)})
        body = {"event": event_object(markets, with_markets=False)}
        return Response(200, {**body, "markets": [market_object(listed) for listed in markets]})

    def markets(self, request: Request) -> Response:
        """A page of markets."""
        limit = _limit(request, 100, 1000)
        if limit is None:
            return bad_parameter(
                "GetMarkets: Key: 'GetMarketsParams.Limit' Error:Field validation for 'Limit' failed on the 'lte' tag"
            )
        words = _status_filter(request)
        if words is None:
            return bad_parameter("GetMarkets: Status")
        try:
            bounds = {name: int(request.param(name)) * 1000 for name in _BOUNDS if request.param(name)}
        except ValueError:
            return bad_parameter("GetMarkets: timestamps are whole seconds")
        tickers = set(request.params("tickers"))
        event, series = request.param("event_ticker"), request.param("series_ticker")

        def matches(listed: ListedMarket) -> bool:
            return (
                listed.status in words
                and (not tickers or listed.market_id in tickers)
                and (not event or listed.market.event_id == event)
                and (not series or listed.market.series_id == series)
                and all(_BOUNDS[name](listed, bound) for name, bound in bounds.items())
            )

        page, cursor = paged(list(self._exchange.markets.values()), request.param("cursor"), limit, matches)
        return Response(200, {"markets": [market_object(listed) for listed in page], "cursor": cursor})

    def market(self, request: Request, ticker: str) -> Response:
        """One market."""
        listed = self._exchange.markets.get(ticker)
        return not_found() if listed is None else Response(200, {"market": market_object(listed)})

    def order_book(self, request: Request, ticker: str) -> Response:
        """One book; an empty side is an empty list here."""
        listed = self._exchange.markets.get(ticker)
        depth = request.param("depth", "0")
        if not depth.isdigit() or int(depth) > 100:
            return bad_parameter("GetMarketOrderbook: Depth")
        if listed is None:
            return not_found()
        return Response(200, {"orderbook_fp": order_book_object(listed, int(depth))})

    def order_books(self, request: Request) -> Response:
        """Several books. `tickers` is repeated; a comma-joined list is one unknown ticker, as at the venue."""
        tickers = [value for name, value in request.query if name == "tickers"]
        if not 1 <= len(tickers) <= 100:
            return bad_parameter("GetMarketOrderbooks: Tickers")
        found = [self._exchange.markets[ticker] for ticker in tickers if ticker in self._exchange.markets]
        books = [{"ticker": listed.market_id, "orderbook_fp": order_book_object(listed)} for listed in found]
        return Response(200, {"orderbooks": books})

    def trades(self, request: Request) -> Response:
        """Public prints, newest first."""
        limit = _limit(request, 100, 1000)
        if limit is None:
            return bad_parameter("GetTrades: Limit")
        ticker = request.param("ticker")
        if ticker:
            listed = self._exchange.markets.get(ticker)
            kept: Sequence[Trade] = list(listed.trades) if listed is not None else []
        else:
            kept = list(self._exchange.public_trades)
        low = int(request.param("min_ts", "0") or 0) * 1000
        high = int(request.param("max_ts", "0") or 0) * 1000 or 2**62
        rows = [trade for trade in reversed(kept) if low <= trade.at_ms <= high]
        page, cursor = paged(rows, request.param("cursor"), limit, lambda _: True)
        return Response(200, {"trades": [trade_object(trade) for trade in page], "cursor": cursor})

    def candlesticks(self, request: Request, series: str, ticker: str) -> Response:
        """Candles of 1, 60 or 1440 minutes whose end lies in [start_ts, end_ts]; before the anchor they are made up."""
        listed = self._exchange.markets.get(ticker)
        if listed is None or listed.market.series_id != series:
            return not_found()
        try:
            start, end = int(request.param("start_ts")), int(request.param("end_ts"))
            step = int(request.param("period_interval"))
        except ValueError:
            return bad_parameter("GetMarketCandlesticks: start_ts, end_ts and period_interval are needed")
        if step not in (1, 60, 1440) or end < start:
            return bad_parameter("GetMarketCandlesticks: PeriodInterval")
        if (end - start) // 60 // step > _MAX_CANDLES:
            return bad_parameter(f"GetMarketCandlesticks: more than {_MAX_CANDLES} candlesticks")
        candles = market_candles(self._face, listed, start * 1000, end * 1000, step)
        return Response(200, {"ticker": ticker, "candlesticks": [candle_object(c, step) for c in candles]})


def market_candles(face: Any, listed: ListedMarket, start_ms: int, end_ms: int, step: int) -> list[Candle]:
    """Return a market's candles, the made-up past and what happened since, oldest first; bounded by its opening."""
    start_ms = max(start_ms, int(listed.market.open_time.timestamp() * 1000))
    past = list(
        past_candles(
            face.exchange.past_key(listed.market_id),
            listed.market_id,
            listed.market.start_price_e4,
            listed.listed_ms,
            start_ms,
            end_ms,
            step,
        )
    )
    return past + grouped(listed.history.between(max(start_ms, listed.listed_ms), end_ms), step)


def candle_object(candle: Candle, step: int) -> dict[str, Any]:
    """One candle; without trades the OHLC keys are absent."""
    price: dict[str, Any] = {}
    if candle.volume_e6:
        price = {
            "open_dollars": DOLLARS[candle.open_e4],
            "high_dollars": DOLLARS[candle.high_e4],
            "low_dollars": DOLLARS[candle.low_e4],
            "close_dollars": DOLLARS[candle.close_e4],
            "mean_dollars": DOLLARS[candle.value_e10 // candle.volume_e6],
        }
    if candle.previous_e4:
        price["previous_dollars"] = DOLLARS[candle.previous_e4]
    return {
        "end_period_ts": (candle.minute + step) * 60,
        "open_interest_fp": count(candle.interest_e6),
        "price": price,
        "volume_fp": count(candle.volume_e6),
        "yes_ask": _ohlc(candle.ask_open, candle.ask_high, candle.ask_low, candle.ask_close),
        "yes_bid": _ohlc(candle.bid_open, candle.bid_high, candle.bid_low, candle.bid_close),
    }


def _ohlc(first: int, high: int, low: int, last: int) -> dict[str, str]:
    return {
        "open_dollars": DOLLARS[first],
        "high_dollars": DOLLARS[high],
        "low_dollars": DOLLARS[low],
        "close_dollars": DOLLARS[last],
    }


def trade_object(trade: Trade) -> dict[str, Any]:
    """One public print."""
    return {
        "trade_id": trade.trade_id,
        "ticker": trade.market_id,
        "count_fp": count(trade.size_e6),
        "yes_price_dollars": DOLLARS[trade.price_e4],
        "no_price_dollars": DOLLARS[PRICE_ONE_E4 - trade.price_e4],
        "taker_side": "yes" if trade.taker_side == "bid" else "no",
        "taker_outcome_side": "yes" if trade.taker_side == "bid" else "no",
        "taker_book_side": trade.taker_side,
        "is_block_trade": False,
        "created_time": moment(trade.at_ms),
    }


def paged(rows: Sequence[Row], cursor: str, limit: int, matches: Callable[[Row], bool]) -> tuple[list[Row], str]:
    """Return one page and the next cursor ("" on the last). A garbage cursor is page one, as at the venue."""
    page: list[Row] = []
    for index in range(_position(cursor), len(rows)):
        if not matches(rows[index]):
            continue
        if len(page) == limit:
            return page, base64.urlsafe_b64encode(f"at:{index}".encode()).decode().rstrip("=")
        page.append(rows[index])
    return page, ""


def _position(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return max(0, int(text.removeprefix("at:"))) if text.startswith("at:") else 0
    except (binascii.Error, ValueError):
        return 0


def _limit(request: Request, default: int, most: int) -> int | None:
    text = request.param("limit")
    if not text:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        return None
    return int(text)


def _status_filter(request: Request) -> set[str] | None:
    word = request.param("status")
    if not word:
        return {name for names in FILTER_WORDS.values() for name in names}
    return FILTER_WORDS.get(word)


def _close_ms(listed: ListedMarket) -> int:
    return listed.closed_ms or int(listed.market.close_time.timestamp() * 1000)


_BOUNDS: dict[str, Callable[[ListedMarket, int], bool]] = {
    "min_created_ts": lambda listed, at: listed.listed_ms >= at,
    "max_created_ts": lambda listed, at: listed.listed_ms <= at,
    "min_close_ts": lambda listed, at: _close_ms(listed) >= at,
    "max_close_ts": lambda listed, at: _close_ms(listed) <= at,
    "min_settled_ts": lambda listed, at: listed.settled_ms is not None and listed.settled_ms >= at,
    "max_settled_ts": lambda listed, at: listed.settled_ms is not None and listed.settled_ms <= at,
    "min_updated_ts": lambda listed, at: listed.updated_ms >= at,
}
