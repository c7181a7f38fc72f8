"""Polymarket's books and price histories of REST responses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

import msgspec

from streams.market.errors import InvalidAmount
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE
from streams.venues.common.decimals import plain_decimal, wire_ms, wire_price_e4, wire_seconds
from streams.venues.common.listed_fields import flag, id_as_asked, lag_s, ornament, stated_flag
from streams.venues.common.paging import Candle
from streams.venues.common.times import parse_time
from streams.venues.polymarket.market_frames import TokenRef, book_levels
from streams.venues.polymarket.wire import BookLevel

_LONGEST_DELAY_S = 10
"""Known are 1 and 3."""


def book_of(document: dict[str, Any], tokens: Mapping[str, TokenRef] | None = None) -> BookSnapshot:
    """Return a book of POST /books in YES terms.

    Args:
        document: The answer.
        tokens: Which outcome the token is; without it every token is taken as YES.

    Raises:
        KeyError, InvalidAmount, ...: If it is no book, or one of another token or market than `tokens` has.
    """
    token, market_id = _id_of(document, "asset_id"), _id_of(document, "market")
    ref = None if tokens is None else tokens.get(token)
    if tokens is not None and (ref is None or ref.market_id.lower() != market_id.lower()):
        raise InvalidAmount(f"a book of a token that is not known in its market: {token[:80]!r}")
    outcome: Outcome = "yes" if ref is None else ref.outcome
    bids, asks = book_levels(_levels(document["bids"]), _levels(document["asks"]), outcome)
    tick = document.get("tick_size")
    return BookSnapshot(
        venue=Venue.POLYMARKET,
        market_id=market_id if ref is None else ref.market_id,
        bids=bids,
        asks=asks,
        venue_sent_ms=wire_ms(document.get("timestamp")),
        venue_hash=ornament(document, "hash") or None,
        tick_e4=wire_price_e4(str(tick)) if tick else None,
        payload=document,
    )


def _levels(rows: Any) -> list[BookLevel]:
    return msgspec.convert(rows, list[BookLevel])


def _id_of(document: dict[str, Any], name: str) -> str:
    value = document[name]
    if not isinstance(value, str) or not value:
        raise InvalidAmount(f"{name} is no id")
    return value


class TakerDelay(NamedTuple):
    """How a market holds back orders that take: seconds of a sports market, and whether for the venue's usual time."""

    sports_s: int
    is_held: bool


def taker_delay_of(document: dict[str, Any], market_id: str) -> TakerDelay:
    """Return the delays in an answer of GET /clob-markets.

    Raises:
        KeyError, InvalidAmount: If it is of another market, or a delay that no order is held back for.
    """
    id_as_asked(document, "c", market_id)
    sports_s = lag_s(document.get("sd") or 0)
    if sports_s > _LONGEST_DELAY_S:
        raise InvalidAmount(f"a delay of {sports_s} s")
    return TakerDelay(sports_s, flag(document, "itode", default=False))


class ClobMarket(NamedTuple):
    """What the venue's engine goes by for a market.

    Attributes:
        is_accepting: It takes orders.
        tick_e4: The step of its prices.
        fees: Its fee schedule (JSON, as `streams.market.fees` reads it); a market without fees states a rate of 0.
        game_starts_at: When its game starts, None where it is about none.
        delay: How it holds back orders that take.
    """

    is_accepting: bool
    tick_e4: int
    fees: dict[str, Any]
    game_starts_at: datetime | None
    delay: TakerDelay


def clob_market_of(document: dict[str, Any], market_id: str) -> ClobMarket:
    """Return an answer of GET /clob-markets.

    Raises:
        KeyError, InvalidAmount: If it is of another market, or what money hangs on cannot be read.
    """
    delay, fees = taker_delay_of(document, market_id), document.get("fd")
    if fees is None and document.get("tbf"):
        raise InvalidAmount("a market with fees and no schedule")
    schedule: dict[str, Any] = {"rate": "0"}
    if fees is not None:
        exponent = plain_decimal(fees.get("e", 1))
        schedule = {
            "rate": plain_decimal(fees["r"]),
            "exponent": exponent,
            "taker_only": flag(fees, "to", default=True),
        }
    return ClobMarket(
        is_accepting=stated_flag(document, "ao"),
        tick_e4=wire_price_e4(str(document["mts"])),
        fees=schedule,
        game_starts_at=parse_time(document.get("gst")),
        delay=delay,
    )


class HistoryPoint(NamedTuple):
    """One point of a price history: its time in Unix seconds, the token's price, and the venue's JSON."""

    at_s: int
    price_e4: int
    payload: dict[str, Any]


def history_point(document: dict[str, Any]) -> HistoryPoint:
    """Return one point of GET /prices-history; raises KeyError or InvalidAmount where it is none."""
    price = int((Decimal(plain_decimal(document["p"])) * PRICE_SCALE).to_integral_value(ROUND_HALF_EVEN))
    if not 0 <= price <= PRICE_ONE_E4:
        raise InvalidAmount(f"price out of range: {price}")
    at_s = wire_seconds(document["t"])
    return HistoryPoint(at_s, price, document)


def history_of(points: Iterable[HistoryPoint], outcome: Outcome, interval_s: int, end_ts: int | None) -> list[Candle]:
    """Return the points of GET /prices-history, YES terms, oldest first.

    The venue appends one point of the present moment to windows of the past: points after `end_ts` are dropped. Of
    several points in one interval the last counts.
    """
    found: dict[int, Candle] = {}
    for at, price, payload in points:
        if end_ts is not None and at > end_ts:
            continue
        yes = price if outcome == "yes" else PRICE_ONE_E4 - price
        start = at - at % interval_s
        bucket = datetime.fromtimestamp(start, UTC)
        found[start] = Candle(bucket, interval_s, None, None, None, None, None, yes, None, payload)
    return [found[start] for start in sorted(found)]
