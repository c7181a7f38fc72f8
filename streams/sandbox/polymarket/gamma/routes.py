"""Gamma: markets and events by keyset and by offset, tags, series, sports, search; comments and profiles are empty."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import PROFILE_CACHE_MS, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.gamma.filters import (
    BadQuery,
    Ordering,
    event_filter,
    event_ordering,
    flag,
    market_filter,
    market_ordering,
)
from streams.sandbox.polymarket.gamma.objects import gamma_event, gamma_market, series_object
from streams.sandbox.polymarket.objects import event_number, event_slug, is_closed, series_number, tag_objects
from streams.sandbox.polymarket.venue import PolymarketVenue

_MOST_MARKETS, _MOST_EVENTS = 100, 500
_MOST_SERIES = 50
_LARGEST_OFFSET = 2_000
_LISTS_IN_STRINGS = ("outcomes", "outcomePrices", "clobTokenIds", "umaResolutionStatuses")


def list_markets(venue: PolymarketVenue, request: Request) -> Response:
    """A page of markets, at most 100."""
    limit = _limit(request, 20, _MOST_MARKETS)
    with_tags = bool(flag(request, "include_tag"))
    rows = [(listed.number, listed) for listed in venue.exchange.state.markets.values()]
    page, cursor = _keyset(rows, request, limit, market_filter(request), market_ordering(request))
    body = {"markets": [gamma_market(listed, with_event=True, with_tags=with_tags) for listed in page]}
    return Response(200, body | cursor)


def list_events(venue: PolymarketVenue, request: Request) -> Response:
    """A page of events with their markets, at most 500."""
    limit = _limit(request, 20, _MOST_EVENTS)
    rows = [(markets[0].number, markets) for markets in venue.events.values()]
    page, cursor = _keyset(rows, request, limit, event_filter(request), event_ordering(request))
    return Response(200, {"events": [gamma_event(markets) for markets in page]} | cursor)


def list_markets_by_offset(venue: PolymarketVenue, request: Request) -> Response:
    """The deprecated list: limit and offset, offset up to 2000."""
    matches = market_filter(request)
    found = market_ordering(request).apply([m for m in venue.exchange.state.markets.values() if matches(m)])
    return Response(200, [gamma_market(m, with_event=True) for m in _slice(found, request, _MOST_MARKETS)])


def list_events_by_offset(venue: PolymarketVenue, request: Request) -> Response:
    """The deprecated list of events."""
    matches = event_filter(request)
    found = event_ordering(request).apply([e for e in venue.events.values() if matches(e)])
    return Response(200, [gamma_event(markets) for markets in _slice(found, request, _MOST_EVENTS)])


def get_market(venue: PolymarketVenue, request: Request, gamma_id: str) -> Response:
    """One market by Gamma's id."""
    return _shown(_market(venue, gamma_id), request)


def get_market_by_slug(venue: PolymarketVenue, request: Request, slug: str) -> Response:
    """One market by its slug."""
    listed = next((listed for listed in venue.exchange.state.markets.values() if listed.market.slug == slug), None)
    return _shown(listed, request, "slug")


def get_market_tags(venue: PolymarketVenue, request: Request, gamma_id: str) -> Response:
    """The tags of a market's event."""
    listed = _market(venue, gamma_id)
    return _not_found() if listed is None else Response(200, tag_objects(listed))


def get_event(venue: PolymarketVenue, request: Request, event_id: str) -> Response:
    """One event by its id."""
    markets = _event(venue, event_id)
    return _not_found() if markets is None else Response(200, gamma_event(markets))


def get_event_by_slug(venue: PolymarketVenue, request: Request, slug: str) -> Response:
    """One event by its slug."""
    markets = next((markets for markets in venue.events.values() if event_slug(markets[0]) == slug), None)
    return _not_found("slug") if markets is None else Response(200, gamma_event(markets))


def get_event_tags(venue: PolymarketVenue, request: Request, event_id: str) -> Response:
    """The tags of an event."""
    markets = _event(venue, event_id)
    return _not_found() if markets is None else Response(200, tag_objects(markets[0]))


def _market(venue: PolymarketVenue, gamma_id: str) -> ListedMarket | None:
    return next(
        (listed for listed in venue.exchange.state.markets.values() if listed.market.gamma_id == gamma_id), None
    )


def _event(venue: PolymarketVenue, event_id: str) -> list[ListedMarket] | None:
    events = venue.events.values()
    return next((markets for markets in events if event_number(markets[0].event.event_id) == event_id), None)


