"""Socket frames decoded as one would first write it: `json`, `Decimal` and a dataclass. The benchmark's baseline.

It gives the same facts in YES terms as the project's decoders do, without their checks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ONE = Decimal(1)


@dataclass(frozen=True)
class PlainChange:
    """One level changed: by `size` on Kalshi, to `size` on Polymarket."""

    market_id: str
    side: str
    price: Decimal
    size: Decimal
    sent_ms: int | None
    sequence: int | None = None
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    payload: Any = None


@dataclass(frozen=True)
class PlainBook:
    """A whole book, best price first."""

    market_id: str
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
    sequence: int | None = None
    payload: Any = None


@dataclass(frozen=True)
class PlainTrade:
    """A public trade."""

    market_id: str
    price: Decimal
    size: Decimal
    taker_outcome: str
    sent_ms: int | None
    payload: Any = None


def kalshi(raw: bytes) -> list[Any]:
    """Return the events of a Kalshi frame whose prices are YES prices."""
    frame = json.loads(raw)
    message = frame["msg"]
    if frame["type"] == "orderbook_delta":
        side = "bid" if message["side"] == "yes" else "ask"
        price, size = Decimal(message["price_dollars"]), Decimal(message["delta_fp"])
        market_id, sent_ms = message["market_ticker"], message["ts_ms"]
        return [PlainChange(market_id, side, price, size, sent_ms, frame["seq"], payload=message)]
    if frame["type"] == "trade":
        price, size = Decimal(message["yes_price_dollars"]), Decimal(message["count_fp"])
        taker = message["taker_outcome_side"]
        return [PlainTrade(message["market_ticker"], price, size, taker, message["ts_ms"], message)]
    bids = [(Decimal(price), Decimal(size)) for price, size in message.get("yes_dollars_fp", [])]
    asks = [(Decimal(price), Decimal(size)) for price, size in message.get("no_dollars_fp", [])]
    return [PlainBook(message["market_ticker"], sorted(bids, reverse=True), sorted(asks), frame["seq"], message)]


def polymarket(raw: bytes, tokens: dict[str, tuple[str, str]]) -> list[Any]:
    """Return the events of a Polymarket frame, what is said of both tokens once."""
    document = json.loads(raw)
    found: list[Any] = []
    seen: set[Any] = set()
    for message in document if isinstance(document, list) else [document]:
        if message["event_type"] == "price_change":
            for entry in message["price_changes"]:
                change = _change(entry, tokens[entry["asset_id"]], int(message["timestamp"]))
                key = change.market_id, change.side, change.price, change.size
                if key not in seen:
                    seen.add(key)
                    found.append(change)
        elif message["event_type"] == "book":
            found.append(_book(message, tokens[message["asset_id"]]))
        else:
            found.append(_trade(message, tokens[message["asset_id"]]))
    return found


def _change(entry: dict[str, Any], ref: tuple[str, str], sent_ms: int) -> PlainChange:
    market_id, outcome = ref
    price, is_bid = Decimal(entry["price"]), entry["side"] == "BUY"
    best_bid, best_ask = Decimal(entry["best_bid"]), Decimal(entry["best_ask"])
    if outcome == "no":
        price, is_bid = ONE - price, not is_bid
        best_bid, best_ask = ONE - best_ask, ONE - best_bid
    side = "bid" if is_bid else "ask"
    return PlainChange(market_id, side, price, Decimal(entry["size"]), sent_ms, None, best_bid, best_ask, entry)


def _book(message: dict[str, Any], ref: tuple[str, str]) -> PlainBook:
    bids = [(Decimal(level["price"]), Decimal(level["size"])) for level in message["bids"]]
    asks = [(Decimal(level["price"]), Decimal(level["size"])) for level in message["asks"]]
    if ref[1] == "no":
        bids, asks = [(ONE - price, size) for price, size in asks], [(ONE - price, size) for price, size in bids]
    return PlainBook(ref[0], sorted(bids, reverse=True), sorted(asks), None, message)


def _trade(message: dict[str, Any], ref: tuple[str, str]) -> PlainTrade:
    price = Decimal(message["price"])
    is_buy = message["side"] == "BUY"
    taker = ref[1] if is_buy else ("no" if ref[1] == "yes" else "yes")
    price = price if ref[1] == "yes" else ONE - price
    return PlainTrade(ref[0], price, Decimal(message["size"]), taker, int(message["timestamp"]), message)
