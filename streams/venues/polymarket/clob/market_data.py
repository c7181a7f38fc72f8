"""Polymarket's books and price histories of REST responses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from streams.market.events import BookSnapshot
from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE
from streams.venues.common.decimals import fixed_point, plain_decimal, wire_price_e4
from streams.venues.common.paging import Candle
from streams.venues.polymarket.market_frames import TokenRef, book_levels
from streams.venues.polymarket.wire import BookLevel


def book_of(document: dict[str, Any], tokens: Mapping[str, TokenRef] | None = None) -> BookSnapshot:
    """Return a book of POST /books in YES terms.

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
