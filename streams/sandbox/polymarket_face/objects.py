"""Gamma's and the CLOB's objects, rendered from what the exchange holds."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.polymarket_face.formats import (
    PRICES,
    iso,
    iso_ms,
    list_text,
    number,
    price_number,
    size,
    spaced,
)
from streams.sandbox.records import ListedMarket

_FEE_TYPES = {70_000: "crypto_fees", 50_000: "sports_fees_v3", 40_000: "politics_fees"}


def token_of(listed: ListedMarket, outcome: Outcome) -> str:
    """The token id of an outcome."""
    return listed.market.yes_token if outcome == "yes" else listed.market.no_token


def best(listed: ListedMarket, outcome: Outcome) -> tuple[int, int]:
    """(best bid, best ask) of an outcome's mirrored book; 0 and 10,000 where a side is empty."""
    bid, ask = listed.book.best_bid or 0, listed.book.best_ask or PRICE_ONE_E4
    return (bid, ask) if outcome == "yes" else (PRICE_ONE_E4 - ask, PRICE_ONE_E4 - bid)


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


def clob_market(listed: ListedMarket) -> dict[str, Any]:
    """`GET /clob-markets/{condition}`: short keys; fee keys only on markets with fees."""
    market, schedule = listed.market, listed.schedule
    assert isinstance(schedule, PolymarketFeeSchedule)
    body: dict[str, Any] = {
        "gst": None,
        "r": {"mi": 0, "ma": 0, "moas": 0, "e": False},
        "t": [
            {"t": market.yes_token, "o": market.outcomes[0]},
            {"t": market.no_token, "o": market.outcomes[1]},
        ],
        "c": market.market_id,
        "mos": market.min_size_e6 // 1_000_000,
        "mts": price_number(listed.tick_e4),
        "ao": listed.status == "open",
        "aot": iso(market.open_time),
        "cbos": True,
        "v": "v1",
    }
    if market.is_neg_risk:
        body["nr"] = True
    if schedule.rate_e6:
        fees = {"r": number(schedule.rate_e6), "e": schedule.exponent, "to": schedule.taker_only}
        body |= {"mbf": 1000, "tbf": 1000, "fd": fees}
    return body


def event_slug(listed: ListedMarket) -> str:
    """The event's slug: its own, or made from the title."""
    slug = listed.event.extra.get("slug")
    return str(slug) if slug else re.sub(r"[^a-z0-9]+", "-", listed.event.title.lower()).strip("-")


def gamma_market(listed: ListedMarket, *, with_event: bool) -> dict[str, Any]:
    """One market as Gamma shows it. Keys of empty book sides are left out."""
    market = listed.market
    is_resolved = listed.settlement_e4 is not None
    yes_e4 = listed.settlement_e4 if listed.settlement_e4 is not None else _shown_price(listed)
    volume = number(listed.volume_e6)
    body: dict[str, Any] = {
        "id": market.gamma_id,
        "question": market.title,
        "conditionId": market.market_id,
        "slug": market.slug,
        "resolutionSource": "",
        "endDate": iso(market.close_time),
        "startDate": iso(market.open_time),
        "description": market.rules,
        "outcomes": list_text(market.outcomes),
        "outcomePrices": list_text([PRICES[yes_e4], PRICES[PRICE_ONE_E4 - yes_e4]]),
        "volume": size(listed.volume_e6),
        "volumeNum": volume,
        "volume24hr": volume / 20,
        "liquidity": "0",
        "active": True,
        "closed": is_resolved,
        "archived": False,
        "acceptingOrders": listed.status == "open",
        "enableOrderBook": True,
        "createdAt": iso(market.open_time),
        "updatedAt": iso_ms(listed.updated_ms),
        "groupItemTitle": market.subtitle or market.yes_means,
        "questionID": f"0x{hashlib.sha256(market.market_id.encode()).hexdigest()}",
        "orderPriceMinTickSize": price_number(listed.tick_e4),
        "orderMinSize": market.min_size_e6 // 1_000_000,
        "clobTokenIds": list_text([market.yes_token, market.no_token]),
        "makerBaseFee": 1000,
        "takerBaseFee": 1000,
        "negRisk": market.is_neg_risk,
        "negRiskOther": False,
        "umaResolutionStatuses": "[]",
        "comboStatus": "disabled",
        "version": "v1",
        **_fees(listed),
        **_quotes(listed),
        **_resolution(listed),
        **market.extra,
    }
    if with_event:
        body["events"] = [gamma_event_head(listed)]
    return body


