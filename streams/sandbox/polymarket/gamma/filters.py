"""Gamma's filters and orderings: what the query of a list means for a market or an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import Rejected
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.gamma.objects import liquidity_e6
from streams.sandbox.polymarket.objects import (
    event_number,
    event_slug,
    is_closed,
    question_id,
    series_number,
    tag_objects,
)

Market = ListedMarket
Event = list[ListedMarket]
_DOLLAR = 1_000_000
_MARKET_ORDERS: dict[str, Callable[[Market], Any]] = {
    "id": lambda m: int(m.market.gamma_id),
    "volume": lambda m: m.volume_e6,
    "volumeNum": lambda m: m.volume_e6,
    "volume24hr": lambda m: m.volume_e6,
    "volume1wk": lambda m: m.volume_e6,
    "volume1mo": lambda m: m.volume_e6,
    "volume1yr": lambda m: m.volume_e6,
    "volumeClob": lambda m: m.volume_e6,
    "liquidity": liquidity_e6,
    "liquidityNum": liquidity_e6,
    "liquidityClob": liquidity_e6,
    "startDate": lambda m: m.market.open_time,
    "endDate": lambda m: m.market.close_time,
    "createdAt": lambda m: m.market.open_time,
    "updatedAt": lambda m: m.updated_ms,
    "slug": lambda m: m.market.slug,
    "question": lambda m: m.market.title,
    "lastTradePrice": lambda m: m.last_price_e4,
    "bestBid": lambda m: m.book.best_bid or 0,
    "bestAsk": lambda m: m.book.best_ask or 10_000,
    "spread": lambda m: (m.book.best_ask or 10_000) - (m.book.best_bid or 0),
}
_EVENT_ORDERS: dict[str, Callable[[Event], Any]] = {
    "id": lambda e: int(event_number(e[0].event.event_id)),
    "slug": lambda e: event_slug(e[0]),
    "title": lambda e: e[0].event.title,
    "startDate": lambda e: e[0].market.open_time,
    "creationDate": lambda e: e[0].market.open_time,
    "createdAt": lambda e: e[0].market.open_time,
    "startTime": lambda e: e[0].market.open_time,
    "endDate": lambda e: e[0].market.close_time,
    "updatedAt": lambda e: max(m.updated_ms for m in e),
    "closedTime": lambda e: max(m.determined_ms or 0 for m in e),
    "openInterest": lambda e: sum(m.interest_e6 for m in e),
    "liquidity": lambda e: sum(map(liquidity_e6, e)),
    "liquidityClob": lambda e: sum(map(liquidity_e6, e)),
    **dict.fromkeys(
        ("volume", "volume24hr", "volume1wk", "volume1mo", "volume1yr"), lambda e: sum(m.volume_e6 for m in e)
    ),
}


class BadQuery(Rejected):
    """A parameter Gamma answers with 422; the message is the error's text."""

    def __init__(self, message: str) -> None:
        super().__init__(Response(422, {"type": "validation error", "error": message}))


class Broken(Rejected):
    """An ordering on which the venue itself fails, as seen: 500."""

    def __init__(self) -> None:
        super().__init__(Response(500, {"type": "internal error", "error": "internal server error"}))


@dataclass(frozen=True, slots=True)
class Ordering:
    """How a list is sorted: fields in turn, all in one direction; none: in listing order."""

    keys: tuple[Callable[[Any], Any], ...] = ()
    is_ascending: bool = True

    def apply(self, rows: list[Any]) -> list[Any]:
        """Sort; rows that are equal keep their listing order."""
        for key in reversed(self.keys):
            rows.sort(key=key, reverse=not self.is_ascending)
        return rows


def market_ordering(request: Request) -> Ordering:
    """`order` and `ascending` of a market list.

    Raises:
        BadQuery: For a field that is not sortable, also a snake_case name.
    """
    return _ordering(request, _MARKET_ORDERS)


def event_ordering(request: Request) -> Ordering:
    """`order` and `ascending` of an event list.

    Raises:
        BadQuery: For a field that is not sortable, also a snake_case name.
    """
    return _ordering(request, _EVENT_ORDERS)


def _ordering(request: Request, known: dict[str, Callable[[Any], Any]]) -> Ordering:
    names = request.params("order")
    if "competitive" in names and known is _EVENT_ORDERS:
        raise Broken
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadQuery("order fields are not valid")
    ascending = flag(request, "ascending")
    return Ordering(tuple(known[name] for name in names), not names if ascending is None else ascending)


