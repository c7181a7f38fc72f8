"""Where frames come from and how they are parsed: the only place that knows both venues' modules.

A segment names the parser of each connection, so a replay finds the same one without a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streams.market.identity import Venue
from streams.recorder.books import MarketKey, Parse, ParserFactory
from streams.settings import Settings
from streams.venues.feed import Feed


@dataclass(frozen=True, slots=True)
class FeedSource:
    """A venue's feed: `parser` is a key of `PARSERS`, `make` gives a feed that is not connected yet."""

    venue: Venue
    parser: str
    make: Callable[[], Feed]


def _kalshi(_markets: Sequence[MarketKey]) -> Parse:
    from streams.venues.kalshi.parsing import parse_frame

    return parse_frame


def _polymarket(markets: Sequence[MarketKey]) -> Parse:
    from streams.venues.polymarket.parsing import TokenRef, parse_frame

    tokens = {market.yes_token: TokenRef(market.market_id, "yes") for market in markets}
    tokens.update({market.no_token: TokenRef(market.market_id, "no") for market in markets})
    return lambda raw: parse_frame(raw, tokens)


PARSERS: Mapping[str, ParserFactory] = {"kalshi": _kalshi, "polymarket": _polymarket}


def feed_sources(settings: Settings) -> list[FeedSource]:
    """Return both venues' feeds by the settings."""
    raise AssertionError(settings)