def _shown_price(listed: ListedMarket) -> int:
    bid, ask = listed.book.best_bid, listed.book.best_ask
    if bid is None or ask is None:
        return listed.last_price_e4 or listed.market.start_price_e4
    return (bid + ask) // 2


def _fees(listed: ListedMarket) -> dict[str, Any]:
    schedule = listed.schedule
    assert isinstance(schedule, PolymarketFeeSchedule)
    if not schedule.rate_e6:
        return {"feesEnabled": False, "feeType": None}
    return {
        "feesEnabled": True,
        "feeType": _FEE_TYPES.get(schedule.rate_e6, "general_fees"),
        "feeSchedule": {
            "exponent": schedule.exponent,
            "rate": number(schedule.rate_e6),
            "takerOnly": schedule.taker_only,
            "rebateRate": 0.25,
        },
    }


def _quotes(listed: ListedMarket) -> dict[str, Any]:
    bid, ask = listed.book.best_bid, listed.book.best_ask
    body: dict[str, Any] = {}
    if bid is not None:
        body["bestBid"] = price_number(bid)
    if ask is not None:
        body["bestAsk"] = price_number(ask)
    if bid is not None and ask is not None:
        body["spread"] = price_number(ask - bid)
    if listed.last_price_e4:
        body["lastTradePrice"] = price_number(listed.last_price_e4)
    return body


def _resolution(listed: ListedMarket) -> dict[str, Any]:
    if listed.status == "closed":
        return {"umaResolutionStatus": "proposed", "umaResolutionStatuses": '["proposed"]'}
    if listed.determined_ms is None:
        return {}
    return {
        "umaResolutionStatus": "resolved",
        "umaResolutionStatuses": '["proposed", "resolved"]',
        "closedTime": spaced(listed.determined_ms),
    }


def gamma_event_head(listed: ListedMarket) -> dict[str, Any]:
    """An event without its markets."""
    event = listed.event
    slug = event_slug(listed)
    body: dict[str, Any] = {
        "id": event.event_id,
        "ticker": slug,
        "slug": slug,
        "title": event.title,
        "subtitle": event.subtitle,
        "category": event.category,
        "active": True,
        "archived": False,
        "negRisk": listed.market.is_neg_risk,
        "enableNegRisk": listed.market.is_neg_risk,
        "negRiskAugmented": False,
        "startDate": iso(listed.market.open_time),
        "endDate": iso(listed.market.close_time),
        "updatedAt": iso_ms(listed.updated_ms),
        "version": "v1",
    }
    if event.series_id:
        body["series"] = [{"id": event.series_id, "slug": event.series_id, "ticker": event.series_id}]
    if event.category:
        body["tags"] = [{"id": event.category.lower(), "label": event.category, "slug": event.category.lower()}]
    return {**body, **event.extra}


def gamma_event(markets: list[ListedMarket]) -> dict[str, Any]:
    """An event with its markets (at least one); it is closed when they all are."""
    body = gamma_event_head(markets[0])
    body["closed"] = all(listed.settlement_e4 is not None for listed in markets)
    body["volume"] = sum(number(listed.volume_e6) for listed in markets)
    body["markets"] = [gamma_market(listed, with_event=False) for listed in markets]
    return body
