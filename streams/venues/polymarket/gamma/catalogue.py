"""Gamma's events, series, tags and searches. Pure; markets are read by `listings`.

Gamma writes lists inside strings, leaves out empty keys and writes times in several ways: what is missing becomes None
or an empty value here, and every row keeps its JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.listing import DiscoveredMarket
from streams.venues.common.times import parse_time
from streams.venues.polymarket.gamma.listings import json_list, parse_market


@dataclass(frozen=True, slots=True)
class GammaTag:
    """A label of events; `tag_id` is what lists are filtered by."""

    tag_id: str
    label: str
    slug: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GammaSeries:
    """A row of events that repeat."""

    series_id: str
    slug: str
    title: str
    recurrence: str
    is_closed: bool
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GammaEvent:
    """A question's occasion with its markets.

    Attributes:
        is_neg_risk: At most one of its markets resolves YES, and they are traded on the neg-risk exchange.
        is_augmented: Outcomes may be added later and placeholders stand among them: not exhaustive until named.
        neg_risk_market_id: What conversions of its outcomes name, "" where there are none.
        markets: Those that are a question of two outcomes; what else Gamma lists is counted in `unreadable`.
    """

    event_id: str
    slug: str
    title: str
    start_time: datetime | None
    end_time: datetime | None
    is_closed: bool
    is_neg_risk: bool
    is_augmented: bool
    neg_risk_market_id: str
    tags: tuple[GammaTag, ...]
    markets: tuple[DiscoveredMarket, ...]
    unreadable: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found; `total` counts all pages."""

    events: tuple[GammaEvent, ...]
    tags: tuple[GammaTag, ...]
    has_more: bool
    total: int
    payload: dict[str, Any]


def parse_tag(row: Mapping[str, Any]) -> GammaTag:
    """Return one tag."""
    return GammaTag(str(row["id"]), str(row.get("label") or ""), str(row.get("slug") or ""), dict(row))


def parse_series(row: Mapping[str, Any]) -> GammaSeries:
    """Return one series."""
    return GammaSeries(
        series_id=str(row["id"]),
        slug=str(row.get("slug") or row.get("ticker") or ""),
        title=str(row.get("title") or ""),
        recurrence=str(row.get("recurrence") or ""),
        is_closed=bool(row.get("closed")),
        payload=dict(row),
    )


def parse_event(row: dict[str, Any], *, now: datetime | None = None) -> GammaEvent:
    """Return one event.

    Args:
        row: Its JSON; kept unchanged.
        now: The instant of the reading, see `parse_market`.
    """
    found: list[DiscoveredMarket] = []
    markets = json_list(row.get("markets"))
    for payload in markets:
        try:
            found.append(parse_market(payload, row, now=now))
        except MalformedFrame:
            continue
    return GammaEvent(
        event_id=_required(row, "id"),
        slug=str(row.get("slug") or ""),
        title=str(row.get("title") or ""),
        start_time=parse_time(row.get("startTime")) or parse_time(row.get("startDate")),
        end_time=parse_time(row.get("endDate")),
        is_closed=bool(row.get("closed")),
        is_neg_risk=bool(row.get("negRisk") or row.get("enableNegRisk")),
        is_augmented=bool(row.get("negRiskAugmented")),
        neg_risk_market_id=str(row.get("negRiskMarketID") or ""),
        tags=tuple(parse_tag(tag) for tag in json_list(row.get("tags"))),
        markets=tuple(found),
        unreadable=len(markets) - len(found),
        payload=row,
    )


def parse_search(document: dict[str, Any], *, now: datetime | None = None) -> SearchResult:
    """Return the answer of a search; with `optimized` lists come as real arrays, which is read alike."""
    pages = document.get("pagination") or {}
    events = tuple(parse_event(row, now=now) for row in json_list(document.get("events")))
    return SearchResult(
        events=events,
        tags=tuple(parse_tag(row) for row in json_list(document.get("tags"))),
        has_more=bool(pages.get("hasMore") or document.get("hasMore")),
        total=int(pages.get("totalResults") or len(events)),
        payload=document,
    )


def _required(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value in (None, ""):
        raise InvalidAmount(f"a row without {name}")
    return str(value)
