"""The Kalshi sandbox as its clients see it: routes, authentication, and what goes to which subscription."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from streams.market.identity import Venue
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.engine import LevelChanged
from streams.sandbox.exchange import Exchange
from streams.sandbox.face_faults import FaultySurface
from streams.sandbox.kalshi_face.auth import KalshiKey, authenticate
from streams.sandbox.kalshi_face.errors import nested
from streams.sandbox.kalshi_face.formats import DOLLARS, count, moment, money
from streams.sandbox.kalshi_face.objects import exchange_index, market_object
from streams.sandbox.kalshi_face.orders import OrderRest
from streams.sandbox.kalshi_face.portfolio import PortfolioRest, directions, order_object
from streams.sandbox.kalshi_face.public import PublicRest
from streams.sandbox.kalshi_face.socket import KalshiSession, Subscription, market_uuid
from streams.sandbox.records import LifecycleMoment, ListedMarket, Listener, Ticket, Trade, TradeSide
from streams.sandbox.server import Handler, Request, Response, Router, Session

PREFIX = "/trade-api/v2"
SOCKET_PATH = "/trade-api/ws/v2"
_uuid = lru_cache(maxsize=20_000)(market_uuid)


class KalshiFace(FaultySurface, Listener):
    """Serves one exchange in Kalshi's words."""

    venue = Venue.KALSHI

    def __init__(
        self, exchange: Exchange, keys: dict[str, KalshiKey], clock: Callable[[], int], commit: Callable[[], None]
    ) -> None:
        super().__init__(exchange)
        self.keys = keys
        self.now_ms = clock
        self.commit = commit
        self.events: dict[str, list[ListedMarket]] = {}
        self.series: dict[str, ListedMarket] = {}
        self._client_ids: dict[str, set[str]] = {}
        self._by_market: dict[tuple[str, str], dict[Subscription, None]] = {}
        self._for_all: dict[str, dict[Subscription, None]] = {}
        self._router = Router()
        for area in (PublicRest(self), OrderRest(self), PortfolioRest(self)):
            area.register(self._router)
        exchange.listeners.append(self)

    # -- HTTP -------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Route one request."""
        if not request.path.startswith(PREFIX):
            return nested(404, "not_found")
        found = self._router.find(request.method, request.path[len(PREFIX) :])
        if found is None:
            return nested(404, "not_found")
        handler, arguments = found
        return handler(request, **arguments)

    def signed(self, handler: Callable[..., Response]) -> Handler:
        """Wrap a handler so that it runs only for a valid signature, with the key that made it."""

        def checked(request: Request, **arguments: str) -> Response:
            key = authenticate(request, self.keys, self.now_ms())
            return key if isinstance(key, Response) else handler(request, key, **arguments)

        return checked

    def open_session(self, request: Request) -> Session | Response:
        """Every socket needs a signature on its upgrade."""
        if request.path != SOCKET_PATH:
            return nested(404, "not_found")
        key = authenticate(request, self.keys, self.now_ms())
        if not isinstance(key, Response):
            return KalshiSession(self, key)
        error = key.body["error"]
        if error["code"] == "signature_is_missing_from_headers":
            return Response(401, {"code": "token_authentication_failure"})
        return Response(401, error)

    def client_ids(self, account_id: str) -> set[str]:
        """The client order ids an account has used; canceled orders keep theirs."""
        if account_id not in self._client_ids:
            self._client_ids[account_id] = {
                ticket.request.client_order_id
                for ticket in self.exchange.tickets.values()
                if ticket.request.account_id == account_id and ticket.request.client_order_id
            }
        return self._client_ids[account_id]

    # -- subscriptions ----------------------------------------------------------------------------------------------

    def subscribe(self, subscription: Subscription, tickers: list[str] | None) -> None:
        """Send it what happens in these markets (all when None)."""
        if tickers is None:
            self._for_all.setdefault(subscription.channel, {})[subscription] = None
            return
        for ticker in tickers:
            self._by_market.setdefault((subscription.channel, ticker), {})[subscription] = None

    def unsubscribe(self, subscription: Subscription, tickers: list[str] | None) -> None:
        """Stop sending it these markets (everything when None)."""
        if tickers is None:
            self._for_all.get(subscription.channel, {}).pop(subscription, None)
            tickers = list(subscription.tickers or ())
        for ticker in tickers:
            self._by_market.get((subscription.channel, ticker), {}).pop(subscription, None)

    def _interested(self, channel: str, ticker: str) -> list[Subscription]:
        return [*self._by_market.get((channel, ticker), ()), *self._for_all.get(channel, ())]

    # -- what the exchange reports ------------------------------------------------------------------------------------

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """Deltas and prints."""
        subscriptions = self._interested("orderbook_delta", listed.market_id)
        if subscriptions:
            for change in changes:
                for subscription in subscriptions:
                    own = not change.order.is_house and change.order.account == subscription.session.key.account_id
                    message = _delta(listed.market_id, change, subscription.use_yes_price, own, now_ms)
                    subscription.send("orderbook_delta", message)
        for trade in trades:
            printed = self._interested("trade", listed.market_id)
            if printed:
                message = orjson.dumps(_print(trade))
                for subscription in printed:
                    subscription.send("trade", message)
        tickers = self._interested("ticker", listed.market_id) if trades else ()
        for subscription in tickers:
            subscription.send("ticker", orjson.dumps(_ticker(listed, trades[-1], now_ms)))

    def on_ticket(self, ticket: Ticket, listed: ListedMarket, now_ms: int) -> None:
        """An own order changed."""
        message = orjson.dumps(_user_order(ticket, listed))
        self._to_owner("user_orders", "user_order", ticket.request.account_id, listed.market_id, message)

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        """An own fill, and the position after it."""
        assert side.charge is not None
        ticket = self.exchange.tickets[side.order_id]
        body = {
            "trade_id": trade.trade_id,
            "order_id": side.order_id,
            "client_order_id": ticket.request.client_order_id,
            "market_ticker": listed.market_id,
            "exchange_index": exchange_index(listed),
            "is_taker": side is trade.taker,
            **directions(ticket.request.side),
            "yes_price_dollars": DOLLARS[trade.price_e4],
            "count_fp": count(trade.size_e6),
            "fee_cost": money(side.charge.fee_e6),
            "post_position_fp": count(side.post_position_e6),
            "subaccount": 0,
            "ts": trade.at_ms // 1000,
            "ts_ms": trade.at_ms,
        }
        self._to_owner("fill", "fill", side.account_id, listed.market_id, orjson.dumps(body))
        position = self.exchange.accounts.accounts[side.account_id].position(listed.market_id)
        state = {
            "market_ticker": listed.market_id,
            "position_fp": count(position.yes_e6 - position.no_e6),
            "position_cost_dollars": money(position.yes_cost_e6 + position.no_cost_e6),
            "realized_pnl_dollars": money(position.realized_e6),
            "fees_paid_dollars": money(position.fees_e6),
            "volume_fp": count(position.volume_e6),
            "subaccount": 0,
        }
        self._to_owner("market_positions", "market_position", side.account_id, listed.market_id, orjson.dumps(state))

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """Keep the event index and tell the lifecycle channel; closing has no message, as at the venue."""
        if moment == "created":
            self.note_listing(listed)
        body = _lifecycle(listed, moment, now_ms)
        if body is None:
            return
        message = orjson.dumps({"market_ticker": listed.market_id, **body})
        for subscription in self._for_all.get("market_lifecycle_v2", ()):
            subscription.send("market_lifecycle_v2", message)

    def note_listing(self, listed: ListedMarket) -> None:
        """Index a market by event and series."""
        self.events.setdefault(listed.market.event_id, []).append(listed)
        self.series.setdefault(listed.market.series_id, listed)

    def _to_owner(self, channel: str, kind: str, account_id: str, ticker: str, message: bytes) -> None:
        for subscription in self._interested(channel, ticker):
            if subscription.session.key.account_id == account_id:
                subscription.send(kind, message)


