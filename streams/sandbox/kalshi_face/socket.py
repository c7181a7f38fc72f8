"""Kalshi's WebSocket: commands, channels, and the sequence numbers that belong to each subscription."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.kalshi_face.formats import DOLLARS, count
from streams.sandbox.records import ListedMarket
from streams.sandbox.server import Socket

if TYPE_CHECKING:
    from streams.sandbox.kalshi_face.auth import KalshiKey
    from streams.sandbox.kalshi_face.face import KalshiFace

PING_INTERVAL_S = 10
_PRIVATE = frozenset({"fill", "user_orders", "market_positions"})
_CHANNELS = _PRIVATE | {"orderbook_delta", "trade", "ticker", "market_lifecycle_v2"}
_SEQUENCED = frozenset({"orderbook_delta", "trade", "market_lifecycle_v2"})
_ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
}


@dataclass(slots=True, eq=False)
class Subscription:
    """One channel of one connection. `tickers` None is all markets; `seq` counts only on sequenced channels."""

    session: KalshiSession
    sid: int
    channel: str
    tickers: dict[str, None] | None
    use_yes_price: bool = False
    seq: int = 0

    def send(self, kind: str, message: bytes) -> None:
        """Send a frame of this subscription; a dropped one has used up its number all the same."""
        numbered = ""
        if self.channel in _SEQUENCED:
            self.seq += 1
            numbered = f',"seq":{self.seq}'
        frame = b'{"type":"%s","sid":%d%s,"msg":%s}' % (kind.encode(), self.sid, numbered.encode(), message)
        self.session.send(frame, self.channel)


@dataclass(slots=True, eq=False)
class KalshiSession:
    """One authenticated connection."""

    face: KalshiFace
    key: KalshiKey
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    _socket: Socket | None = None
    _next_sid: int = 1
    _pinger: asyncio.TimerHandle | None = None

    def on_open(self, socket: Socket) -> None:
        """Start pinging."""
        self._socket = socket
        self.face.watch_faults(socket)
        self._ping()

    def on_close(self) -> None:
        """Forget everything this connection wanted."""
        if self._pinger is not None:
            self._pinger.cancel()
        for subscription in self.subscriptions.values():
            self.face.unsubscribe(subscription, None)
        self.subscriptions.clear()
        self._socket = None

    def on_text(self, text: str) -> None:
        """Carry out a command."""
        try:
            command = orjson.loads(text)
        except ValueError:
            command = None
        if not isinstance(command, dict):
            self._error(0, 1)
            return
        given = command.get("id")
        number = given if isinstance(given, int) else 0
        params = command.get("params") or {}
        handlers = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
            "list_subscriptions": self._list,
        }
        handler = handlers.get(command.get("cmd", ""))
        if handler is None:
            self._error(number, 5)
        else:
            handler(number, params)

    def send(self, text: bytes, channel: str = "") -> None:
        """Send a frame; answers to commands have no channel and no faults."""
        if self._socket is not None:
            self._socket.send(text, channel)

    # -- commands ---------------------------------------------------------------------------------------------------

    def _subscribe(self, number: int, params: dict[str, Any]) -> None:
        channels = params.get("channels")
        if not channels:
            self._error(number, 3 if params else 2)
            return
        tickers = _tickers(params)
        for channel in channels:
            if channel not in _CHANNELS:
                self._error(number, 8)
            elif channel == "orderbook_delta" and not tickers:
                self._error(number, 14)
            else:
                self._open(number, channel, tickers, params)

    def _open(self, number: int, channel: str, tickers: list[str], params: dict[str, Any]) -> None:
        known = next((s for s in self.subscriptions.values() if s.channel == channel), None)
        if known is not None:
            # Markets that are new are added; those already there bring no second snapshot, as at the venue.
            fresh = [t for t in tickers if known.tickers is not None and t not in known.tickers]
            self._add(number, known, fresh)
            return
        wanted = dict.fromkeys(tickers) if tickers and channel != "market_lifecycle_v2" else None
        subscription = Subscription(self, self._next_sid, channel, wanted, bool(params.get("use_yes_price")))
        self._next_sid += 1
        self.subscriptions[subscription.sid] = subscription
        self.send(
            orjson.dumps({"type": "subscribed", "id": number, "msg": {"channel": channel, "sid": subscription.sid}})
        )
        self.face.subscribe(subscription, tickers if wanted is not None else None)
        if channel == "orderbook_delta":
            self._snapshots(subscription, tickers)

    def _add(self, number: int, subscription: Subscription, tickers: list[str]) -> None:
        if subscription.tickers is not None:
            subscription.tickers.update(dict.fromkeys(tickers))
            self.face.subscribe(subscription, tickers)
        self._acknowledge(number, subscription)
        if subscription.channel == "orderbook_delta":
            self._snapshots(subscription, tickers)

    def _unsubscribe(self, number: int, params: dict[str, Any]) -> None:
        sids = params.get("sids")
        if not sids:
            self._error(number, 4)
            return
        for sid in sids:
            subscription = self.subscriptions.pop(sid, None)
            if subscription is None:
                self._error(number, 7)
                continue
            self.face.unsubscribe(subscription, None)
            subscription.seq += 1
            self.send(orjson.dumps({"id": number, "sid": sid, "seq": subscription.seq, "type": "unsubscribed"}))

    def _update(self, number: int, params: dict[str, Any]) -> None:
        sids = [params["sid"]] if "sid" in params else params.get("sids") or []
        if len(sids) != 1:
            self._error(number, 12)
            return
        subscription = self.subscriptions.get(sids[0])
        if subscription is None:
            self._error(number, 7)
            return
        action, tickers = params.get("action"), _tickers(params)
        if not action:
            self._error(number, 15, subscription)
        elif not tickers:
            self._error(number, 14, subscription)
        elif action == "add_markets":
            fresh = [t for t in tickers if subscription.tickers is None or t not in subscription.tickers]
            self._add(number, subscription, fresh)
        elif action == "delete_markets":
            for ticker in tickers:
                if subscription.tickers is not None:
                    subscription.tickers.pop(ticker, None)
            self.face.unsubscribe(subscription, tickers)
            self._acknowledge(number, subscription)
        elif action == "get_snapshot" and subscription.channel == "orderbook_delta":
            self._snapshots(subscription, [t for t in tickers if subscription.tickers and t in subscription.tickers])
        else:
            self._error(number, 13, subscription)

    def _list(self, number: int, params: dict[str, Any]) -> None:
        rows = [{"channel": s.channel, "sid": s.sid} for s in self.subscriptions.values()]
        self.send(orjson.dumps({"id": number, "type": "ok", "msg": rows}))

    # -- frames -----------------------------------------------------------------------------------------------------

    def _acknowledge(self, number: int, subscription: Subscription) -> None:
        frame: dict[str, Any] = {"type": "ok", "id": number, "sid": subscription.sid}
        if subscription.channel in _SEQUENCED:
            subscription.seq += 1
            frame["seq"] = subscription.seq
        self.send(orjson.dumps({**frame, "msg": {"market_tickers": list(subscription.tickers or ())}}))

    def _snapshots(self, subscription: Subscription, tickers: list[str]) -> None:
        for ticker in tickers:
            listed = self.face.exchange.markets.get(ticker)
            if listed is not None:
                subscription.send("orderbook_snapshot", snapshot_message(listed, subscription.use_yes_price))

    def _error(self, number: int, code: int, subscription: Subscription | None = None) -> None:
        frame: dict[str, Any] = {"type": "error", "id": number, "msg": {"code": code, "msg": _ERRORS[code]}}
        if subscription is not None and subscription.channel in _SEQUENCED:
            subscription.seq += 1
            frame |= {"sid": subscription.sid, "seq": subscription.seq}
        self.send(orjson.dumps(frame))

    def _ping(self) -> None:
        if self._socket is None:
            return
        self._socket.ping(b"heartbeat")
        self._pinger = self._socket.loop.call_later(PING_INTERVAL_S, self._ping)


def snapshot_message(listed: ListedMarket, use_yes_price: bool) -> bytes:
    """A snapshot's `msg`: both ladders ascending; an empty side has no key."""
    message: dict[str, Any] = {"market_ticker": listed.market_id, "market_id": market_uuid(listed.market_id)}
    yes = [[DOLLARS[price], count(size)] for price, size in reversed(listed.book.levels("bid"))]
    asks = listed.book.levels("ask")
    if use_yes_price:
        no = [[DOLLARS[price], count(size)] for price, size in asks]
    else:
        no = [[DOLLARS[PRICE_ONE_E4 - price], count(size)] for price, size in reversed(asks)]
    if yes:
        message["yes_dollars_fp"] = yes
    if no:
        message["no_dollars_fp"] = no
    return orjson.dumps(message)


def market_uuid(ticker: str) -> str:
    """A market's UUID as the socket names it: derived from the ticker."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ticker))


def _tickers(params: dict[str, Any]) -> list[str]:
    tickers = list(params.get("market_tickers") or [])
    if params.get("market_ticker"):
        tickers.append(params["market_ticker"])
    return list(dict.fromkeys(str(ticker) for ticker in tickers))
