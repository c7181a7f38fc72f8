"""Gamma: keyset lists of markets and events, and single ones."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from streams.sandbox.polymarket_face.objects import event_slug, gamma_event, gamma_market
from streams.sandbox.records import ListedMarket
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.polymarket_face.face import PolymarketFace

Row = TypeVar("Row")
_ORDERS = {"id", "volume", "volume24hr", "liquidity", "startDate", "endDate", "createdAt", "updatedAt", "volumeNum"}


class GammaRest:
    """Handlers of the catalogue; nothing here is signed."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/gamma/markets/keyset", self.markets)
        router.add("GET", "/gamma/events/keyset", self.events)
        router.add("GET", "/gamma/markets", self.markets_by_offset)
        router.add("GET", "/gamma/tags", lambda request: Response(200, []))
        router.add("GET", "/gamma/markets/slug/{slug}", self.market_by_slug)
        router.add("GET", "/gamma/markets/{gamma_id}", self.market)
        router.add("GET", "/gamma/events/slug/{slug}", self.event_by_slug)
        router.add("GET", "/gamma/events/{event_id}", self.event)

    def markets(self, request: Request) -> Response:
        """A page of markets, at most 100."""
        problem = _problem(request, 100)
        if problem is not None:
            return problem
        limit = int(request.param("limit", "20"))
        page, cursor = _page(self._exchange.markets.values(), request, limit, _market_filter(request))
        body: dict[str, Any] = {"markets": [gamma_market(listed, with_event=True) for listed in page]}
        return Response(200, body | cursor)

    def events(self, request: Request) -> Response:
        """A page of events with their markets, at most 500."""
        problem = _problem(request, 500)
        if problem is not None:
            return problem
        limit = int(request.param("limit", "20"))
        page, cursor = _page(self._face.events.values(), request, limit, _event_filter(request))
        body: dict[str, Any] = {"events": [gamma_event(markets) for markets in page]}
        return Response(200, body | cursor)

    def markets_by_offset(self, request: Request) -> Response:
        """The deprecated list: limit and offset, offset up to 2000."""
        offset, limit = request.param("offset", "0"), request.param("limit", "20")
        if not (offset.isdigit() and limit.isdigit()) or int(offset) > 2000:
            return Response(422, {"type": "validation error", "error": "offset"})
        matches = _market_filter(request)
        found = [listed for listed in self._exchange.markets.values() if matches(listed)]
        page = found[int(offset) : int(offset) + min(int(limit), 100)]
        return Response(200, [gamma_market(listed, with_event=True) for listed in page])

    def market(self, request: Request, gamma_id: str) -> Response:
        """One market by Gamma's id."""
        return self._single(lambda listed: listed.market.gamma_id == gamma_id)

    def market_by_slug(self, request: Request, slug: str) -> Response:
        """One market by its slug."""
        return self._single(lambda listed: listed.market.slug == slug)

    def event(self, request: Request, event_id: str) -> Response:
        """One event by its id."""
        markets = self._face.events.get(event_id)
        return _not_found() if markets is None else Response(200, gamma_event(markets))

    def event_by_slug(self, request: Request, slug: str) -> Response:
        """One event by its slug."""
        for markets in self._face.events.values():
            if event_slug(markets[0]) == slug:
                return Response(200, gamma_event(markets))
        return _not_found()

    def _single(self, matches: Callable[[ListedMarket], bool]) -> Response:
        for listed in self._exchange.markets.values():
            if matches(listed):
                return Response(200, gamma_market(listed, with_event=True))
        return _not_found()


def _not_found() -> Response:
    return Response(404, {"type": "not found error", "error": "id not found"})


def _problem(request: Request, most: int) -> Response | None:
    if request.param("offset"):
        return Response(422, {"type": "validation error", "error": "offset is not supported, use after_cursor"})
    limit = request.param("limit", "20")
    if not limit.isdigit() or not 1 <= int(limit) <= most:
        return Response(422, {"type": "validation error", "error": f"limit must be between 1 and {most}"})
    order = request.param("order")
    if order and not set(order.split(",")) <= _ORDERS:
        return Response(422, {"type": "validation error", "error": "order fields are not valid"})
    return None


def _page(rows: Any, request: Request, limit: int, matches: Callable[[Row], bool]) -> tuple[list[Row], dict[str, str]]:
    """Return one page in listing order and `next_cursor`, which the last page leaves out."""
    listed: Sequence[Row] = list(rows)
    page: list[Row] = []
    for index in range(_position(request.param("after_cursor")), len(listed)):
        if not matches(listed[index]):
            continue
        if len(page) == limit:
            cursor = base64.urlsafe_b64encode(f"keyset:{index}".encode()).decode()
            return page, {"next_cursor": cursor}
        page.append(listed[index])
    return page, {}


def _position(cursor: str) -> int:
    try:
        kind, _, index = base64.urlsafe_b64decode(cursor).decode().partition(":")
        return max(0, int(index)) if kind == "keyset" else 0
    except (binascii.Error, ValueError):
        return 0


def _is_closed(listed: ListedMarket) -> bool:
    return listed.settlement_e4 is not None


def _market_filter(request: Request) -> Callable[[ListedMarket], bool]:
    closed = request.param("closed", "false").lower() == "true"
    named = {
        "id": set(request.params("id")),
        "slug": set(request.params("slug")),
        "condition_ids": set(request.params("condition_ids")),
    }
    tokens = set(request.params("clob_token_ids"))
    earliest, latest = request.param("end_date_min"), request.param("end_date_max")
    least = request.param("volume_num_min", "0")
    least_e6 = int(least) * 1_000_000 if least.isdigit() else 0

    def matches(listed: ListedMarket) -> bool:
        market = listed.market
        ids = {"id": market.gamma_id, "slug": market.slug, "condition_ids": market.market_id}
        end = f"{market.close_time:%Y-%m-%dT%H:%M:%SZ}"
        return (
            _is_closed(listed) == closed
            and all(not wanted or ids[name] in wanted for name, wanted in named.items())
            and (not tokens or market.yes_token in tokens or market.no_token in tokens)
            and (not earliest or end >= earliest)
            and (not latest or end <= latest)
            and listed.volume_e6 >= least_e6
        )

    return matches


def _event_filter(request: Request) -> Callable[[list[ListedMarket]], bool]:
    closed = request.param("closed", "false").lower() == "true"
    ids, slugs = set(request.params("id")), set(request.params("slug"))

    def matches(markets: list[ListedMarket]) -> bool:
        return (
            all(_is_closed(listed) for listed in markets) == closed
            and (not ids or markets[0].event.event_id in ids)
            and (not slugs or event_slug(markets[0]) in slugs)
        )

    return matches
