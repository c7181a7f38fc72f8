"""Kalshi's books and candlesticks of REST answers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streams.market.events import BookSnapshot, TradePrint
from streams.market.identity import Venue
from streams.market.units import PRICE_ONE_E4
from streams.venues.common.decimals import wire_bound_e4, wire_price_e4, wire_size_e6
from streams.venues.common.paging import Candle
from streams.venues.common.responses import items_of
from streams.venues.common.times import parse_time
from streams.venues.kalshi.types.market_frames import ask_levels, bid_levels, outcome_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def book_of(market_id: str, book: dict[str, Any]) -> BookSnapshot:
    """Return the book of a REST answer; raises InvalidAmount or ValueError where it is not one."""
    return BookSnapshot(
        venue=Venue.KALSHI,
        market_id=market_id,
        bids=bid_levels([(price, size) for price, size in book.get("yes_dollars") or []]),
        # Unlike the socket's, REST's NO ladder is always in NO prices.
        asks=ask_levels([(price, size) for price, size in book.get("no_dollars") or []], use_yes_price=False),
        payload=book,
    )


def books_of(answer: dict[str, Any]) -> list[BookSnapshot]:
    """Return the books of GET /markets/orderbooks; raises KeyError, InvalidAmount or ValueError."""
    return [book_of(str(entry["ticker"]), entry["orderbook_fp"]) for entry in items_of(answer, "orderbooks")]


def candles_of(answer: dict[str, Any], interval_s: int) -> list[Candle]:
    """Return the candlesticks of an answer; raises KeyError or InvalidAmount."""
    return [candle_of(entry, interval_s) for entry in items_of(answer, "candlesticks")]


def candles_by_market(answer: dict[str, Any], interval_s: int) -> dict[str, list[Candle]]:
    """Return the candlesticks of GET /markets/candlesticks by ticker; raises KeyError or InvalidAmount."""
    return {str(entry["market_ticker"]): candles_of(entry, interval_s) for entry in items_of(answer, "markets")}


def trade_of(entry: dict[str, Any]) -> TradePrint:
    """Return one public trade; raises KeyError or InvalidAmount. The socket's prints carry the same ids."""
    taker = entry.get("taker_outcome_side") or entry.get("taker_side")
    at = parse_time(entry.get("created_time"))
    return TradePrint(
        venue=Venue.KALSHI,
        market_id=str(entry["ticker"]),
        price_e4=wire_price_e4(entry["yes_price_dollars"]),
        size_e6=wire_size_e6(entry["count_fp"]),
        taker_outcome=outcome_of(taker) if taker else None,
        trade_id=str(entry["trade_id"]),
        venue_sent_ms=None if at is None else (at - _EPOCH) // timedelta(milliseconds=1),
        payload=entry,
    )


def candle_of(entry: dict[str, Any], interval_s: int) -> Candle:
    """Return one candlestick of the live or the archived shape; raises KeyError or InvalidAmount."""
    price = entry.get("price") or {}
    bid = _price(entry.get("yes_bid") or {}, "close")
    ask = _price(entry.get("yes_ask") or {}, "close")
    return Candle(
        bucket_start=datetime.fromtimestamp(int(entry["end_period_ts"]), UTC) - timedelta(seconds=interval_s),
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
