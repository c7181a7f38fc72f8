"""Kalshi's markets, order books and public trades."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.sandbox.core.records import ListedMarket, Trade
from streams.sandbox.http.routes import PROFILE_CACHE_MS, Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.errors import bad_parameter, not_found
from streams.sandbox.kalshi.objects import FILTER_WORDS, close_ms, market_object, order_book_object, trade_object
from streams.sandbox.kalshi.paging import limit_of, one_of, paged, paged_after, time_range, whole
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.kalshi.venue import KalshiVenue

MAX_DEPTH = 100
MAX_BOOKS = 100
_FAMILIES = {
    "created": (("min_created_ts", "max_created_ts"), ("", "unopened", "open")),
    "close": (("min_close_ts", "max_close_ts"), ("", "closed")),
    "settled": (("min_settled_ts", "max_settled_ts"), ("", "settled")),
    "updated": (("min_updated_ts",), ("",)),
}
"""Timestamp filters that go together, and the status filters each family goes with."""


def list_markets(venue: KalshiVenue, request: Request) -> Response:
    """A page of markets of the live tier."""
    limit = limit_of(request, "GetMarkets", 100, 1000)
    word = one_of(request, "GetMarkets", "status", tuple(FILTER_WORDS))
    combos = one_of(request, "GetMarkets", "mve_filter", ("only", "exclude"))
    bounds = {name: value * 1000 for name in _BOUNDS if (value := whole(request, name)) is not None}
    _check_times(request, bounds, word, combos)
    tickers = set(request.params("tickers"))
    event, series = request.param("event_ticker"), request.param("series_ticker")
    if "," in event:
        raise Rejected(bad_parameter("Only one event_ticker can be provided"))

    def matches(listed: ListedMarket) -> bool:
        return (
            (not word or listed.status in FILTER_WORDS[word])
            and (not tickers or listed.market_id in tickers)
            and (not event or listed.market.event_id == event)
            and (not series or listed.market.series_id == series)
            and all(_BOUNDS[name](listed, bound) for name, bound in bounds.items())
            and not venue.is_archived(listed)
        )

    rows = [] if combos == "only" else list(venue.exchange.state.markets.values())
    page, cursor = paged(rows, request.param("cursor"), limit, lambda listed: listed.market_id, matches)
    return Response(200, {"markets": [market_object(listed) for listed in page], "cursor": cursor})


def get_market(venue: KalshiVenue, request: Request, ticker: str) -> Response:
    """One market; archived ones are found in the historical tier only."""
    listed = venue.live_market(ticker)
    return not_found() if listed is None else Response(200, {"market": market_object(listed)})


def get_order_book(venue: KalshiVenue, request: Request, ticker: str) -> Response:
    """One book; an empty side is an empty list here."""
    depth = whole(request, "depth") or 0
    if not 0 <= depth <= MAX_DEPTH:
        return bad_parameter("GetMarketOrderbook", "Depth", "lte" if depth > 0 else "gte")
    listed = venue.live_market(ticker)
    return not_found() if listed is None else Response(200, {"orderbook_fp": order_book_object(listed, depth)})


def get_order_books(venue: KalshiVenue, request: Request) -> Response:
    """Several books. `tickers` is repeated; of a comma-joined list only the first counts, as at the venue."""
    tickers = [value.partition(",")[0] for name, value in request.query if name == "tickers" and value]
    if not 1 <= len(tickers) <= MAX_BOOKS:
        return bad_parameter("GetMarketOrderbooks", "Tickers", "max" if tickers else "required")
    found = [listed for ticker in tickers if (listed := venue.live_market(ticker)) is not None]
    books = [{"ticker": listed.market_id, "orderbook_fp": order_book_object(listed)} for listed in found]
    return Response(200, {"orderbooks": books})


def list_trades(venue: KalshiVenue, request: Request) -> Response:
    """Public prints of the live tier, newest first."""
    limit = limit_of(request, "GetTrades", 100, 1000)
    low, high = time_range(request)
    low = max(low, venue.now_ms() - venue.settings.archive_after_ms)
    return trades_page(request, _prints(venue, request), limit, low, high, venue.settings)


def _prints(venue: KalshiVenue, request: Request) -> Sequence[Trade]:
    ticker = request.param("ticker")
    if not ticker:
        return list(venue.exchange.state.public_trades)
    listed = venue.exchange.state.markets.get(ticker)
    return list(listed.trades) if listed is not None else []


def trades_page(
    request: Request, prints: Sequence[Trade], limit: int, low: int, high: int, settings: KalshiVenueSettings
) -> Response:
    """A page of prints, given oldest first, sent newest first."""
    blocks = one_of(request, "GetTrades", "is_block_trade", ("true", "false"))
    rows = [trade for trade in reversed(prints) if low <= trade.at_ms <= high and blocks != "true"]
    page, cursor = paged_after(rows, request.param("cursor"), limit, lambda trade: trade.trade_id)
    return Response(200, {"cursor": cursor, "trades": [trade_object(trade, settings) for trade in page]})


def _check_times(request: Request, bounds: dict[str, int], word: str, combos: str) -> None:
    """Timestamp filters exclude other families of them, and some status filters."""
    families = [family for family, (names, _) in _FAMILIES.items() if any(name in bounds for name in names)]
    if not families:
        return
    if len(families) > 1:
        raise Rejected(bad_parameter("Timestamp filters are mutually exclusive"))
    if word not in _FAMILIES[families[0]][1]:
        raise Rejected(bad_parameter(f"Status filter {word} is incompatible with {families[0]} timestamp filters"))
    if families[0] == "updated":
        others = [name for name in ("event_ticker", "tickers") if request.param(name)]
        if others or (request.param("series_ticker") and combos != "exclude"):
            raise Rejected(bad_parameter("min_updated_ts is incompatible with other filters"))


_BOUNDS: dict[str, Callable[[ListedMarket, int], bool]] = {
    "min_created_ts": lambda listed, at: listed.listed_ms >= at,
    "max_created_ts": lambda listed, at: listed.listed_ms <= at,
    "min_close_ts": lambda listed, at: close_ms(listed) >= at,
    "max_close_ts": lambda listed, at: close_ms(listed) <= at,
    "min_settled_ts": lambda listed, at: listed.settled_ms is not None and listed.settled_ms >= at,
    "max_settled_ts": lambda listed, at: listed.settled_ms is not None and listed.settled_ms <= at,
    "min_updated_ts": lambda listed, at: listed.updated_ms >= at,
}


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/markets", list_markets, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/markets/trades", list_trades),
    Route("GET", "/markets/orderbooks", get_order_books),
    Route("GET", "/markets/{ticker}", get_market),
    Route("GET", "/markets/{ticker}/orderbook", get_order_book),
]
