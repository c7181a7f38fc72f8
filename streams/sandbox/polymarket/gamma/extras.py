"""Gamma beside the lists of markets and events: tags, series, sports, profiles, comments and the public search."""

from __future__ import annotations

from typing import Any

import orjson

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import PROFILE_CACHE_MS, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.gamma.objects import gamma_event, series_object
from streams.sandbox.polymarket.gamma.routes import not_found
from streams.sandbox.polymarket.objects import is_closed, series_number, tag_objects
from streams.sandbox.polymarket.venue import PolymarketVenue

_LISTS_IN_STRINGS = ("outcomes", "outcomePrices", "clobTokenIds", "umaResolutionStatuses")
_MOST_SERIES = 50


def list_tags(venue: PolymarketVenue, request: Request) -> Response:
    """Every tag in use."""
    offset, limit = request.param("offset") or "0", request.param("limit") or "100"
    if not (offset.isdecimal() and limit.isdecimal()):
        return Response(422, {"type": "validation error", "error": "limit and offset must be numbers"})
    return Response(200, list(_tags(venue).values())[int(offset) : int(offset) + int(limit)])


def get_tag(venue: PolymarketVenue, request: Request, name: str) -> Response:
    """One tag, by id or slug."""
    found = next((tag for tag in _tags(venue).values() if name in (tag["id"], tag["slug"])), None)
    return not_found() if found is None else Response(200, found)


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
        return not_found()
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
    return not_found("profile")


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
