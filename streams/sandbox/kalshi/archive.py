"""An account's part of the historical tier: old fills, ended orders, settled positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.paging import limit_of, time_range
from streams.sandbox.kalshi.portfolio_objects import shown_status
from streams.sandbox.kalshi.routes.portfolio import PortfolioRest, fills_page, positions_of
from streams.sandbox.kalshi.routes.portfolio_orders import orders_of, orders_page

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey


class ArchiveRest:
    """Every handler is signed."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("GET", "/historical/fills", signed(self.fills))
        router.add("GET", "/historical/orders", signed(self.orders))
        router.add("GET", "/historical/positions", signed(self.positions))

    def fills(self, request: Request, key: KalshiKey) -> Response:
        """Fills before the cutoff, newest first."""
        low, high = time_range(request)
        until = self._face.now_ms() - self._face.settings.archive_after_ms - 1
        return fills_page(self._face, request, key, "GetHistoricalFills", (low, min(high, until)))

    def orders(self, request: Request, key: KalshiKey) -> Response:
        """Orders that ended before the cutoff, newest first."""
        until = self._face.now_ms() - self._face.settings.archive_orders_after_ms
        rows = [
            ticket
            for ticket in orders_of(self._face, request, key, "GetHistoricalOrders")
            if shown_status(ticket) != "resting" and ticket.updated_ms < until
        ]
        return orders_page(self._face, request, rows, "GetHistoricalOrders")

    def positions(self, request: Request, key: KalshiKey) -> Response:
        """Settled positions of archived markets."""
        limit, now_ms = limit_of(request, "GetHistoricalPositions", 100, 1000), self._face.now_ms()
        rows = [row for row in positions_of(self._face, request, key, now_ms) if self._face.is_archived(row[0], now_ms)]
        return PortfolioRest(self._face).positions_page(request, rows, limit, {})
