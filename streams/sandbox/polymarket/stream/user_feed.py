"""The user socket's frames: own orders as they are placed, matched and cancelled, own trades step by step."""

from __future__ import annotations

from typing import Any, Protocol

import orjson

from streams.sandbox.core.records import ListedMarket, Listener, OrderRecord, OrderRequest, Trade, TradeSide
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.clob.refusals import UNMATCHED_FAK
from streams.sandbox.polymarket.formats import PRICES, size
from streams.sandbox.polymarket.own_objects import order_object, trade_object
from streams.sandbox.polymarket.stream.market_feed import Subscriber


class UserSubscriber(Subscriber, Protocol):
    """The end of a logged-in socket."""

    def wants(self, account_id: str, market_id: str) -> bool:
        """Whether an event of that account in that market is for it."""


class UserFeed(Listener):
    """Every logged-in user socket. The two kinds of events have no order among each other."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.subscribers: dict[UserSubscriber, None] = {}

    def on_order(self, record: OrderRecord, listed: ListedMarket, now_ms: int) -> None:
        """PLACEMENT when it appears, UPDATE for every match, CANCELLATION when it ends unfilled."""
        if not self.subscribers:
            return
        if record.reason == "immediate" and not record.filled_e6:
            self.publish_kill(record.request, listed, UNMATCHED_FAK, now_ms)
            return
        order = order_object(record, listed)
        body = {
            **order,
            "event_type": "order",
            "type": _kind(record),
            "order_owner": order["owner"],
            "created_at": str(order["created_at"]),
            "timestamp": str(now_ms),
            "associate_trades": order["associate_trades"] or None,
        }
        self._send(record.request.account_id, listed.market_id, body)

    def publish_kill(self, request: OrderRequest, listed: ListedMarket, reason: str, now_ms: int) -> None:
        """A fill-or-kill order that was killed: a cancellation with the reason in its status and empty amounts."""
        extra = request.extra
        body = {
            "id": request.order_id,
            "owner": extra["owner"],
            "market": request.market_id,
            "asset_id": extra["token"],
            "side": request.intent.action.upper(),
            "order_owner": extra["owner"],
            "original_size": size(request.size_e6),
            "size_matched": "",
            "price": PRICES[extra["price"]],
            "associate_trades": [],
            "outcome": "",
            "type": "CANCELLATION",
            "created_at": "",
            "expiration": extra["expiration"],
            "order_type": extra["kind"],
            "status": f"CANCELED_{reason}",
            "maker_address": extra["maker"],
            "timestamp": str(now_ms),
            "event_type": "order",
        }
        self._send(request.account_id, listed.market_id, body)

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        """A trade matched or moved on towards settlement; one event per step, with the same id."""
        if not self.subscribers:
            return
        record = self._exchange.state.orders.get(side.order_id)
        body = {
            **trade_object(self._exchange, trade, side, listed),
            "event_type": "trade",
            "type": "TRADE",
            "timestamp": str(now_ms),
            "trade_owner": record.request.extra["owner"] if record is not None else "",
        }
        self._send(side.account_id, listed.market_id, body)

    def _send(self, account_id: str, market_id: str, body: dict[str, Any]) -> None:
        frame = orjson.dumps(body)
        for subscriber in self.subscribers:
            if subscriber.wants(account_id, market_id):
                subscriber.send(frame)


def _kind(record: OrderRecord) -> str:
    if record.status.startswith("canceled"):
        return "CANCELLATION"
    return "UPDATE" if record.filled_e6 else "PLACEMENT"
