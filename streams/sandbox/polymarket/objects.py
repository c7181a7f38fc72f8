"""Books, past prices, and the ids and names of events and tags, as every part of the venue shows them."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any

import orjson

from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.candles import Candle, past_candles
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.formats import PRICES, price_number, size


def token_of(listed: ListedMarket, outcome: Outcome) -> str:
    """The token id of an outcome."""
    return listed.market.yes_token if outcome == "yes" else listed.market.no_token


def best(listed: ListedMarket, outcome: Outcome) -> tuple[int, int]:
    """(best bid, best ask) of an outcome's mirrored book; 0 and 10,000 where a side is empty."""
    bid, ask = listed.book.best_bid or 0, listed.book.best_ask or PRICE_ONE_E4
    return (bid, ask) if outcome == "yes" else (PRICE_ONE_E4 - ask, PRICE_ONE_E4 - bid)


def has_book(listed: ListedMarket) -> bool:
    """Whether a market still has order books: until it closes."""
    return listed.status in ("open", "paused")


def is_closed(listed: ListedMarket) -> bool:
    """`closed` in lists of markets: the result is known."""
    return listed.settlement_e4 is not None


def levels(listed: ListedMarket, outcome: Outcome, side: Side) -> list[dict[str, str]]:
    """One side of an outcome's book, worst first (best last), as it is served."""
    if outcome == "yes":
        return [{"price": PRICES[p], "size": size(s)} for p, s in reversed(listed.book.levels(side))]
    mirrored: Side = "ask" if side == "bid" else "bid"
    return [{"price": PRICES[PRICE_ONE_E4 - p], "size": size(s)} for p, s in reversed(listed.book.levels(mirrored))]


def last_trade_price(listed: ListedMarket) -> str:
    """Three decimals; of the outcome that was traded last, which need not be this one."""
    if not listed.last_price_e4:
        return ""
    price = PRICE_ONE_E4 - listed.last_price_e4 if listed.last_was_no else listed.last_price_e4
    return f"{price // 10_000}.{price % 10_000 // 10:03d}"


def book_object(listed: ListedMarket, outcome: Outcome, now_ms: int) -> dict[str, Any]:
    """`GET /book`, with the hash over exactly this text."""
    book: dict[str, Any] = {
        "market": listed.market_id,
        "asset_id": token_of(listed, outcome),
        "timestamp": str(now_ms),
        "hash": "",
        "bids": levels(listed, outcome, "bid"),
        "asks": levels(listed, outcome, "ask"),
        "min_order_size": size(listed.market.min_size_e6),
        "tick_size": PRICES[listed.tick_e4],
        "neg_risk": listed.market.is_neg_risk,
        "last_trade_price": last_trade_price(listed),
    }
    book["hash"] = hashlib.sha1(orjson.dumps(book), usedforsecurity=False).hexdigest()
    return book


def book_event(listed: ListedMarket, outcome: Outcome, now_ms: int) -> dict[str, Any]:
    """The market socket's `book`: the same book without two keys."""
    book = book_object(listed, outcome, now_ms)
    del book["min_order_size"], book["neg_risk"]
    return {**book, "event_type": "book"}


def price_points(
    exchange: Exchange, listed: ListedMarket, start_s: int, end_s: int, step_minutes: int, now_ms: int
) -> list[tuple[int, int]]:
    """A market's past prices at even steps: the made-up past before it was listed, then what was quoted.

    Returns:
        [(time in s, mid price_e4 of YES)] every `step_minutes` minutes.
    """
    start = max(start_s * 1000, int(listed.market.open_time.timestamp() * 1000))
    step = max(step_minutes, 1)
    past = past_candles(exchange.state.made_up_past(listed), start, end_s * 1000, step)
    points = [((candle.minute + step) * 60, _mid(candle)) for candle in past]
    recent = listed.history.between(max(start, listed.listed_ms), end_s * 1000)
    if not recent:
        return points
    by_minute = {candle.minute: _mid(candle) for candle in recent}
    mid = _mid(recent[0])
    for minute in range(recent[0].minute, min(end_s // 60, now_ms // 60_000)):
        mid = by_minute.get(minute, mid)
        if minute % step == 0:
            points.append(((minute + 1) * 60, mid))
    return points


def oriented(mid_e4: int, outcome: Outcome) -> float:
    """A YES price in terms of an outcome, as a JSON number."""
    return price_number(mid_e4 if outcome == "yes" else PRICE_ONE_E4 - mid_e4)


def _mid(candle: Candle) -> int:
    return (candle.bid_close + candle.ask_close) // 2


def game_start_ms(listed: ListedMarket) -> int | None:
    """When the game of a sports market begins, None without one."""
    text = listed.market.extra.get("gameStartTime")
    return int(datetime.fromisoformat(str(text)).timestamp() * 1000) if text else None


def event_slug(listed: ListedMarket) -> str:
    """The event's slug: its own, or made from its id or title."""
    event = listed.event
    given = event.extra.get("slug")
    return str(given) if given else slug_text(event.title if event.event_id.isdecimal() else event.event_id)


def slug_text(text: str) -> str:
    """Lower case, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def event_number(event_id: str) -> str:
    """An event's id as the venue writes it: digits; other ids are hashed."""
    if event_id.isdecimal():
        return event_id
    return str(100_000 + int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:4]) % 900_000_000)


def question_id(listed: ListedMarket) -> str:
    """The oracle's id of a market."""
    return f"0x{hashlib.sha256(f'question {listed.market_id}'.encode()).hexdigest()}"


def neg_risk_id(listed: ListedMarket) -> str:
    """The id all markets of a negative-risk event share; its last byte counts the questions and is zero here."""
    return f"0x{hashlib.sha256(f'event {listed.event.event_id}'.encode()).hexdigest()[:62]}00"


def tag_objects(listed: ListedMarket) -> list[dict[str, Any]]:
    """The tags of a market's event: its category and the umbrella tag."""
    return [tag_object(name) for name in (listed.event.category or listed.market.category, "All") if name]


def tag_slugs(listed: ListedMarket) -> list[str]:
    """The slugs of the tags, without the umbrella tag."""
    category = listed.event.category or listed.market.category
    return [category.lower()] if category else []


def tag_object(label: str) -> dict[str, Any]:
    """One tag; its id follows from its label."""
    return {
        "id": tag_id(label),
        "label": label,
        "slug": slug_text(label),
        "forceShow": False,
        "publishedAt": "2023-10-25 18:55:50.674+00",
        "createdAt": "2023-10-25T18:55:50.681Z",
        "updatedAt": "2026-04-17T20:39:54.201881Z",
        "requiresTranslation": False,
    }


def tag_id(label: str) -> str:
    """A tag's id: digits."""
    return str(1 + int.from_bytes(hashlib.sha256(label.lower().encode()).digest()[:2]))


def series_number(series_id: str) -> str:
    """A series' id: digits."""
    return str(10_000 + int.from_bytes(hashlib.sha256(series_id.encode()).digest()[:2]))
