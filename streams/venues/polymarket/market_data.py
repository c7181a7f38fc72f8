"""Polymarket's books, price histories and market terms of REST answers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec
import orjson

from streams.market.events import BookSnapshot
from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE, SIZE_SCALE, scaled_int
from streams.venues.decimals import fixed_point, plain_decimal, wire_price_e4
from streams.venues.paging import Candle
from streams.venues.polymarket.parsing import TokenRef, book_levels
from streams.venues.polymarket.wire import BookLevel

_HASHED_KEYS = (
    "market",
    "asset_id",
    "timestamp",
    "hash",
    "bids",
    "asks",
    "min_order_size",
    "tick_size",
    "neg_risk",
    "last_trade_price",
)


@dataclass(frozen=True, slots=True)
class ClobMarket:
    """What the CLOB itself says of a market's terms; it goes before Gamma's cached words.

    Attributes:
        taker_delay_s: How long a marketable order is held before it matches, None where the venue states none.
    """

    market_id: str
    tokens: tuple[tuple[str, str], ...]
    tick_e4: int
    min_size_e6: int
    is_neg_risk: bool
    is_accepting_orders: bool
    fee_schedule: dict[str, Any]
    taker_delay_s: int | None
    payload: dict[str, Any]


def book_of(document: dict[str, Any], tokens: Mapping[str, TokenRef] | None = None) -> BookSnapshot:
    """Return the book of GET /book in YES terms.

    Args:
        document: The answer.
        tokens: Which outcome the token is; a token not in it is taken as YES.
    """
    token = str(document["asset_id"])
    ref = (tokens or {}).get(token)
    outcome: Outcome = "yes" if ref is None else ref.outcome
    bids, asks = book_levels(_levels(document["bids"]), _levels(document["asks"]), outcome)
    tick = document.get("tick_size")
    return BookSnapshot(
        venue=Venue.POLYMARKET,
        market_id=str(document["market"]) if ref is None else ref.market_id,
        bids=bids,
        asks=asks,
        venue_sent_ms=fixed_point(str(document["timestamp"]), 0) if document.get("timestamp") else None,
        venue_hash=document.get("hash"),
        tick_e4=wire_price_e4(str(tick)) if tick else None,
        payload=document,
    )


def _levels(rows: Any) -> list[BookLevel]:
    return msgspec.convert(rows or [], list[BookLevel])


def has_right_hash(document: Mapping[str, Any]) -> bool:
    """Whether the hash of GET /book fits its levels: nothing was lost between the venue's book and this reading."""
    text = {name: document[name] for name in _HASHED_KEYS if name in document} | {"hash": ""}
    return hashlib.sha1(orjson.dumps(text), usedforsecurity=False).hexdigest() == document.get("hash")


def history_of(document: dict[str, Any], outcome: Outcome, interval_s: int, end_ts: int | None) -> list[Candle]:
    """Return the points of GET /prices-history, YES terms, oldest first.

    The venue appends one point of the present moment to windows of the past: points after `end_ts` are dropped. Of
    several points in one interval the last counts.
    """
    found: dict[int, Candle] = {}
    for point in document.get("history") or []:
        at = int(point["t"])
        if end_ts is not None and at > end_ts:
            continue
        price = (Decimal(plain_decimal(point["p"])) * PRICE_SCALE).to_integral_value(ROUND_HALF_EVEN)
        yes = int(price) if outcome == "yes" else PRICE_ONE_E4 - int(price)
        start = at - at % interval_s
        bucket = datetime.fromtimestamp(start, UTC)
        found[start] = Candle(bucket, interval_s, None, None, None, None, None, yes, None, point)
    return [found[start] for start in sorted(found)]


def clob_market_of(document: dict[str, Any]) -> ClobMarket:
    """Return the terms of GET /clob-markets/{condition_id}."""
    fees = document.get("fd") or {}
    schedule: dict[str, Any] = {}
    if fees.get("r") is not None:
        rate, exponent = plain_decimal(fees["r"]), plain_decimal(fees.get("e", 1))
        schedule = {"rate": rate, "exponent": exponent, "taker_only": bool(fees.get("to", True))}
    delay = document.get("sd")
    return ClobMarket(
        market_id=str(document["c"]),
        tokens=tuple((str(token["t"]), str(token.get("o") or "")) for token in document["t"]),
        tick_e4=scaled_int(plain_decimal(document["mts"]), PRICE_SCALE, "tick"),
        min_size_e6=scaled_int(plain_decimal(document.get("mos") or 5), SIZE_SCALE, "minimum size"),
        is_neg_risk=bool(document.get("nr")),
        is_accepting_orders=bool(document.get("ao", True)),
        fee_schedule=schedule,
        taker_delay_s=None if delay is None else int(delay),
        payload=document,
    )