def _delta(ticker: str, change: LevelChanged, use_yes_price: bool, own: bool, now_ms: int) -> bytes:
    is_bid = change.side == "bid"
    price = change.price_e4 if is_bid or use_yes_price else PRICE_ONE_E4 - change.price_e4
    tag = ""
    if own and change.cause != "traded":
        tag = f'"client_order_id":"{change.order.client_order_id}","subaccount":0,'
    return (
        f'{{"market_ticker":"{ticker}","market_id":"{_uuid(ticker)}","price_dollars":"{DOLLARS[price]}",'
        f'"delta_fp":"{count(change.size_change_e6)}","side":"{"yes" if is_bid else "no"}",{tag}'
        f'"ts":"{_moment(now_ms)}","ts_ms":{now_ms}}}'
    ).encode()


_moment = lru_cache(maxsize=16)(moment)


def _print(trade: Trade) -> dict[str, Any]:
    side = "yes" if trade.taker_side == "bid" else "no"
    return {
        "trade_id": trade.trade_id,
        "market_ticker": trade.market_id,
        "yes_price_dollars": DOLLARS[trade.price_e4],
        "no_price_dollars": DOLLARS[PRICE_ONE_E4 - trade.price_e4],
        "count_fp": count(trade.size_e6),
        "taker_side": side,
        "taker_outcome_side": side,
        "taker_book_side": trade.taker_side,
        "is_block_trade": False,
        "ts": trade.at_ms // 1000,
        "ts_ms": trade.at_ms,
    }


