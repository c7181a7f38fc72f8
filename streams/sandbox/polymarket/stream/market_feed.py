"""The market socket's frames: books, price changes, prints, ticks, and the events of `custom_feature_enabled`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any, Protocol

import orjson

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.records import LifecycleMoment, ListedMarket, Listener, Trade
from streams.sandbox.polymarket.formats import PRICES, decimal_text, size
from streams.sandbox.polymarket.objects import (
    best,
    book_event,
    event_number,
    event_slug,
    tag_slugs,
    token_of,
)
from streams.sandbox.polymarket.own_objects import fee_rate_bps, price_of, transaction_hash
from streams.sandbox.polymarket.settings import PolymarketVenueSettings

_OUTCOMES: tuple[Outcome, Outcome] = ("yes", "no")


class Subscriber(Protocol):
    """The end of a socket that frames are sent to."""

    def send(self, frame: bytes) -> None:
        """Send one frame."""


class MarketFeed(Listener):
    """Who watches which token, and what is published to them."""

    def __init__(self, settings: PolymarketVenueSettings) -> None:
        self._settings = settings
        self.featured: dict[Subscriber, None] = {}
        self._watchers: dict[str, dict[Subscriber, None]] = {}
        self._tops: dict[str, tuple[int | None, int | None]] = {}
        self._ticks: dict[str, int] = {}

    def watch(self, subscriber: Subscriber, tokens: list[str]) -> None:
        """Send a subscriber what happens to these tokens."""
        for token in tokens:
            self._watchers.setdefault(token, {})[subscriber] = None

    def unwatch(self, subscriber: Subscriber, tokens: list[str]) -> None:
        """Stop sending it."""
        for token in tokens:
            watchers = self._watchers.get(token, {})
            watchers.pop(subscriber, None)
            if not watchers:
                self._watchers.pop(token, None)

    def feature(self, subscriber: Subscriber, *, is_on: bool) -> None:
        """Switch a subscriber's custom features on or off."""
        if is_on:
            self.featured[subscriber] = None
        else:
            self.featured.pop(subscriber, None)

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """Placements and cancels are price changes; a match is reported by the books after it and its print."""
        watchers = self._watchers_of(listed)
        if not watchers:
            return
        if trades:
            self._send_books(listed, now_ms)
            for trade in trades:
                frame = orjson.dumps(_print(trade, listed))
                _send(self._watchers.get(token_of(listed, trade.taker.intent.outcome), ()), frame)
        if not trades or self._settings.match_sends_price_change:
            for change in changes:
                _send(watchers, _price_change(listed, change, now_ms))
        if self.featured and self._tops.get(listed.market_id) != listed.quoted:
            self._tops[listed.market_id] = listed.quoted
            self._send_tops(listed, now_ms)

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """Ticks go to who watches the token; listings and resolutions to everybody with custom features on."""
        if moment == "created":
            self._ticks[listed.market_id] = listed.tick_e4
            _send_featured(self.featured, _new_market(listed, self._settings, now_ms))
        elif moment == "determined":
            is_wide = self._settings.resolved_is_venue_wide
            watchers = self._watchers_of(listed)
            concerned = [subscriber for subscriber in self.featured if is_wide or subscriber in watchers]
            _send_featured(concerned, _market_resolved(listed, now_ms))
        elif moment == "tick_changed":
            self._publish_tick(listed, now_ms)

    def on_evicted(self, listed: ListedMarket) -> None:
        """Drop what is known of a market."""
        self._ticks.pop(listed.market_id, None)
        self._tops.pop(listed.market_id, None)

    def _watchers_of(self, listed: ListedMarket) -> dict[Subscriber, None]:
        """Who watches one of a market's tokens."""
        yes, no = self._watchers.get(listed.market.yes_token), self._watchers.get(listed.market.no_token)
        return {**(yes or {}), **(no or {})}

    def _send_books(self, listed: ListedMarket, now_ms: int) -> None:
        for outcome in _OUTCOMES:
            watchers = self._watchers.get(token_of(listed, outcome))
            if watchers:
                _send(watchers, orjson.dumps(book_event(listed, outcome, now_ms)))

    def _send_tops(self, listed: ListedMarket, now_ms: int) -> None:
        for outcome in _OUTCOMES:
            token = token_of(listed, outcome)
            watchers = [one for one in self._watchers.get(token, ()) if one in self.featured]
            if watchers:
                bid, ask = best(listed, outcome)
                body = {
                    "event_type": "best_bid_ask",
                    "market": listed.market_id,
                    "asset_id": token,
                    "best_bid": PRICES[bid],
                    "best_ask": PRICES[ask],
                    "spread": PRICES[ask - bid],
                    "timestamp": str(now_ms),
                }
                _send(watchers, orjson.dumps(body))

    def _publish_tick(self, listed: ListedMarket, now_ms: int) -> None:
        old = self._ticks.get(listed.market_id, listed.market.price_ranges[0][2])
        self._ticks[listed.market_id] = listed.tick_e4
        for outcome in _OUTCOMES:
            token = token_of(listed, outcome)
            body = {
                "event_type": "tick_size_change",
                "market": listed.market_id,
                "asset_id": token,
                "old_tick_size": PRICES[old],
                "new_tick_size": PRICES[listed.tick_e4],
                "timestamp": str(now_ms),
            }
            _send(self._watchers.get(token, ()), orjson.dumps(body))