def market_filter(request: Request) -> Callable[[Market], bool]:
    """Whether a market is in the list asked for.

    Raises:
        BadQuery: For a value that cannot be read.
    """
    parts: list[Callable[[Market], bool]] = [
        _closed(request, is_closed),
        _one_of(request, "id", lambda m: m.market.gamma_id),
        _one_of(request, "slug", lambda m: m.market.slug),
        _one_of(request, "condition_ids", lambda m: m.market_id),
        _one_of(request, "question_ids", question_id),
        _one_of(request, "sports_market_types", lambda m: str(m.market.extra.get("sportsMarketType", ""))),
        _one_of(request, "game_id", lambda m: str(m.market.extra.get("gameId", ""))),
        _version(request),
        _no_rows_if(request, "position_ids", "onchain_event_ids", "request_ids", "market_maker_address"),
        _tags(request, lambda m: m),
        _range(request, "end_date", _moment, lambda m: m.market.close_time),
        _range(request, "start_date", _moment, lambda m: m.market.open_time),
        _range(request, "volume_num", _amount, lambda m: m.volume_e6),
        _range(request, "liquidity_num", _amount, liquidity_e6),
    ]
    tokens = set(request.params("clob_token_ids"))
    if tokens:
        parts.append(lambda m: bool(tokens & {m.market.yes_token, m.market.no_token}))
    status = request.param("uma_resolution_status")
    if status:
        parts.append(lambda m: status == _uma_status(m))
    resolution = request.param("resolution_status")
    if resolution:
        parts.append(lambda m: (resolution == "resolved") == is_closed(m))
    decimalized = flag(request, "decimalized")
    if decimalized is not None:
        parts.append(lambda m: (m.tick_e4 < 100) == decimalized)
    if flag(request, "cyom") or flag(request, "rfq_enabled"):
        parts.append(lambda m: False)
    return lambda m: all(part(m) for part in parts)


def event_filter(request: Request) -> Callable[[Event], bool]:
    """Whether an event is in the list asked for.

    Raises:
        BadQuery: For a value that cannot be read.
    """
    parts: list[Callable[[Event], bool]] = [
        _closed(request, lambda e: all(is_closed(m) for m in e)),
        _one_of(request, "id", lambda e: event_number(e[0].event.event_id)),
        _one_of(request, "slug", lambda e: event_slug(e[0])),
        _one_of(request, "series_id", lambda e: series_number(e[0].event.series_id)),
        _version(request),
        _no_rows_if(request, "game_id", "parent_event_id", "partner_slug", "event_week", "recurrence"),
        _tags(request, lambda e: e[0]),
        _range(request, "end_date", _moment, lambda e: e[0].market.close_time),
        _range(request, "start_date", _moment, lambda e: e[0].market.open_time),
        _range(request, "start_time", _moment, lambda e: e[0].market.open_time),
        _range(request, "volume", _amount, lambda e: sum(m.volume_e6 for m in e)),
        _range(request, "liquidity", _amount, lambda e: sum(map(liquidity_e6, e))),
    ]
    title = request.param("title_search").lower()
    if title:
        parts.append(lambda e: title in e[0].event.title.lower())
    if any(flag(request, name) for name in ("featured", "live", "cyom")):
        parts.append(lambda e: False)
    return lambda e: all(part(e) for part in parts)


def flag(request: Request, name: str) -> bool | None:
    """A boolean parameter, None when it is absent.

    Raises:
        BadQuery: If it is no boolean.
    """
    text = request.param(name).lower()
    if text not in ("", "true", "false", "1", "0"):
        raise BadQuery(f"{name} must be a boolean")
    return None if not text else text in ("true", "1")


def _closed(request: Request, closed: Callable[[Any], bool]) -> Callable[[Any], bool]:
    wanted = flag(request, "closed") or False
    return lambda row: closed(row) == wanted


def _one_of(request: Request, name: str, value: Callable[[Any], str]) -> Callable[[Any], bool]:
    wanted = set(request.params(name))
    return lambda row: not wanted or value(row) in wanted


def _version(request: Request) -> Callable[[Any], bool]:
    wanted = set(request.params("version"))
    return lambda row: not wanted or "v1" in wanted


def _no_rows_if(request: Request, *names: str) -> Callable[[Any], bool]:
    """Filters for things no market of the sandbox has."""
    asked = any(request.params(name) for name in names)
    return lambda row: not asked


def _tags(request: Request, market: Callable[[Any], Market]) -> Callable[[Any], bool]:
    ids, slug, excluded = (
        set(request.params("tag_id")),
        request.param("tag_slug"),
        set(request.params("exclude_tag_id")),
    )
    needs_all = request.param("tag_match") == "all"

    def matches(row: Any) -> bool:
        tags = tag_objects(market(row))
        own = {tag["id"] for tag in tags}
        fits = ids <= own if needs_all else bool(ids & own)
        return (not ids or fits) and (not slug or slug in {tag["slug"] for tag in tags}) and not excluded & own

    return matches if ids or slug or excluded else lambda row: True


def _range(
    request: Request, name: str, read: Callable[[str, str], Any], value: Callable[[Any], Any]
) -> Callable[[Any], bool]:
    low = read(f"{name}_min", request.param(f"{name}_min"))
    high = read(f"{name}_max", request.param(f"{name}_max"))
    if low is None and high is None:
        return lambda row: True
    return lambda row: (low is None or value(row) >= low) and (high is None or value(row) <= high)


def _moment(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise BadQuery(f"{name} must be a date-time") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _amount(name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        amount = Decimal(text)
        return int(amount * _DOLLAR)
    except (InvalidOperation, ValueError, OverflowError):
        raise BadQuery(f"{name} must be a number") from None


def _uma_status(listed: Market) -> str:
    if listed.determined_ms is not None:
        return "resolved"
    return "proposed" if listed.status == "closed" else ""
