"""An account's part of the historical tier: old fills, ended orders, settled positions."""

from __future__ import annotations

from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.paging import limit_of, time_range
from streams.sandbox.kalshi.portfolio_objects import shown_status
from streams.sandbox.kalshi.routes.portfolio import fills_page, orders_of, orders_page, positions_of, positions_page
from streams.sandbox.kalshi.venue import KalshiVenue


def list_archived_fills(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Fills before the cutoff, newest first."""
    low, high = time_range(request)
    until = venue.now_ms() - venue.settings.archive_after_ms - 1
    return fills_page(venue, request, key, "GetHistoricalFills", (low, min(high, until)))


def list_archived_orders(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Orders that ended before the cutoff, newest first."""
    until = venue.now_ms() - venue.settings.archive_orders_after_ms
    rows = [
        ticket
        for ticket in orders_of(venue, request, key, "GetHistoricalOrders")
        if shown_status(ticket) != "resting" and ticket.updated_ms < until
    ]
    return orders_page(venue, request, rows, "GetHistoricalOrders")


def list_archived_positions(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Settled positions of archived markets."""
    limit = limit_of(request, "GetHistoricalPositions", 100, 1000)
    rows = [row for row in positions_of(venue, request, key, venue.now_ms()) if venue.is_archived(row[0])]
    return positions_page(request, rows, limit, {})


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/historical/fills", list_archived_fills, Access.SIGNED),
    Route("GET", "/historical/orders", list_archived_orders, Access.SIGNED),
    Route("GET", "/historical/positions", list_archived_positions, Access.SIGNED),
]