def _send(subscribers: Iterable[Subscriber], frame: bytes) -> None:
    for subscriber in list(subscribers):
        subscriber.send(frame)


def _send_featured(subscribers: Collection[Subscriber], body: dict[str, Any]) -> None:
    if subscribers:
        _send(subscribers, orjson.dumps(body))


def _print(trade: Trade, listed: ListedMarket) -> dict[str, Any]:
    intent = trade.taker.intent
    return {
        "market": listed.market_id,
        "asset_id": token_of(listed, intent.outcome),
        "price": PRICES[price_of(trade, intent.outcome)],
        "size": size(trade.size_e6),
        "fee_rate_bps": fee_rate_bps(listed),
        "side": intent.action.upper(),
        "timestamp": str(trade.at_ms),
        "event_type": "last_trade_price",
        "transaction_hash": transaction_hash(trade.trade_id),
    }


def _price_change(listed: ListedMarket, change: LevelChanged, now_ms: int) -> bytes:
    """One frame with the level on both tokens: a bid of one is an ask of the other at 1 - p."""
    bid, ask = change.best_bid or 0, change.best_ask or PRICE_ONE_E4
    market, total = listed.market, size(change.size_after_e6)
    buy, sell = ("BUY", "SELL") if change.side == "bid" else ("SELL", "BUY")
    prices = (PRICES[change.price_e4], PRICES[bid], PRICES[ask])
    mirrored = (
        PRICES[PRICE_ONE_E4 - change.price_e4], PRICES[PRICE_ONE_E4 - ask], PRICES[PRICE_ONE_E4 - bid],
    )  # fmt: skip
    yes = _entry(market.yes_token, prices, total, buy, now_ms)
    no = _entry(market.no_token, mirrored, total, sell, now_ms)
    return (
        f'{{"market":"{market.market_id}","price_changes":[{yes},{no}],"timestamp":"{now_ms}",'
        f'"event_type":"price_change"}}'
    ).encode()


def _entry(token: str, prices: tuple[str, str, str], total: str, side: str, now_ms: int) -> str:
    """The level on one token; `prices` are its own, the best bid and the best ask."""
    price, bid, ask = prices
    mark = hashlib.sha1(f"{token}{price}{total}{now_ms}".encode(), usedforsecurity=False).hexdigest()
    return (
        f'{{"asset_id":"{token}","price":"{price}","size":"{total}","side":"{side}","hash":"{mark}",'
        f'"best_bid":"{bid}","best_ask":"{ask}"}}'
    )


def _new_market(listed: ListedMarket, settings: PolymarketVenueSettings, now_ms: int) -> dict[str, Any]:
    market = listed.market
    body: dict[str, Any] = {
        "event_type": "new_market",
        "id": market.gamma_id,
        "question": market.title,
        "market": market.market_id,
        "slug": market.slug,
        "description": market.rules,
        "assets_ids": [market.yes_token, market.no_token],
        "outcomes": list(market.outcomes),
        "event_message": _event_message(listed),
        "timestamp": str(now_ms),
        "tags": tag_slugs(listed),
        "condition_id": market.market_id,
        "active": True,
        "clob_token_ids": [market.yes_token, market.no_token],
        "sports_market_type": str(market.extra.get("sportsMarketType", "")),
        "line": str(market.extra.get("line", "")),
        "game_start_time": str(market.extra.get("gameStartTime", "")),
        "order_price_min_tick_size": PRICES[listed.tick_e4],
        "group_item_title": market.subtitle,
    }
    schedule = listed.schedule
    if isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6:
        fees = {
            "exponent": str(schedule.exponent),
            "rate": decimal_text(schedule.rate_e6, 6),
            "taker_only": schedule.taker_only,
            "rebate_rate": settings.rebate_rate,
        }
        body |= {"taker_base_fee": "1000", "fees_enabled": True, "fee_schedule": fees}
    return body


def _event_message(listed: ListedMarket) -> dict[str, str]:
    slug = event_slug(listed)
    return {
        "id": event_number(listed.event.event_id),
        "ticker": slug,
        "slug": slug,
        "title": listed.event.title,
        "description": listed.market.rules,
    }


def _market_resolved(listed: ListedMarket, now_ms: int) -> dict[str, Any]:
    market = listed.market
    is_yes = (listed.settlement_e4 or 0) * 2 > PRICE_ONE_E4
    is_split = listed.settlement_e4 not in (0, PRICE_ONE_E4)
    return {
        "event_type": "market_resolved",
        "id": market.gamma_id,
        "market": market.market_id,
        "assets_ids": [market.yes_token, market.no_token],
        "winning_asset_id": "" if is_split else market.yes_token if is_yes else market.no_token,
        "winning_outcome": "" if is_split else market.outcomes[0 if is_yes else 1],
        "timestamp": str(now_ms),
        "tags": tag_slugs(listed),
    }
