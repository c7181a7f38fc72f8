"""Kalshi's candlesticks: of one market, of several at once, of an event, and with the keys of the historical tier."""

from __future__ import annotations

from typing import Any, NamedTuple

from streams.sandbox.core.candles import Candle, grouped, past_candles
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.errors import bad_parameter, not_found
from streams.sandbox.kalshi.formats import DOLLARS, count
from streams.sandbox.kalshi.paging import whole
from streams.sandbox.kalshi.venue import KalshiVenue

_STEPS = (1, 60, 1440)
_MAX_CANDLES = 5_000
_MAX_CANDLES_OF_BATCH = 10_000
_MAX_MARKETS = 100


class _Period(NamedTuple):
    """What candles are asked for: their ends lie in [start_s, end_s], `step` minutes apart."""

    start_s: int
    end_s: int
    step: int


def get_market_candles(venue: KalshiVenue, request: Request, series: str, ticker: str) -> Response:
    """Candles whose end lies in [start_ts, end_ts]; before the market's listing they are made up."""
    listed = venue.live_market(ticker)
    if listed is None or listed.market.series_id != series:
        return not_found()
    period = _period(request, "GetMarketCandlesticks", 1)
    return Response(200, {"ticker": ticker, "candlesticks": _rows(venue, request, listed, period)})


def get_candles_of_markets(venue: KalshiVenue, request: Request) -> Response:
    """Candles of several markets, each with its own list; unknown markets are left out."""
    tickers = request.params("market_tickers")
    if not 1 <= len(tickers) <= _MAX_MARKETS:
        return bad_parameter("BatchGetMarketCandlesticks", "MarketTickers", "max" if tickers else "required")
    period = _period(request, "BatchGetMarketCandlesticks", len(tickers))
    found = [listed for ticker in tickers if (listed := venue.live_market(ticker)) is not None]
    rows = [
        {"market_ticker": listed.market_id, "candlesticks": _rows(venue, request, listed, period)} for listed in found
    ]
    return Response(200, {"markets": rows})


def get_event_candles(venue: KalshiVenue, request: Request, series: str, ticker: str) -> Response:
    """Candles of every market of an event, as parallel lists."""
    markets = venue.events.get(ticker)
    if markets is None or markets[0].event.series_id != series:
        return not_found()
    period = _period(request, "GetEventCandlesticks", len(markets))
    return Response(
        200,
        {
            "market_tickers": [listed.market_id for listed in markets],
            "market_candlesticks": [_rows(venue, request, listed, period) for listed in markets],
            "adjusted_end_ts": period.end_s,
        },
    )


def get_archived_candles(venue: KalshiVenue, request: Request, ticker: str) -> Response:
    """Candles of a market of the historical tier, whose keys have no suffix."""
    listed = venue.exchange.state.markets.get(ticker)
    if listed is None or not venue.is_archived(listed):
        return not_found()
    period = _period(request, "GetMarketCandlesticksHistorical", 1)
    rows = [_unsuffixed(row) for row in _rows(venue, request, listed, period)]
    return Response(200, {"ticker": ticker, "candlesticks": rows})


def _rows(venue: KalshiVenue, request: Request, listed: ListedMarket, period: _Period) -> list[dict[str, Any]]:
    rows = [candle_object(candle, period.step) for candle in _candles(venue, listed, period)]
    if request.param("include_latest_before_start") == "true":
        earlier = _Period(period.start_s - 30 * period.step * 60, period.start_s, period.step)
        before = _candles(venue, listed, earlier)
        if before and before[-1].close_e4 + before[-1].previous_e4:
            rows.insert(0, _carried(before[-1], period))
    return rows


def _candles(venue: KalshiVenue, listed: ListedMarket, period: _Period) -> list[Candle]:
    """The made-up past and what happened since, oldest first; bounded by the market's opening."""
    start_ms = max(period.start_s * 1000, int(listed.market.open_time.timestamp() * 1000))
    end_ms, step = period.end_s * 1000, period.step
    past = past_candles(venue.exchange.state.made_up_past(listed), start_ms, end_ms, step)
    return [*past, *grouped(listed.history.between(max(start_ms, listed.listed_ms), end_ms), step)]


def _period(request: Request, call: str, markets: int) -> _Period:
    start, end, step = whole(request, "start_ts"), whole(request, "end_ts"), whole(request, "period_interval")
    named = (("StartTs", start), ("EndTs", end), ("PeriodInterval", step))
    if start is None or end is None or step is None:
        raise Rejected(bad_parameter(call, next(name for name, value in named if value is None), "required"))
    if step not in _STEPS:
        raise Rejected(bad_parameter(call, "PeriodInterval", "oneof"))
    if end < start:
        raise Rejected(bad_parameter(call, "EndTs", "gtefield"))
    most = _MAX_CANDLES if markets == 1 else _MAX_CANDLES_OF_BATCH
    if (end - start) // 60 // step * markets > most:
        raise Rejected(bad_parameter(f"{call}: more than {most} candlesticks requested"))
    return _Period(start, end, step)


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


def _carried(candle: Candle, period: _Period) -> dict[str, Any]:
    """The candle before the period, carried to the period's first boundary: quotes as they stood, no trade."""
    seconds = period.step * 60
    row = candle_object(candle, period.step)
    row["end_period_ts"] = (period.start_s // seconds + 1) * seconds
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


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/series/{series}/markets/{ticker}/candlesticks", get_market_candles),
    Route("GET", "/series/{series}/events/{ticker}/candlesticks", get_event_candles),
    Route("GET", "/markets/candlesticks", get_candles_of_markets),
    Route("GET", "/historical/markets/{ticker}/candlesticks", get_archived_candles),
]
