"""Where frames come from and how they are parsed: the only place of the recorder that knows both venues' modules.

A segment names the parser of each connection, so a replay finds the same one without a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from streams.market.identity import Venue
from streams.recorder.books import MarketKey, Parse, Parser
from streams.settings import Settings
from streams.venues.common.feed import Feed
from streams.venues.common.http import http_client
from streams.venues.credentials.keystore import Keystore
from streams.venues.factory import kalshi_feed, polymarket_feed
from streams.venues.kalshi.types.market_frames import BOOKLESS_FRAMES as KALSHI_BOOKLESS
from streams.venues.kalshi.types.market_frames import parse_frame as parse_kalshi
from streams.venues.polymarket.market_frames import BOOKLESS_FRAMES as POLYMARKET_BOOKLESS
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.market_frames import parse_frame as parse_polymarket
from streams.venues.polymarket.stream.isolation import Isolation


@dataclass(frozen=True, slots=True)
class FeedSource:
    """A venue's feed: `parser` is a key of `PARSERS`, `make` gives a feed that is not connected yet.

    `verify_within_s`: each book is compared with a whole one this often; None where sequence numbers tell enough.
    `terms`: what was asked of the venue that decides how its frames are read; it is written at the head of each
    connection's records.
    """

    venue: Venue
    parser: str
    make: Callable[[], Feed]
    verify_within_s: float | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)


def _kalshi(_markets: Sequence[MarketKey]) -> Parse:
    return parse_kalshi


def _polymarket(markets: Sequence[MarketKey]) -> Parse:
    tokens = {market.yes_token: TokenRef(market.market_id, "yes") for market in markets}
    tokens.update({market.no_token: TokenRef(market.market_id, "no") for market in markets})
    tokens.pop("", None)
    return lambda raw: parse_polymarket(raw, tokens)


PARSERS: Mapping[str, Parser] = {
    "kalshi": Parser(_kalshi, bookless_frames=KALSHI_BOOKLESS),
    "kalshi_polling": Parser(_kalshi, is_polled=True, reports_activation=False, bookless_frames=KALSHI_BOOKLESS),
    "polymarket": Parser(
        _polymarket,
        repeats_removals=True,
        reports_fills_as_books=True,
        reports_activation=False,
        bookless_frames=POLYMARKET_BOOKLESS,
        needs_tokens=True,
    ),
}
"""The parsers by the names that segments give them."""


def feed_sources(settings: Settings) -> list[FeedSource]:
    """Return both venues' feeds by the settings. Without a Kalshi key its books are polled and marked so."""
    http = http_client(settings)  # one for the life of the process, however often a feed is made anew
    return [_kalshi_source(settings, http), _polymarket_source(settings, http)]


def _kalshi_source(settings: Settings, http: httpx.AsyncClient) -> FeedSource:
    make = partial(kalshi_feed, settings, http)
    if Keystore(settings).kalshi(settings.venues) is None:
        return FeedSource(Venue.KALSHI, "kalshi_polling", make)
    return FeedSource(Venue.KALSHI, "kalshi", make, terms={"use_yes_price": True})


def _polymarket_source(settings: Settings, http: httpx.AsyncClient) -> FeedSource:
    return FeedSource(
        Venue.POLYMARKET,
        "polymarket",
        partial(polymarket_feed, settings, http, Isolation()),
        settings.book_verify_interval_s,
    )
