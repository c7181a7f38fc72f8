"""Kalshi's series and events, and the changes of their fees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import not_found
from streams.sandbox.kalshi.objects import FILTER_WORDS, close_ms, event_object, series_object
from streams.sandbox.kalshi.paging import limit_of, one_of, paged, whole

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace


class SeriesRest:
    """Handlers that need no signature."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        public, cached = self._face.public, self._face.cached
        router.add("GET", "/series", cached(self.series_list))
        router.add("GET", "/series/fee_changes", public(self.series_fee_changes))
        router.add("GET", "/series/{ticker}", public(self.series))
        router.add("GET", "/events", public(self.events))
        router.add("GET", "/events/multivariate", public(self.multivariate_events))
        router.add("GET", "/events/fee_changes", public(self.event_fee_changes))
        router.add("GET", "/events/{ticker}", public(self.event))
        router.add("GET", "/events/{ticker}/metadata", public(self.event_metadata))

    def series_list(self, request: Request) -> Response:
        """All series, unpaged."""
        category, tags = request.param("category"), set(request.params("tags"))
        updated = (whole(request, "min_updated_ts") or 0) * 1000
        bodies = [
            self._series_body(request, series_id)
            for series_id, listed in self._face.series.items()
            if (not category or listed[0].event.category == category)
            and (not updated or max(one.updated_ms for one in listed) >= updated)
        ]
        return Response(200, {"series": [body for body in bodies if not tags or tags & set(body["tags"] or ())]})

    def series(self, request: Request, ticker: str) -> Response:
        """One series."""
        if ticker not in self._face.series:
            return not_found()
        return Response(200, {"series": self._series_body(request, ticker)})

    def _series_body(self, request: Request, series_id: str) -> dict[str, Any]:
        return series_object(
            series_id,
            self._face.series[series_id],
            self._face.fees.in_force(series_id, self._face.now_ms()),
            with_volume=request.param("include_volume") == "true",
            with_metadata=request.param("include_product_metadata") == "true",
        )

    def series_fee_changes(self, request: Request) -> Response:
        """Announced fee changes of series; past ones too with `show_historical`."""
        with_past = request.param("show_historical") == "true"
        rows = self._face.fees.series_rows(request.param("series_ticker"), self._face.now_ms(), with_past=with_past)
        return Response(200, {"series_fee_change_arr": rows})

    def event_fee_changes(self, request: Request) -> Response:
        """Fee overrides of events, a page at a time."""
        limit = limit_of(request, "GetEventFeeChanges", 100, 1000)
        rows = self._face.fees.event_rows(request.param("event_ticker"), self._series_of)
        page, cursor = paged(rows, request.param("cursor"), limit, lambda row: str(row["id"]))
        return Response(200, {"event_fee_changes": page, "cursor": cursor})

    def _series_of(self, event_ticker: str) -> str:
        markets = self._face.events.get(event_ticker)
        return markets[0].event.series_id if markets else ""

    def events(self, request: Request) -> Response:
        """A page of events; an event matches a status when any of its markets does."""
        limit = limit_of(request, "GetEvents", 200, 200)
        word = one_of(request, "GetEvents", "status", ("unopened", "open", "closed", "settled"))
        updated = (whole(request, "min_updated_ts") or 0) * 1000
        closes = (whole(request, "min_close_ts") or 0) * 1000
        tickers, series = set(request.params("tickers")), request.param("series_ticker")

        def matches(markets: list[ListedMarket]) -> bool:
            event = markets[0].event
            return (
                (not word or any(listed.status in FILTER_WORDS[word] for listed in markets))
                and (not tickers or event.event_id in tickers)
                and (not series or event.series_id == series)
                and (not updated or any(listed.updated_ms >= updated for listed in markets))
                and (not closes or any(close_ms(listed) >= closes for listed in markets))
            )

        events = list(self._face.events.values())
        page, cursor = paged(events, request.param("cursor"), limit, lambda event: event[0].event.event_id, matches)
        with_markets = request.param("with_nested_markets") == "true"
        body: dict[str, Any] = {
            "events": [self._event_body(markets, with_markets=with_markets) for markets in page],
            "cursor": cursor,
        }
        if request.param("with_milestones") == "true":
            body["milestones"] = []
        return Response(200, body)

    def multivariate_events(self, request: Request) -> Response:
        """Combos are listed here and not among the events; the sandbox has none."""
        limit_of(request, "GetMultivariateEvents", 100, 200)
        return Response(200, {"events": [], "cursor": ""})

    def event(self, request: Request, ticker: str) -> Response:
        """One event; its markets nested, or beside it."""
        markets = self._face.events.get(ticker)
        if markets is None:
            return not_found()
        is_nested = request.param("with_nested_markets") == "true"
        body = {"event": self._event_body(markets, with_markets=is_nested)}
        beside = [] if is_nested else [self._face.market_body(listed) for listed in markets]
        return Response(200, {**body, "markets": beside})

    def event_metadata(self, request: Request, ticker: str) -> Response:
        """Pictures and sources of an event; the sandbox has no pictures."""
        markets = self._face.events.get(ticker)
        if markets is None:
            return not_found()
        details = [{"market_ticker": one.market_id, "image_url": "", "color_code": ""} for one in markets]
        return Response(200, {"image_url": "", "settlement_sources": [], "market_details": details})

    def _event_body(self, markets: list[ListedMarket], *, with_markets: bool) -> dict[str, Any]:
        body = event_object(markets)
        body |= self._face.fees.override_fields(body["event_ticker"], self._face.now_ms())
        if with_markets:
            body["markets"] = [self._face.market_body(listed) for listed in markets]
        return body