def _shown(listed: ListedMarket | None, request: Request, what: str = "id") -> Response:
    if listed is None:
        return _not_found(what)
    return Response(200, gamma_market(listed, with_event=True, with_tags=bool(flag(request, "include_tag"))))


def _not_found(what: str = "id") -> Response:
    """A single thing that is not there."""
    return Response(404, {"type": "not found error", "error": f"{what} not found"})


def _limit(request: Request, usual: int, most: int) -> int:
    if request.param("offset"):
        raise BadQuery("offset is not supported, use after_cursor")
    text = request.param("limit", str(usual))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise BadQuery(f"limit must be between 1 and {most}")
    return int(text)


def _slice(rows: list[Any], request: Request, most: int) -> list[Any]:
    offset, limit = request.param("offset") or "0", request.param("limit") or "20"
    if not offset.isdecimal() or not limit.isdecimal() or int(offset) > _LARGEST_OFFSET:
        raise BadQuery("offset must be between 0 and 2000")
    return rows[int(offset) : int(offset) + min(int(limit), most)]


def _keyset(
    rows: Iterable[tuple[int, Any]], request: Request, limit: int, matches: Callable[[Any], bool], ordering: Ordering
) -> tuple[list[Any], dict[str, str]]:
    """Return one page and `next_cursor`, which the last page leaves out.

    The cursor names the last row of the page by its listing number, so rows that end meanwhile shift nothing.
    """
    found = [(number, row) for number, row in rows if matches(row)]
    if ordering.keys:
        found = Ordering(tuple(_of_row(key) for key in ordering.keys), ordering.is_ascending).apply(found)
    elif not ordering.is_ascending:
        found.reverse()
    start = _start(found, request.param("after_cursor"), is_plain=not ordering.keys and ordering.is_ascending)
    page = found[start : start + limit]
    if start + limit >= len(found):
        return [row for _, row in page], {}
    mark = f"keyset:{page[-1][0]}:{start + limit}"
    return [row for _, row in page], {"next_cursor": base64.urlsafe_b64encode(mark.encode()).decode()}


