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
from streams.venues.common.decimals import fixed_point, plain_decimal, wire_price_e4
from streams.venues.common.paging import Candle
from streams.venues.common.times import parse_time
from streams.venues.polymarket.market_frames import TokenRef, book_levels
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
# What a marketable order waits on markets flagged `itode`. The changelog says 50 ms since 2026-08-17, notes of October
# 2026 say 150 ms since 2026-09-04: not confirmed, so the longer one is assumed and callers may state another.
CRYPTO_TAKER_DELAY_MS = 150


@dataclass(frozen=True, slots=True)
class ClobMarket:
    """What the CLOB itself says of a market's terms; it goes before Gamma's cached words.

    Attributes:
        version: Which generation of contracts trades it, "v1" or "v2".
        fee_schedule: Rate, exponent and whether only takers pay; {} for a market without fees.
        base_fee_bps: The field of old clients (maker, taker); not what is charged.
        sports_delay_s: How long marketable orders of a sports market are held, None where the venue states none.
        is_taker_delayed: Whether marketable orders of a short crypto or finance market are held.
        game_starts_at: When resting orders of a game's market are cancelled, as the venue plans it.
        accepts_since: When it began to take orders.
    """

    market_id: str
    tokens: tuple[tuple[str, str], ...]
    tick_e4: int
    min_size_e6: int
    is_neg_risk: bool
    is_accepting_orders: bool
    fee_schedule: dict[str, Any]
    base_fee_bps: tuple[int, int]
    sports_delay_s: int | None
    is_taker_delayed: bool
    game_starts_at: datetime | None
    accepts_since: datetime | None
    version: str
    payload: dict[str, Any]

    def taker_delay_ms(self, crypto_delay_ms: int = CRYPTO_TAKER_DELAY_MS) -> int:
        """Return how long a marketable order is held before it matches; it cannot be cancelled in that time.

        Args:
            crypto_delay_ms: What `is_taker_delayed` means today; see `CRYPTO_TAKER_DELAY_MS`.
        """
        held = 0 if self.sports_delay_s is None else self.sports_delay_s * 1000
        return max(held, crypto_delay_ms if self.is_taker_delayed else 0)


@dataclass(frozen=True, slots=True)
class ClobToken:
    """One outcome of a market in the CLOB's lists; `price` is a cached mark, `is_winner` counts once it is resolved."""

    token_id: str
    outcome: str
    price_e4: int
    is_winner: bool


@dataclass(frozen=True, slots=True)
class ClobListing:
    """A market of GET /markets and its shorter lists; terms are None where the list leaves them out."""

    market_id: str
    question: str
    tokens: tuple[ClobToken, ...]
    is_active: bool
    is_closed: bool
    is_archived: bool
    is_accepting_orders: bool
    tick_e4: int | None
    min_size_e6: int | None
    is_neg_risk: bool | None
    end_time: datetime | None
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
        base_fee_bps=(int(document.get("mbf") or 0), int(document.get("tbf") or 0)),
        sports_delay_s=None if delay is None else int(delay),
        is_taker_delayed=bool(document.get("itode")),
        game_starts_at=parse_time(document.get("gst")),
        accepts_since=parse_time(document.get("aot")),
        version=str(document.get("v") or "v1"),
        payload=document,
    )


def clob_listing_of(row: dict[str, Any]) -> ClobListing:
    """Return one market of GET /markets, /simplified-markets or the sampling lists."""
    tick, size = row.get("minimum_tick_size"), row.get("minimum_order_size")
    return ClobListing(
        market_id=str(row["condition_id"]),
        question=str(row.get("question") or ""),
        tokens=tuple(_listed_token(token) for token in row["tokens"]),
        is_active=bool(row.get("active")),
        is_closed=bool(row.get("closed")),
        is_archived=bool(row.get("archived")),
        is_accepting_orders=bool(row.get("accepting_orders")),
        tick_e4=None if tick is None else scaled_int(plain_decimal(tick), PRICE_SCALE, "tick"),
        min_size_e6=None if size is None else scaled_int(plain_decimal(size), SIZE_SCALE, "minimum size"),
        is_neg_risk=None if row.get("neg_risk") is None else bool(row["neg_risk"]),
        end_time=parse_time(row.get("end_date_iso")),
        payload=row,
    )


def _listed_token(token: Mapping[str, Any]) -> ClobToken:
    price = Decimal(plain_decimal(token.get("price") or 0)) * PRICE_SCALE
    return ClobToken(
        str(token["token_id"]),
        str(token.get("outcome") or ""),
        int(price.to_integral_value(ROUND_HALF_EVEN)),
        bool(token.get("winner")),
    )
