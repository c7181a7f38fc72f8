"""Kalshi's historical tier, where settled markets, old trades and fills, and ended orders go after a while."""

from __future__ import annotations

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import not_found
from streams.sandbox.kalshi.formats import second_of
from streams.sandbox.kalshi.objects import market_object
from streams.sandbox.kalshi.paging import limit_of, one_of, paged, time_range
from streams.sandbox.kalshi.portfolio_objects import shown_status
from streams.sandbox.kalshi.routes.markets import trades_page
from streams.sandbox.kalshi.routes.portfolio import fills_page, orders_of, orders_page, positions_of, positions_page
from streams.sandbox.kalshi.venue import KalshiVenue


def get_cutoff(venue: KalshiVenue, request: Request) -> Response:
    """What is older than these moments is found here only."""
    settings, now_ms = venue.settings, venue.now_ms()
    settled = second_of(now_ms - settings.archive_after_ms)
    return Response(
        200,
        {
            "market_settled_ts": settled,
            "trades_created_ts": settled,
            "orders_updated_ts": second_of(now_ms - settings.archive_orders_after_ms),
            "market_positions_last_updated_ts": settled,
        },
    )


def list_archived_markets(venue: KalshiVenue, request: Request) -> Response:
    """A page of archived markets."""
    limit = limit_of(request, "GetHistoricalMarkets", 100, 1000)
    one_of(request, "GetHistoricalMarkets", "mve_filter", ("exclude",))
    tickers, event = set(request.params("tickers")), request.param("event_ticker")
    series = request.param("series_ticker")

    def matches(listed: ListedMarket) -> bool:
        return (
            venue.is_archived(listed)
            and (not tickers or listed.market_id in tickers)
            and (not event or listed.market.event_id == event)
            and (not series or listed.market.series_id == series)
        )

    rows = list(venue.exchange.state.markets.values())
    page, cursor = paged(rows, request.param("cursor"), limit, lambda listed: listed.market_id, matches)
    return Response(200, {"markets": [market_object(listed) for listed in page], "cursor": cursor})


def get_archived_market(venue: KalshiVenue, request: Request, ticker: str) -> Response:
    """One archived market."""
    listed = venue.exchange.state.markets.get(ticker)
    if listed is None or not venue.is_archived(listed):
        return not_found()
    return Response(200, {"market": market_object(listed)})


def list_archived_trades(venue: KalshiVenue, request: Request) -> Response:
    """Archived prints, newest first."""
    limit = limit_of(request, "GetHistoricalTrades", 100, 1000)
    low, high = time_range(request)
    high = min(high, venue.now_ms() - venue.settings.archive_after_ms - 1)
    listed = venue.exchange.state.markets.get(request.param("ticker"))
    prints = list(venue.exchange.state.public_trades if listed is None else listed.trades)
    return trades_page(request, prints, limit, low, high, venue.settings)


def list_archived_fills(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Fills before the cutoff, newest first."""
    low, high = time_range(request)
    until = venue.now_ms() - venue.settings.archive_after_ms - 1
    return fills_page(venue, request, key, "GetHistoricalFills", (low, min(high, until)))


def list_archived_orders(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Orders that ended before the cutoff, newest first."""
    until = venue.now_ms() - venue.settings.archive_orders_after_ms
    rows = [
        record
        for record in orders_of(venue, request, key, "GetHistoricalOrders")
        if shown_status(record) != "resting" and record.updated_ms < until
    ]
    return orders_page(venue, request, rows, "GetHistoricalOrders")


def list_archived_positions(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Settled positions of archived markets."""
    limit = limit_of(request, "GetHistoricalPositions", 100, 1000)
    rows = [row for row in positions_of(venue, request, key, venue.now_ms()) if venue.is_archived(row[0])]
    return positions_page(request, rows, limit, {})


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/historical/cutoff", get_cutoff, cache_ms=1_000),
    Route("GET", "/historical/markets", list_archived_markets),
    Route("GET", "/historical/markets/{ticker}", get_archived_market),
    Route("GET", "/historical/trades", list_archived_trades),
    Route("GET", "/historical/fills", list_archived_fills, Access.SIGNED),
    Route("GET", "/historical/orders", list_archived_orders, Access.SIGNED),
    Route("GET", "/historical/positions", list_archived_positions, Access.SIGNED),
]
