"""Kalshi's candlesticks: of one market, of several at once, of an event, and with the keys of the historical tier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.sandbox.core.candles import Candle, grouped, past_candles
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import bad_parameter, not_found
from streams.sandbox.kalshi.formats import DOLLARS, count
from streams.sandbox.kalshi.paging import BadParameter, whole

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace

_STEPS = (1, 60, 1440)
_MAX_CANDLES = 5_000
_MAX_CANDLES_OF_BATCH = 10_000
_MAX_MARKETS = 100


class CandleRest:
    """Handlers that need no signature."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        public = self._face.public
        router.add("GET", "/series/{series}/markets/{ticker}/candlesticks", public(self.of_market))
        router.add("GET", "/series/{series}/events/{ticker}/candlesticks", public(self.of_event))
        router.add("GET", "/markets/candlesticks", public(self.of_markets))
        router.add("GET", "/historical/markets/{ticker}/candlesticks", public(self.of_archived))

    def of_market(self, request: Request, series: str, ticker: str) -> Response:
        """Candles whose end lies in [start_ts, end_ts]; before the market's listing they are made up."""
        listed = self._exchange.markets.get(ticker)
        if listed is None or listed.market.series_id != series or self._is_archived(listed):
            return not_found()
        start, end, step = _period(request, "GetMarketCandlesticks", 1)
        return Response(200, {"ticker": ticker, "candlesticks": self._rows(request, listed, start, end, step)})

    def of_markets(self, request: Request) -> Response:
        """Candles of several markets, each with its own list; unknown markets are left out."""
        tickers = request.params("market_tickers")
        if not 1 <= len(tickers) <= _MAX_MARKETS:
            return bad_parameter("BatchGetMarketCandlesticks", "MarketTickers", "max" if tickers else "required")
        start, end, step = _period(request, "BatchGetMarketCandlesticks", len(tickers))
        found = [listed for ticker in tickers if (listed := self._exchange.markets.get(ticker)) is not None]
        rows = [
            {"market_ticker": listed.market_id, "candlesticks": self._rows(request, listed, start, end, step)}
            for listed in found
            if not self._is_archived(listed)
        ]
        return Response(200, {"markets": rows})

    def of_event(self, request: Request, series: str, ticker: str) -> Response:
        """Candles of every market of an event, as parallel lists."""
        markets = self._face.events.get(ticker)
        if markets is None or markets[0].event.series_id != series:
            return not_found()
        start, end, step = _period(request, "GetEventCandlesticks", len(markets))
        return Response(
            200,
            {
                "market_tickers": [listed.market_id for listed in markets],
                "market_candlesticks": [self._rows(request, listed, start, end, step) for listed in markets],
                "adjusted_end_ts": end,
            },
        )

    def of_archived(self, request: Request, ticker: str) -> Response:
        """Candles of a market of the historical tier, whose keys have no suffix."""
        listed = self._exchange.markets.get(ticker)
        if listed is None or not self._is_archived(listed):
            return not_found()
        start, end, step = _period(request, "GetMarketCandlesticksHistorical", 1)
        rows = [_unsuffixed(row) for row in self._rows(request, listed, start, end, step)]
        return Response(200, {"ticker": ticker, "candlesticks": rows})

    def _is_archived(self, listed: ListedMarket) -> bool:
        return self._face.is_archived(listed, self._face.now_ms())

    def _rows(self, request: Request, listed: ListedMarket, start: int, end: int, step: int) -> list[dict[str, Any]]:
        candles = self._candles(listed, start * 1000, end * 1000, step)
        rows = [candle_object(candle, step) for candle in candles]
        if request.param("include_latest_before_start") == "true":
            before = self._candles(listed, (start - 30 * step * 60) * 1000, start * 1000, step)
            if before and before[-1].close_e4 + before[-1].previous_e4:
                rows.insert(0, _carried(before[-1], start, step))
        return rows

    def _candles(self, listed: ListedMarket, start_ms: int, end_ms: int, step: int) -> list[Candle]:
        """The made-up past and what happened since, oldest first; bounded by the market's opening."""
        start_ms = max(start_ms, int(listed.market.open_time.timestamp() * 1000))
        past = past_candles(
            self._exchange.past_key(listed.market_id), listed.market_id, listed.market.start_price_e4,
            listed.listed_ms, start_ms, end_ms, step,
        )  # fmt: skip
        return [*past, *grouped(listed.history.between(max(start_ms, listed.listed_ms), end_ms), step)]


def _period(request: Request, call: str, markets: int) -> tuple[int, int, int]:
    start, end, step = whole(request, "start_ts"), whole(request, "end_ts"), whole(request, "period_interval")
    named = (("StartTs", start), ("EndTs", end), ("PeriodInterval", step))
    if start is None or end is None or step is None:
        raise BadParameter(bad_parameter(call, next(name for name, value in named if value is None), "required"))
    if step not in _STEPS:
        raise BadParameter(bad_parameter(call, "PeriodInterval", "oneof"))
    if end < start:
        raise BadParameter(bad_parameter(call, "EndTs", "gtefield"))
    most = _MAX_CANDLES if markets == 1 else _MAX_CANDLES_OF_BATCH
    if (end - start) // 60 // step * markets > most:
        raise BadParameter(bad_parameter(f"{call}: more than {most} candlesticks requested"))
    return start, end, step


def candle_object(candle: Candle, step: int) -> dict[str, Any]:
    """One candle; without trades the OHLC keys are absent."""
    price: dict[str, Any] = {}
    if candle.volume_e6:
        price = {
            **_ohlc(candle.open_e4, candle.high_e4, candle.low_e4, candle.close_e4),
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


def _carried(candle: Candle, start: int, step: int) -> dict[str, Any]:
    """The candle before the period, carried to the period's first boundary: quotes as they stood, no trade."""
    seconds = step * 60
    row = candle_object(candle, step)
    row["end_period_ts"] = (start // seconds + 1) * seconds
    row["price"] = {"previous_dollars": DOLLARS[candle.close_e4 or candle.previous_e4]}
    row["volume_fp"] = count(0)
    row["yes_ask"] = _ohlc(*[candle.ask_close] * 4)
    row["yes_bid"] = _ohlc(*[candle.bid_close] * 4)
    return row


def _unsuffixed(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name.removesuffix("_dollars").removesuffix("_fp"): _unsuffixed(value) if isinstance(value, dict) else value
        for name, value in row.items()
    }
