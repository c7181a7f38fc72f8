"""Gamma: keyset lists of markets and events, single ones, tags, series, sports and the search."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.gamma.filters import (
    BadQuery,
    Broken,
    Ordering,
    event_filter,
    event_ordering,
    flag,
    market_filter,
    market_ordering,
)
from streams.sandbox.polymarket.gamma.objects import gamma_event, gamma_market
from streams.sandbox.polymarket.objects import event_number, event_slug, tag_objects

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_MOST_MARKETS, _MOST_EVENTS = 100, 500
_LARGEST_OFFSET = 2_000


class GammaRest:
    """Handlers of the catalogue; nothing here is signed."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        routes: tuple[tuple[str, Callable[..., Response]], ...] = (
            ("/markets/keyset", self.markets),
            ("/events/keyset", self.events),
            ("/markets", self.markets_by_offset),
            ("/events", self.events_by_offset),
            ("/markets/slug/{slug}", self.market_by_slug),
            ("/markets/{gamma_id}/tags", self.market_tags),
            ("/markets/{gamma_id}", self.market),
            ("/events/slug/{slug}", self.event_by_slug),
            ("/events/{event_id}/tags", self.event_tags),
            ("/events/{event_id}", self.event),
        )
        for path, handler in routes:
            router.add("GET", f"/gamma{path}", checked(handler))

    def markets(self, request: Request) -> Response:
        """A page of markets, at most 100."""
        limit = _limit(request, 20, _MOST_MARKETS)
        with_tags = bool(flag(request, "include_tag"))
        rows = [(listed.number, listed) for listed in self._exchange.markets.values()]
        page, cursor = _keyset(rows, request, limit, market_filter(request), market_ordering(request))
        body = {"markets": [gamma_market(listed, with_event=True, with_tags=with_tags) for listed in page]}
        return Response(200, body | cursor)

    def events(self, request: Request) -> Response:
        """A page of events with their markets, at most 500."""
        limit = _limit(request, 20, _MOST_EVENTS)
        rows = [(markets[0].number, markets) for markets in self._face.events.values()]
        page, cursor = _keyset(rows, request, limit, event_filter(request), event_ordering(request))
        return Response(200, {"events": [gamma_event(markets) for markets in page]} | cursor)

    def markets_by_offset(self, request: Request) -> Response:
        """The deprecated list: limit and offset, offset up to 2000."""
        matches = market_filter(request)
        found = market_ordering(request).apply([m for m in self._exchange.markets.values() if matches(m)])
        return Response(200, [gamma_market(m, with_event=True) for m in _slice(found, request, _MOST_MARKETS)])

    def events_by_offset(self, request: Request) -> Response:
        """The deprecated list of events."""
        matches = event_filter(request)
        found = event_ordering(request).apply([e for e in self._face.events.values() if matches(e)])
        return Response(200, [gamma_event(markets) for markets in _slice(found, request, _MOST_EVENTS)])

    def market(self, request: Request, gamma_id: str) -> Response:
        """One market by Gamma's id."""
        return self._shown(self._market(lambda listed: listed.market.gamma_id == gamma_id), request)

    def market_by_slug(self, request: Request, slug: str) -> Response:
        """One market by its slug."""
        return self._shown(self._market(lambda listed: listed.market.slug == slug), request, "slug")

    def market_tags(self, request: Request, gamma_id: str) -> Response:
        """The tags of a market's event."""
        listed = self._market(lambda listed: listed.market.gamma_id == gamma_id)
        return not_found() if listed is None else Response(200, tag_objects(listed))

    def event(self, request: Request, event_id: str) -> Response:
        """One event by its id."""
        markets = self._event(lambda markets: event_number(markets[0].event.event_id) == event_id)
        return not_found() if markets is None else Response(200, gamma_event(markets))

    def event_by_slug(self, request: Request, slug: str) -> Response:
        """One event by its slug."""
        markets = self._event(lambda markets: event_slug(markets[0]) == slug)
        return not_found("slug") if markets is None else Response(200, gamma_event(markets))

    def event_tags(self, request: Request, event_id: str) -> Response:
        """The tags of an event."""
        markets = self._event(lambda markets: event_number(markets[0].event.event_id) == event_id)
        return not_found() if markets is None else Response(200, tag_objects(markets[0]))

    def _market(self, matches: Callable[[ListedMarket], bool]) -> ListedMarket | None:
        return next((listed for listed in self._exchange.markets.values() if matches(listed)), None)

    def _event(self, matches: Callable[[list[ListedMarket]], bool]) -> list[ListedMarket] | None:
        return next((markets for markets in self._face.events.values() if matches(markets)), None)

    def _shown(self, listed: ListedMarket | None, request: Request, what: str = "id") -> Response:
        if listed is None:
            return not_found(what)
        return Response(200, gamma_market(listed, with_event=True, with_tags=bool(flag(request, "include_tag"))))


def checked(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Wrap a handler so that a query it cannot use is answered 422."""

    def answer(request: Request, **arguments: str) -> Response:
        try:
            return handler(request, **arguments)
        except BadQuery as error:
            return Response(422, {"type": "validation error", "error": str(error)})
        except Broken:
            return Response(500, {"type": "internal error", "error": "internal server error"})

    return answer


def not_found(what: str = "id") -> Response:
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
