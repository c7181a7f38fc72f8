"""The Polymarket sandbox as its clients see it: Gamma, CLOB, Data API and both sockets on one port, under prefixes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.engine import LevelChanged
from streams.sandbox.exchange import Exchange
from streams.sandbox.face_faults import FaultySurface
from streams.sandbox.polymarket_face.auth import PolymarketKey, is_signed_by
from streams.sandbox.polymarket_face.clob import ClobRest
from streams.sandbox.polymarket_face.data_api import DataRest, house_wallet, transaction_hash
from streams.sandbox.polymarket_face.formats import PRICES, size
from streams.sandbox.polymarket_face.gamma import GammaRest
from streams.sandbox.polymarket_face.ledger import LedgerRest, maker_entry, order_object
from streams.sandbox.polymarket_face.objects import book_event, event_slug, token_of
from streams.sandbox.polymarket_face.orders import OrderRest
from streams.sandbox.polymarket_face.socket import MarketSession, UserSession
from streams.sandbox.records import LifecycleMoment, ListedMarket, Listener, Ticket, Trade, TradeSide
from streams.sandbox.server import Handler, Request, Response, Router, Session

_HEARTBEAT_LIMIT_MS = 15_000
_OUTCOMES: tuple[Outcome, Outcome] = ("yes", "no")


class PolymarketFace(FaultySurface, Listener):
    """Serves one exchange in Polymarket's words."""

    venue = Venue.POLYMARKET

    def __init__(
        self, exchange: Exchange, keys: dict[str, PolymarketKey], clock: Callable[[], int], commit: Callable[[], None]
    ) -> None:
        super().__init__(exchange)
        self.keys = keys
        self.now_ms = clock
        self.commit = commit
        self.tokens: dict[str, tuple[ListedMarket, Outcome]] = {}
        self.events: dict[str, list[ListedMarket]] = {}
        self.users: dict[UserSession, None] = {}
        self.featured: dict[MarketSession, None] = {}
        self.heartbeats: dict[str, tuple[str, int]] = {}
        self._watchers: dict[str, dict[MarketSession, None]] = {}
        self._router = Router()
        for area in (GammaRest(self), ClobRest(self), OrderRest(self), LedgerRest(self), DataRest(self)):
            area.register(self._router)
        exchange.listeners.append(self)

    # -- HTTP -------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Route one request."""
        found = self._router.find(request.method, request.path)
        if found is None:
            return Response(404, {"error": "not found"})
        handler, arguments = found
        return handler(request, **arguments)

    def signed(self, handler: Callable[..., Response]) -> Handler:
        """Wrap a handler so that it runs only with valid L2 headers. The signed path has no prefix."""

        def checked(request: Request, **arguments: str) -> Response:
            key = self.keys.get(request.headers.get("poly_api_key", ""))
            if key is None or not is_signed_by(key, request, request.path.removeprefix("/clob"), self.now_ms()):
                return Response(401, {"error": "Unauthorized/Invalid api key"})
            return handler(request, key, **arguments)

        return checked

    def open_session(self, request: Request) -> Session | Response:
        """The market socket is open to all; the user socket asks for credentials in its first frame."""
        if request.path == "/ws/market":
            return MarketSession(self)
        if request.path == "/ws/user":
            return UserSession(self)
        return Response(404, {"error": "not found"})

    def tick(self, now_ms: int) -> None:
        """Fire the dead-man switch of accounts whose heartbeat has stopped."""
        for account_id, (_, at_ms) in list(self.heartbeats.items()):
            if now_ms - at_ms > _HEARTBEAT_LIMIT_MS:
                del self.heartbeats[account_id]
                for ticket in self.exchange.open_tickets(account_id):
                    self.exchange.cancel(account_id, ticket.order_id, now_ms)

    # -- market socket ----------------------------------------------------------------------------------------------

    def watch(self, session: MarketSession, tokens: list[str]) -> None:
        """Send a session what happens to these tokens."""
        for token in tokens:
            self._watchers.setdefault(token, {})[session] = None

    def unwatch(self, session: MarketSession, tokens: list[str]) -> None:
        """Stop sending it."""
        for token in tokens:
            self._watchers.get(token, {}).pop(session, None)

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """Placements and cancels are price changes; a match is reported by the books after it and its print."""
        market = listed.market
        yes, no = self._watchers.get(market.yes_token), self._watchers.get(market.no_token)
        if not yes and not no:
            return
        watchers = {**(yes or {}), **(no or {})}
        if trades:
            self._send_books(listed, now_ms)
            for trade in trades:
                frame = orjson.dumps(self._print(trade, listed))
                for session in self._watchers.get(token_of(listed, trade.taker.intent.outcome), ()):
                    session.send(frame)
            return
        for change in changes:
            frame = _price_change(listed, change, now_ms)
            for session in watchers:
                session.send(frame)

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """Index new markets; tell subscribers of ticks and, with custom features on, of listings and resolutions."""
        if moment == "created":
            self.note_listing(listed)
            self._to_featured(_new_market(listed, now_ms))
        elif moment == "determined":
            self._to_featured(_market_resolved(listed, now_ms))
        elif moment == "tick_changed":
            self._tell_tick(listed, now_ms)

    def note_listing(self, listed: ListedMarket) -> None:
        """Index a market by token and event."""
        self.tokens[listed.market.yes_token] = (listed, "yes")
        self.tokens[listed.market.no_token] = (listed, "no")
        self.events.setdefault(listed.market.event_id, []).append(listed)

    def _send_books(self, listed: ListedMarket, now_ms: int) -> None:
        for outcome in _OUTCOMES:
            watchers = self._watchers.get(token_of(listed, outcome))
            if watchers:
                frame = orjson.dumps(book_event(listed, outcome, now_ms))
                for session in watchers:
                    session.send(frame)

    def _tell_tick(self, listed: ListedMarket, now_ms: int) -> None:
        for outcome in _OUTCOMES:
            token = token_of(listed, outcome)
            old = listed.market.price_ranges[0][2]
            body = {
                "event_type": "tick_size_change",
                "market": listed.market_id,
                "asset_id": token,
                "old_tick_size": PRICES[old if old != listed.tick_e4 else 100],
                "new_tick_size": PRICES[listed.tick_e4],
                "timestamp": str(now_ms),
            }
            for session in self._watchers.get(token, ()):
                session.send(orjson.dumps(body))

    def _to_featured(self, body: dict[str, Any]) -> None:
        if self.featured:
            frame = orjson.dumps(body)
            for session in self.featured:
                session.send(frame)

    def _print(self, trade: Trade, listed: ListedMarket) -> dict[str, Any]:
        intent = trade.taker.intent
        return {
            "market": listed.market_id,
            "asset_id": token_of(listed, intent.outcome),
            "price": PRICES[_token_price(trade, intent.outcome)],
            "size": size(trade.size_e6),
            "fee_rate_bps": _fee_rate_bps(listed),
            "side": intent.action.upper(),
            "timestamp": str(trade.at_ms),
            "event_type": "last_trade_price",
            "transaction_hash": transaction_hash(trade.trade_id),
        }

    # -- user socket ------------------------------------------------------------------------------------------------

    def on_ticket(self, ticket: Ticket, listed: ListedMarket, now_ms: int) -> None:
        """An own order was placed, matched or cancelled."""
        if not self.users:
            return
        order = order_object(ticket, listed)
        kind = "CANCELLATION" if ticket.status.startswith("canceled") else "UPDATE" if ticket.filled_e6 else "PLACEMENT"
        body = {
            **order,
            "event_type": "order",
            "type": kind,
            "order_owner": order["owner"],
            "created_at": str(order["created_at"]),
            "timestamp": str(now_ms),
            "associate_trades": order["associate_trades"] or None,
        }
        self._to_user(ticket.request.account_id, listed.market_id, body)

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        """An own trade matched or moved on towards settlement."""
        if not self.users:
            return
        body = {
            **self.trade_object(trade, side, listed),
            "event_type": "trade",
            "type": "TRADE",
            "status": trade.status,
            "timestamp": str(now_ms),
        }
        body["trade_owner"] = body["owner"]
        self._to_user(side.account_id, listed.market_id, body)

    def trade_object(self, trade: Trade, side: TradeSide, listed: ListedMarket) -> dict[str, Any]:
        """One trade as its owner sees it; a maker's own fill is its entry in maker_orders."""
        intent = trade.taker.intent
        taker_owner, taker_address = self._identity(trade.taker)
        maker_owner, maker_address = self._identity(trade.maker)
        is_taker = side is trade.taker
        return {
            "id": trade.trade_id,
            "taker_order_id": trade.taker.order_id if trade.taker.charge else transaction_hash(trade.taker.order_id),
            "market": trade.market_id,
            "asset_id": token_of(listed, intent.outcome),
            "side": intent.action.upper(),
            "size": size(trade.size_e6),
            "fee_rate_bps": _fee_rate_bps(listed),
            "price": PRICES[_token_price(trade, intent.outcome)],
            "status": f"TRADE_STATUS_{trade.status}",
            "match_time": str(trade.at_ms // 1000),
            "match_time_nano": str(trade.at_ms * 1_000_000),
            "last_update": str(trade.status_ms // 1000),
            "outcome": listed.market.outcomes[0 if intent.outcome == "yes" else 1],
            "bucket_index": 0,
            "owner": taker_owner if is_taker else maker_owner,
            "maker_address": taker_address if is_taker else maker_address,
            "transaction_hash": "" if trade.status == "MATCHED" else transaction_hash(trade.trade_id),
            "maker_orders": [maker_entry(trade, listed, maker_owner, maker_address)],
            "trader_side": "TAKER" if is_taker else "MAKER",
        }

    def _identity(self, side: TradeSide) -> tuple[str, str]:
        """(API key, wallet) of one side; the house has made-up ones."""
        for key in self.keys.values():
            if key.account_id == side.account_id:
                return key.api_key, key.address
        digest = hashlib.sha256(side.account_id.encode()).hexdigest()
        owner = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
        return owner, house_wallet(side.account_id)

    def _to_user(self, account_id: str, market_id: str, body: dict[str, Any]) -> None:
        frame = orjson.dumps(body)
        for session in self.users:
            if session.wants(account_id, market_id):
                session.send(frame)


def _token_price(trade: Trade, outcome: Outcome) -> int:
    return trade.price_e4 if outcome == "yes" else PRICE_ONE_E4 - trade.price_e4


def _fee_rate_bps(listed: ListedMarket) -> str:
    schedule = listed.schedule
    return "1000" if isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6 else "0"


def _price_change(listed: ListedMarket, change: LevelChanged, now_ms: int) -> bytes:
    """One frame with the level on both tokens: a bid of one is an ask of the other at 1 - p."""
    bid, ask = change.best_bid or 0, change.best_ask or PRICE_ONE_E4
    market, total = listed.market, size(change.size_after_e6)
    mirrored = PRICE_ONE_E4 - change.price_e4
    buy, sell = ("BUY", "SELL") if change.side == "bid" else ("SELL", "BUY")
    yes = _entry(market.yes_token, PRICES[change.price_e4], total, buy, PRICES[bid], PRICES[ask], now_ms)
    no = _entry(
        market.no_token, PRICES[mirrored], total, sell, PRICES[PRICE_ONE_E4 - ask], PRICES[PRICE_ONE_E4 - bid], now_ms
    )
    return (
        f'{{"market":"{market.market_id}","price_changes":[{yes},{no}],"timestamp":"{now_ms}",'
        f'"event_type":"price_change"}}'
    ).encode()


def _entry(token: str, price: str, total: str, side: str, bid: str, ask: str, now_ms: int) -> str:
    mark = hashlib.sha1(f"{token}{price}{total}{now_ms}".encode(), usedforsecurity=False).hexdigest()
    return (
        f'{{"asset_id":"{token}","price":"{price}","size":"{total}","side":"{side}","hash":"{mark}",'
        f'"best_bid":"{bid}","best_ask":"{ask}"}}'
    )


def _new_market(listed: ListedMarket, now_ms: int) -> dict[str, Any]:
    market = listed.market
    tokens = [market.yes_token, market.no_token]
    slug = event_slug(listed)
    return {
        "event_type": "new_market",
        "id": market.gamma_id,
        "question": market.title,
        "market": market.market_id,
        "slug": market.slug,
        "description": market.rules,
        "assets_ids": tokens,
        "outcomes": list(market.outcomes),
        "event_message": {"id": listed.event.event_id, "ticker": slug, "slug": slug, "title": listed.event.title},
        "timestamp": str(now_ms),
        "tags": [listed.event.category.lower()] if listed.event.category else [],
        "condition_id": market.market_id,
        "active": True,
        "clob_token_ids": tokens,
        "order_price_min_tick_size": PRICES[listed.tick_e4],
        "group_item_title": market.subtitle,
    }


def _market_resolved(listed: ListedMarket, now_ms: int) -> dict[str, Any]:
    market = listed.market
    is_yes = (listed.settlement_e4 or 0) * 2 > PRICE_ONE_E4
    is_split = listed.settlement_e4 not in (0, PRICE_ONE_E4)
    winner = market.yes_token if is_yes else market.no_token
    return {
        "event_type": "market_resolved",
        "id": market.gamma_id,
        "market": market.market_id,
        "assets_ids": [market.yes_token, market.no_token],
        "winning_asset_id": "" if is_split else winner,
        "winning_outcome": "" if is_split else market.outcomes[0 if is_yes else 1],
        "timestamp": str(now_ms),
        "tags": [listed.event.category.lower()] if listed.event.category else [],
    }