def _ticker(listed: ListedMarket, trade: Trade, now_ms: int) -> dict[str, Any]:
    shown = market_object(listed)
    names = (
        "yes_bid_dollars",
        "yes_ask_dollars",
        "volume_fp",
        "open_interest_fp",
        "yes_bid_size_fp",
        "yes_ask_size_fp",
    )
    return {
        "market_id": _uuid(listed.market_id),
        "market_ticker": listed.market_id,
        "price_dollars": DOLLARS[trade.price_e4],
        **{name: shown[name] for name in names},
        "last_trade_size_fp": count(trade.size_e6),
        "ts": now_ms // 1000,
        "ts_ms": now_ms,
        "time": moment(now_ms),
    }


_UPDATE_REASONS = {
    "filled": "Trade",
    "expired": "ExpiryCancel",
    "closed": "CloseCancel",
    "self_trade": "SelfTradeCancel",
}


def _user_order(ticket: Ticket, listed: ListedMarket) -> dict[str, Any]:
    body = order_object(ticket, listed)
    for name in ("type", "no_price_dollars", "action"):
        del body[name]
    body |= {"is_yes": ticket.request.side == "bid", "created_ts_ms": ticket.created_ms}
    if ticket.updated_ms != ticket.created_ms or ticket.filled_e6:
        body["last_updated_ts_ms"] = ticket.updated_ms
        reason = _UPDATE_REASONS.get(ticket.reason, "Trade" if ticket.filled_e6 and not ticket.reason else "")
        if reason:
            body["last_update_reason"] = reason
    return body


def _lifecycle(listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> dict[str, Any] | None:
    market = listed.market
    if moment == "created":
        shown = market_object(listed)
        names = ("title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary", "can_close_early")
        extra = {
            name: shown[name]
            for name in (*names, "event_ticker", "strike_type", "floor_strike", "cap_strike")
            if name in shown
        }
        return {
            "event_type": "created",
            "exchange_index": exchange_index(listed),
            "open_ts": int(market.open_time.timestamp()),
            "close_ts": int(market.close_time.timestamp()),
            "price_level_structure": shown["price_level_structure"],
            "price_ranges": shown["price_ranges"],
            "additional_metadata": {"name": market.yes_means or market.subtitle, **extra},
        }
    if moment == "determined":
        value = DOLLARS[listed.settlement_e4 or 0]
        return {
            "event_type": "determined",
            "result": listed.result,
            "settlement_value": value,
            "determination_ts": now_ms // 1000,
        }
    if moment == "settled":
        return {"event_type": "settled", "settled_ts": now_ms // 1000}
    if moment == "tick_changed":
        shown = market_object(listed)
        return {
            "event_type": "price_level_structure_updated",
            "price_level_structure": shown["price_level_structure"],
            "price_ranges": shown["price_ranges"],
        }
    if listed.closed_ms is not None and listed.closed_ms < market.close_time.timestamp() * 1000 - 1_000:
        return {"event_type": "close_date_updated", "close_ts": now_ms // 1000}
    return None
