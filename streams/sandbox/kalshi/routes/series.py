"""Kalshi's series and events, and the changes of their fees."""

from __future__ import annotations

from functools import partial
from typing import Any

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import PROFILE_CACHE_MS, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.errors import not_found
from streams.sandbox.kalshi.objects import FILTER_WORDS, close_ms, event_object, market_object, series_object
from streams.sandbox.kalshi.paging import limit_of, one_of, paged, whole
from streams.sandbox.kalshi.venue import KalshiVenue


def list_series(venue: KalshiVenue, request: Request) -> Response:
    """All series, unpaged."""
    category, tags = request.param("category"), set(request.params("tags"))
    updated = (whole(request, "min_updated_ts") or 0) * 1000
    bodies = [
        _series_body(venue, request, series_id)
        for series_id, listed in venue.series.items()
        if (not category or listed[0].event.category == category)
        and (not updated or max(one.updated_ms for one in listed) >= updated)
    ]
    return Response(200, {"series": [body for body in bodies if not tags or tags & set(body["tags"] or ())]})


def get_series(venue: KalshiVenue, request: Request, ticker: str) -> Response:
    """One series."""
    if ticker not in venue.series:
        return not_found()
    return Response(200, {"series": _series_body(venue, request, ticker)})


def _series_body(venue: KalshiVenue, request: Request, series_id: str) -> dict[str, Any]:
    return series_object(
        series_id,
        venue.series[series_id],
        venue.fees.in_force(series_id, venue.now_ms()),
        with_volume=request.param("include_volume") == "true",
        with_metadata=request.param("include_product_metadata") == "true",
    )


def list_series_fee_changes(venue: KalshiVenue, request: Request) -> Response:
    """Announced fee changes of series; past ones too with `show_historical`."""
    with_past = request.param("show_historical") == "true"
    rows = venue.fees.series_rows(request.param("series_ticker"), venue.now_ms(), with_past=with_past)
    return Response(200, {"series_fee_change_arr": rows})


def list_event_fee_changes(venue: KalshiVenue, request: Request) -> Response:
    """Fee overrides of events, a page at a time."""
    limit = limit_of(request, "GetEventFeeChanges", 100, 1000)
    rows = venue.fees.event_rows(request.param("event_ticker"), partial(_series_of, venue))
    page, cursor = paged(rows, request.param("cursor"), limit, lambda row: str(row["id"]))
    return Response(200, {"event_fee_changes": page, "cursor": cursor})


def _series_of(venue: KalshiVenue, event_ticker: str) -> str:
    markets = venue.events.get(event_ticker)
    return markets[0].event.series_id if markets else ""


def list_events(venue: KalshiVenue, request: Request) -> Response:
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

    events = list(venue.events.values())
    page, cursor = paged(events, request.param("cursor"), limit, lambda event: event[0].event.event_id, matches)
    with_markets = request.param("with_nested_markets") == "true"
    body: dict[str, Any] = {
        "events": [_event_body(venue, markets, with_markets=with_markets) for markets in page],
        "cursor": cursor,
    }
    if request.param("with_milestones") == "true":
        body["milestones"] = []
    return Response(200, body)


def list_multivariate_events(venue: KalshiVenue, request: Request) -> Response:
    """Combos are listed here and not among the events; the sandbox has none."""
    limit_of(request, "GetMultivariateEvents", 100, 200)
    return Response(200, {"events": [], "cursor": ""})


def get_event(venue: KalshiVenue, request: Request, ticker: str) -> Response:
    """One event; its markets nested, or beside it."""
    markets = venue.events.get(ticker)
    if markets is None:
        return not_found()
    is_nested = request.param("with_nested_markets") == "true"
    body = {"event": _event_body(venue, markets, with_markets=is_nested)}
    beside = [] if is_nested else [market_object(listed) for listed in markets]
    return Response(200, {**body, "markets": beside})


def get_event_metadata(venue: KalshiVenue, request: Request, ticker: str) -> Response:
    """Pictures and sources of an event; the sandbox has no pictures."""
    markets = venue.events.get(ticker)
    if markets is None:
        return not_found()
    details = [{"market_ticker": one.market_id, "image_url": "", "color_code": ""} for one in markets]
    return Response(200, {"image_url": "", "settlement_sources": [], "market_details": details})


def _event_body(venue: KalshiVenue, markets: list[ListedMarket], *, with_markets: bool) -> dict[str, Any]:
    body = event_object(markets)
    body |= venue.fees.override_fields(body["event_ticker"], venue.now_ms())
    if with_markets:
        body["markets"] = [market_object(listed) for listed in markets]
    return body


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/series", list_series, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/series/fee_changes", list_series_fee_changes),
    Route("GET", "/series/{ticker}", get_series),
    Route("GET", "/events", list_events),
    Route("GET", "/events/multivariate", list_multivariate_events),
    Route("GET", "/events/fee_changes", list_event_fee_changes),
    Route("GET", "/events/{ticker}", get_event),
    Route("GET", "/events/{ticker}/metadata", get_event_metadata),
]
