"""Kalshi's historical tier: where settled markets, old trades and ended orders go after a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import not_found
from streams.sandbox.kalshi.formats import second_of
from streams.sandbox.kalshi.paging import limit_of, one_of, paged, time_range
from streams.sandbox.kalshi.routes.markets import trades_page

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace


class HistoricalRest:
    """Public handlers; the account's own archive is the portfolio's."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        public = self._face.public
        router.add("GET", "/historical/cutoff", self._face.cached(self.cutoff, most_ms=1_000))
        router.add("GET", "/historical/markets", public(self.markets))
        router.add("GET", "/historical/markets/{ticker}", public(self.market))
        router.add("GET", "/historical/trades", public(self.trades))

    def cutoff(self, request: Request) -> Response:
        """What is older than these moments is found here only."""
        settings, now_ms = self._face.settings, self._face.now_ms()
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

    def markets(self, request: Request) -> Response:
        """A page of archived markets."""
        limit = limit_of(request, "GetHistoricalMarkets", 100, 1000)
        one_of(request, "GetHistoricalMarkets", "mve_filter", ("exclude",))
        tickers, event = set(request.params("tickers")), request.param("event_ticker")
        series, now_ms = request.param("series_ticker"), self._face.now_ms()

        def matches(listed: ListedMarket) -> bool:
            return (
                self._face.is_archived(listed, now_ms)
                and (not tickers or listed.market_id in tickers)
                and (not event or listed.market.event_id == event)
                and (not series or listed.market.series_id == series)
            )

        rows = list(self._exchange.markets.values())
        page, cursor = paged(rows, request.param("cursor"), limit, lambda listed: listed.market_id, matches)
        return Response(200, {"markets": [self._face.market_body(listed) for listed in page], "cursor": cursor})

    def market(self, request: Request, ticker: str) -> Response:
        """One archived market."""
        listed = self._exchange.markets.get(ticker)
        if listed is None or not self._face.is_archived(listed, self._face.now_ms()):
            return not_found()
        return Response(200, {"market": self._face.market_body(listed)})

    def trades(self, request: Request) -> Response:
        """Archived prints, newest first."""
        limit = limit_of(request, "GetHistoricalTrades", 100, 1000)
        low, high = time_range(request)
        high = min(high, self._face.now_ms() - self._face.settings.archive_after_ms - 1)
        listed = self._exchange.markets.get(request.param("ticker"))
        prints = list(self._exchange.public_trades if listed is None else listed.trades)
        return trades_page(request, prints, limit, low, high, self._face.settings)
