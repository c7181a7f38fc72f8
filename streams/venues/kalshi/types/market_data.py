"""Kalshi's books and candlesticks of REST answers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.events import BookSnapshot, TradePrint
from streams.market.identity import Venue
from streams.market.units import PRICE_ONE_E4
from streams.venues.common.decimals import wire_bound_e4, wire_price_e4, wire_seconds, wire_size_e6
from streams.venues.common.listed_fields import id_of
from streams.venues.common.paging import Candle, Items
from streams.venues.common.responses import items_of, read_items
from streams.venues.common.times import parse_time
from streams.venues.kalshi.types.market_frames import ask_levels, bid_levels, check_ladders, outcome_of

_LADDERS = frozenset({"yes_dollars", "no_dollars"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def book_of(market_id: str, book: dict[str, Any]) -> BookSnapshot:
    """Return the book of a REST answer; raises InvalidAmount or ValueError where it is not one."""
    if not isinstance(book, dict) or _LADDERS.isdisjoint(book):
        raise InvalidAmount("a book without ladders")
    check_ladders(_LADDERS, {name: isinstance(value, list | dict) for name, value in book.items()})
    return BookSnapshot(
        venue=Venue.KALSHI,
        market_id=market_id,
        bids=bid_levels(_ladder(book, "yes_dollars")),
        # Unlike the socket's, REST's NO ladder is always in NO prices.
        asks=ask_levels(_ladder(book, "no_dollars"), use_yes_price=False),
        payload=book,
    )


def _ladder(book: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """Return a ladder; one that is left out or null is empty."""
    ladder = book.get(name)
    if not isinstance(ladder, list | None):
        raise InvalidAmount(f"{name} is not a list")
    return [(price, size) for price, size in ladder or []]


def listed_book(entry: dict[str, Any]) -> BookSnapshot:
    """Return an entry of GET /markets/orderbooks; raises KeyError, InvalidAmount or ValueError where it is none."""
    if not isinstance(entry["ticker"], str):
        raise InvalidAmount("a ticker that is no text")
    return book_of(entry["ticker"], entry["orderbook_fp"])


class CandlesByMarket(dict[str, Items[Candle]]):
    """The candlesticks of several markets by ticker.

    Attributes:
        unreadable: Entries of the answer that belong to no market that could be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: tuple[MalformedFrame, ...] = ()

    def add(self, answer: Items[tuple[str, Items[Candle]]]) -> None:
        """Add the markets of one answer."""
        self.update(answer)
        self.unreadable += answer.unreadable


def candles_of_market(entry: dict[str, Any], interval_s: int) -> tuple[str, Items[Candle]]:
    """Return one entry of GET /markets/candlesticks: ticker and candlesticks; raises KeyError or InvalidAmount."""
    candles = read_items(items_of(entry, "candlesticks"), lambda candle: candle_of(candle, interval_s))
    return id_of(entry, "market_ticker"), candles


def trade_of(entry: dict[str, Any]) -> TradePrint:
    """Return one public trade; raises KeyError or InvalidAmount. The socket's prints carry the same ids."""
    taker = entry.get("taker_outcome_side") or entry.get("taker_side")
    at = parse_time(entry.get("created_time"))
    return TradePrint(
        venue=Venue.KALSHI,
        market_id=id_of(entry, "ticker"),
        price_e4=wire_price_e4(entry["yes_price_dollars"]),
        size_e6=wire_size_e6(entry["count_fp"]),
        taker_outcome=outcome_of(taker) if taker else None,
        trade_id=id_of(entry, "trade_id"),
        venue_sent_ms=None if at is None else (at - _EPOCH) // timedelta(milliseconds=1),
        payload=entry,
    )


def candle_of(entry: dict[str, Any], interval_s: int) -> Candle:
    """Return one candlestick of the live or the archived shape; raises KeyError or InvalidAmount."""
    price = entry.get("price") or {}
    bid = _price(entry.get("yes_bid") or {}, "close")
    ask = _price(entry.get("yes_ask") or {}, "close")
    return Candle(
        bucket_start=datetime.fromtimestamp(wire_seconds(entry["end_period_ts"]), UTC) - timedelta(seconds=interval_s),
        interval_s=interval_s,
        # An empty side reads 0 or 1.
        bid_close_e4=bid or None,
        ask_close_e4=ask if ask != PRICE_ONE_E4 else None,
        price_open_e4=_price(price, "open"),
        price_high_e4=_price(price, "high"),
        price_low_e4=_price(price, "low"),
        price_close_e4=_price(price, "close"),
        volume_e6=_size(entry, "volume"),
        payload=entry,
        open_interest_e6=_size(entry, "open_interest"),
    )


def _price(entry: dict[str, Any], name: str) -> int | None:
    # Archived candles have the same keys without the unit.
    value = entry.get(f"{name}_dollars", entry.get(name))
    return None if value in (None, "") else wire_bound_e4(value)


def _size(entry: dict[str, Any], name: str) -> int | None:
    value = entry.get(f"{name}_fp", entry.get(name))
    return None if value in (None, "") else wire_size_e6(value)