def _of_row(key: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda numbered: key(numbered[1])


def _start(found: list[tuple[int, Any]], cursor: str, *, is_plain: bool) -> int:
    if not cursor:
        return 0
    try:
        kind, number, index = base64.urlsafe_b64decode(cursor).decode().split(":")
        last, fallback = int(number), int(index)
    except (binascii.Error, ValueError):
        raise BadQuery("after_cursor is invalid") from None
    if kind != "keyset":
        raise BadQuery("after_cursor is invalid")
    if is_plain:
        return next((at for at, (row, _) in enumerate(found) if row > last), len(found))
    return next((at + 1 for at, (row, _) in enumerate(found) if row == last), fallback)


# -- what describes markets and events --------------------------------------------------------------------------------


def list_tags(venue: PolymarketVenue, request: Request) -> Response:
    """Every tag in use."""
    offset, limit = request.param("offset") or "0", request.param("limit") or "100"
    if not (offset.isdecimal() and limit.isdecimal()):
        return Response(422, {"type": "validation error", "error": "limit and offset must be numbers"})
    return Response(200, list(_tags(venue).values())[int(offset) : int(offset) + int(limit)])


def get_tag(venue: PolymarketVenue, request: Request, name: str) -> Response:
    """One tag, by id or slug."""
    found = next((tag for tag in _tags(venue).values() if name in (tag["id"], tag["slug"])), None)
    return _not_found() if found is None else Response(200, found)


def list_nothing(venue: PolymarketVenue, request: Request, **names: str) -> Response:
    """A list that is empty here."""
    return Response(200, [])


def list_series(venue: PolymarketVenue, request: Request) -> Response:
    """Series of events, at most 50."""
    known = dict.fromkeys(m[0].event.series_id for m in venue.events.values() if m[0].event.series_id)
    slugs = set(request.params("slug"))
    rows = [series_object(name) for name in known if not slugs or name.lower() in slugs]
    offset = request.param("offset") or "0"
    start = int(offset) if offset.isdecimal() else 0
    return Response(200, rows[start : start + _MOST_SERIES])


def get_series(venue: PolymarketVenue, request: Request, series_id: str) -> Response:
    """One series with its events."""
    events = [m for m in venue.events.values() if series_number(m[0].event.series_id) == series_id]
    events = [markets for markets in events if markets[0].event.series_id]
    if not events:
        return _not_found()
    body = series_object(events[0][0].event.series_id)
    return Response(200, {**body, "events": [gamma_event(markets, with_markets=False) for markets in events]})


def list_sports(venue: PolymarketVenue, request: Request) -> Response:
    """The leagues: one for the sports of the catalogue."""
    tags = [tag["id"] for tag in _tags(venue).values() if tag["slug"] in ("sports", "all")]
    row = {
        "id": 1,
        "sport": "sports",
        "image": "",
        "resolution": "",
        "ordering": "home",
        "tags": ",".join(tags),
        "series": "",
        "createdAt": "2025-11-05T19:27:45.399303Z",
    }
    return Response(200, [row])


def list_comments(venue: PolymarketVenue, request: Request) -> Response:
    """No comments; what they are about must be named all the same."""
    if not request.param("parent_entity_type") or not request.param("parent_entity_id"):
        return Response(422, {"type": "validation error", "error": "parent_entity_type and id are required"})
    return Response(200, [])


def list_market_types(venue: PolymarketVenue, request: Request) -> Response:
    """The kinds of sports markets."""
    return Response(200, {"marketTypes": ["moneyline", "spreads", "totals"]})


def page_comments(venue: PolymarketVenue, request: Request) -> Response:
    """A page without comments."""
    return Response(200, {"comments": []})


def get_profile(venue: PolymarketVenue, request: Request) -> Response:
    """Nobody has a profile."""
    return _not_found("profile")


def search(venue: PolymarketVenue, request: Request) -> Response:
    """Events whose title or markets contain every word."""
    words = request.param("q").lower().split()
    if not words:
        return Response(422, {"type": "validation error", "error": "q is required"})
    limit, page = request.param("limit_per_type") or "5", request.param("page") or "1"
    count = int(limit) if limit.isdecimal() else 5
    number = max(1, int(page)) if page.isdecimal() else 1
    wants_closed = request.param("events_status") in ("resolved", "closed")
    keeps_closed = request.param("keep_closed_markets") in ("1", "true") or not request.param("events_status")
    found = [
        markets
        for markets in venue.events.values()
        if _mentions(markets, words) and (keeps_closed or all(map(is_closed, markets)) == wants_closed)
    ]
    shown = [gamma_event(markets) for markets in found[(number - 1) * count : number * count]]
    if request.param("optimized").lower() in ("true", "1"):
        shown = [_with_real_lists(event) for event in shown]
    pagination = {"hasMore": len(found) > number * count, "totalResults": len(found)}
    return Response(200, {"events": shown, "tags": [], "profiles": [], "pagination": pagination})


def _tags(venue: PolymarketVenue) -> dict[str, dict[str, Any]]:
    return {tag["id"]: tag for markets in venue.events.values() for tag in tag_objects(markets[0])}


def _mentions(markets: list[ListedMarket], words: list[str]) -> bool:
    text = " ".join((markets[0].event.title, *(listed.market.title for listed in markets))).lower()
    return all(word in text for word in words)


def _with_real_lists(event: dict[str, Any]) -> dict[str, Any]:
    """The optimised search sends real lists where Gamma else sends them inside strings."""
    for market in event["markets"]:
        for name in _LISTS_IN_STRINGS:
            market[name] = orjson.loads(market[name])
    return event


ROUTES: list[Route[PolymarketVenue]] = [
    Route("GET", "/markets/keyset", list_markets, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/events/keyset", list_events, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/markets", list_markets_by_offset, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/events", list_events_by_offset, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/markets/slug/{slug}", get_market_by_slug, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/markets/{gamma_id}/tags", get_market_tags, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/markets/{gamma_id}", get_market, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/events/slug/{slug}", get_event_by_slug, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/events/{event_id}/tags", get_event_tags, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/events/{event_id}", get_event, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/tags", list_tags, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/tags/slug/{name}", get_tag, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/tags/slug/{name}/related-tags", list_nothing, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/tags/slug/{name}/related-tags/tags", list_nothing, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/tags/{name}", get_tag, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/tags/{name}/related-tags", list_nothing, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/tags/{name}/related-tags/tags", list_nothing, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/series", list_series, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/series/{series_id}", get_series, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/sports", list_sports, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/sports/market-types", list_market_types, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/teams", list_nothing, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/comments", list_comments, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/comments/keyset", page_comments, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/comments/{comment_id}", list_nothing, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/comments/user_address/{address}", list_nothing, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/public-profile", get_profile, cache_ms=PROFILE_CACHE_MS),
    Route("GET", "/public-search", search, cache_ms=PROFILE_CACHE_MS),
]
