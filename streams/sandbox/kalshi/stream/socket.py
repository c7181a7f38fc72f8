"""Kalshi's WebSocket: commands, their responses and errors, pings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from streams.market.identity import Venue
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.schema_drift import with_schema_drift
from streams.sandbox.http.server import Socket
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.formats import market_uuid
from streams.sandbox.kalshi.stream.commands import ERRORS, BadCommand, check_shards, check_underlyings, named_markets
from streams.sandbox.kalshi.stream.messages import snapshot
from streams.sandbox.kalshi.stream.subscriptions import BOOKS, CHANNELS, FILTERED, PRIVATE, Subscription, Subscriptions
from streams.sandbox.kalshi.venue import KalshiVenue


@dataclass(slots=True, eq=False)
class KalshiSession:
    """One authenticated connection.

    Attributes:
        registry: The subscriptions of all connections.
        ticker_body: Renders the ticker's message of a market as it stands at a moment.
        watch_faults: Puts the socket under lags and fault plan.
        subscriptions: The connection's own ones by their id.
    """

    venue: KalshiVenue
    key: KalshiKey
    registry: Subscriptions
    ticker_body: Callable[[ListedMarket, int], dict[str, object]]
    watch_faults: Callable[[Socket], None]
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    _socket: Socket | None = None
    _last_sid: int = 0
    _pinger: asyncio.TimerHandle | None = None
    _second: int = 0
    _commands: int = 0

    @property
    def is_compressible(self) -> bool:
        """As the settings say."""
        return self.venue.settings.compresses

    def on_open(self, socket: Socket) -> None:
        """Start pinging."""
        self._socket = socket
        self.registry.count_connection(self.key.account_id, 1)
        self.watch_faults(socket)
        self._ping()

    def on_close(self) -> None:
        """Drop everything this connection was subscribed to."""
        if self._pinger is not None:
            self._pinger.cancel()
        for subscription in self.subscriptions.values():
            self.registry.remove(subscription, None)
        self.subscriptions.clear()
        if self._socket is not None:
            self.registry.count_connection(self.key.account_id, -1)
        self._socket = None

    def on_text(self, text: str) -> None:
        """Carry out a command."""
        number = 0
        try:
            command = orjson.loads(text)
            if not isinstance(command, dict):
                raise BadCommand(1)
            given = command.get("id")
            number = given if type(given) is int else 0
            self._carry_out(number, command)
        except orjson.JSONDecodeError:
            self._refuse(number, BadCommand(1))
        except BadCommand as error:
            self._refuse(number, error)

    def publish(self, subscription: Subscription, kind: str, message: bytes) -> None:
        """Send a frame of data; who reads too slowly, or by request, loses the subscription instead (25 and 10)."""
        venue, settings, socket = self.venue, self.venue.settings, self._socket
        if socket is not None and socket.unsent_bytes > settings.slow_reader_bytes:
            self._end(subscription, 25)
            return
        faults = venue.exchange.state.faults
        if faults.rules and faults.fires("channel_error", Venue.KALSHI, channel=subscription.channel):
            self._end(subscription, 10)
            return
        numbered = b',"seq":%d' % subscription.number() if subscription.is_numbered else b""
        sent = b',"sending_ts_ms":%d' % venue.now_ms() if settings.sends_sending_ts else b""
        if settings.has_novelties:
            message = orjson.dumps(with_schema_drift(orjson.loads(message)))
        if socket is not None:
            frame = b'{"type":"%s","sid":%d%s%s,"msg":%s}' % (kind.encode(), subscription.sid, numbered, sent, message)
            socket.send(frame, subscription.channel)

    def _end(self, subscription: Subscription, code: int) -> None:
        """End a subscription with an error: 25 for a reader who is too slow, 10 for trouble of the channel's own."""
        if self.subscriptions.pop(subscription.sid, None) is not None:
            self.registry.remove(subscription, None)
            self._refuse(0, BadCommand(code, subscription))

    # -- commands ---------------------------------------------------------------------------------------------------

    def _carry_out(self, number: int, command: dict[str, Any]) -> None:
        self._count_command()
        if self.venue.exchange.state.faults.fires("command_timeout", Venue.KALSHI) is not None:
            raise BadCommand(18)
        name, params = command.get("cmd"), command.get("params")
        if name == "list_subscriptions":
            rows = [{"channel": one.channel, "sid": one.sid} for one in self.subscriptions.values()]
            self._respond(number, {"type": "ok", "msg": rows})
            return
        handlers = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "update_subscription": self._update}
        handler = handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise BadCommand(5)
        if not isinstance(params, dict) or not params:
            raise BadCommand(2)
        handler(number, params)

    def _count_command(self) -> None:
        second = self.venue.now_ms() // 1000
        self._commands = 1 if second != self._second else self._commands + 1
        self._second = second
        if self._commands > self.venue.settings.max_commands_per_s:
            raise BadCommand(27)

    def _subscribe(self, number: int, params: dict[str, Any]) -> None:
        channels = params.get("channels")
        if not channels:
            raise BadCommand(3)
        if not isinstance(channels, list):
            raise BadCommand(11)
        named_markets(params)
        begun: list[tuple[Subscription, list[str]]] = []
        for channel in channels:
            try:
                if not isinstance(channel, str) or channel not in CHANNELS:
                    raise BadCommand(8)
                if channel in PRIVATE and "read" not in self.key.scopes:
                    raise BadCommand(9)
                tickers = self._tickers(params, channel)
                if channel == BOOKS and not tickers:
                    raise BadCommand(14)
                if channel == "communications":
                    check_shards(params)
                begun.append(self._open(number, channel, tickers, params))
            except BadCommand as error:
                self._refuse(number, error)
        # Every channel is acknowledged before the first one begins, as recorded.
        for subscription, fresh in begun:
            self._start(subscription, fresh, params)

    def _open(
        self, number: int, channel: str, tickers: list[str], params: dict[str, Any]
    ) -> tuple[Subscription, list[str]]:
        """Acknowledge a channel; the subscription with the markets that are new to it."""
        known = next((one for one in self.subscriptions.values() if one.channel == channel), None)
        if known is not None:
            # Markets that are new are added; those already there bring no second snapshot, as at the venue.
            return known, self._add(number, known, tickers)
        self._check_room(channel, len(tickers), None)
        filtered = dict.fromkeys(tickers) if tickers and channel in FILTERED else None
        default = self.venue.settings.default_use_yes_price
        self._last_sid += 1
        subscription = Subscription(
            self, self.key.account_id, self._last_sid, channel, filtered, bool(params.get("use_yes_price", default)),
            is_by_id="market_id" in params or "market_ids" in params, is_terse=bool(params.get("skip_ticker_ack")),
        )  # fmt: skip
        self.subscriptions[subscription.sid] = subscription
        self._respond(number, {"type": "subscribed", "msg": {"channel": channel, "sid": subscription.sid}})
        self.registry.add(subscription, None if filtered is None else tickers)
        return subscription, tickers

    def _add(self, number: int, subscription: Subscription, tickers: list[str]) -> list[str]:
        """Take markets into a subscription and acknowledge; those that are new to it."""
        held = subscription.tickers
        fresh = [ticker for ticker in tickers if held is not None and ticker not in held]
        self._check_room(subscription.channel, len(fresh), subscription)
        if held is not None:
            held.update(dict.fromkeys(fresh))
            self.registry.add(subscription, fresh)
        self._acknowledge(number, subscription)
        return fresh

    def _start(self, subscription: Subscription, tickers: list[str], params: dict[str, Any]) -> None:
        """Send what new markets of a subscription begin with."""
        if subscription.channel == BOOKS:
            self._snapshots(subscription, tickers)
        elif subscription.channel == "ticker" and params.get("send_initial_snapshot"):
            for ticker in tickers:
                listed = self.venue.exchange.state.markets.get(ticker)
                if listed is not None:
                    body = self.ticker_body(listed, self.venue.now_ms())
                    self.publish(subscription, "ticker", orjson.dumps(body))

    def _unsubscribe(self, number: int, params: dict[str, Any]) -> None:
        sids = params.get("sids")
        if not sids:
            raise BadCommand(4)
        if not isinstance(sids, list):
            raise BadCommand(11)
        for sid in sids:
            subscription = self.subscriptions.pop(sid, None) if type(sid) is int else None
            if subscription is None:
                self._refuse(number, BadCommand(7))
                continue
            self.registry.remove(subscription, None)
            self._respond(number, {"sid": sid, "seq": subscription.number(), "type": "unsubscribed"})

    def _update(self, number: int, params: dict[str, Any]) -> None:
        subscription = self._named(params)
        action = params.get("action")
        if not action:
            raise BadCommand(15, subscription)
        if subscription.channel == "pyth_value":
            self._update_underlyings(number, subscription, params)
            return
        tickers = self._tickers(params, subscription.channel)
        if action not in ("add_markets", "delete_markets", "get_snapshot") or subscription.channel not in FILTERED:
            raise BadCommand(13, subscription)
        if not tickers:
            raise BadCommand(14, subscription)
        if action == "add_markets":
            self._start(subscription, self._add(number, subscription, tickers), params)
        elif action == "delete_markets":
            held = subscription.tickers if subscription.tickers is not None else {}
            for ticker in tickers:
                held.pop(ticker, None)
            self.registry.remove(subscription, tickers)
            self._acknowledge(number, subscription)
        elif subscription.channel == BOOKS:
            self._snapshots(subscription, [one for one in tickers if one in (subscription.tickers or ())])
        else:
            raise BadCommand(13, subscription)

    def _update_underlyings(self, number: int, subscription: Subscription, params: dict[str, Any]) -> None:
        check_underlyings(params["action"], params, subscription)
        frame: dict[str, Any] = {"type": "ok", "sid": subscription.sid, "seq": subscription.number(), "msg": {}}
        if params["action"] == "underlying_list":
            frame |= {"type": "pyth_value_underlying_list", "msg": {"underlying_tickers": []}}
        self._respond(number, frame)

    def _named(self, params: dict[str, Any]) -> Subscription:
        sids = params.get("sids") or []
        if not isinstance(sids, list):
            raise BadCommand(11)
        named = [params["sid"], *sids] if "sid" in params else sids
        if len(named) != 1:
            raise BadCommand(12)
        subscription = self.subscriptions.get(named[0]) if type(named[0]) is int else None
        if subscription is None:
            raise BadCommand(7)
        return subscription

    def _tickers(self, params: dict[str, Any], channel: str) -> list[str]:
        """The markets a command names; only the ticker channel takes them by their UUIDs."""
        named, ids = named_markets(params)
        if ids and channel in FILTERED and channel != "ticker":
            raise BadCommand(14 if channel == BOOKS else 11)
        return list(dict.fromkeys([*named, *(self.venue.tickers[name] for name in ids if name in self.venue.tickers)]))

    def _check_room(self, channel: str, more: int, subscription: Subscription | None) -> None:
        if channel != BOOKS:
            return
        held = sum(len(one.tickers or ()) for one in self.subscriptions.values() if one.channel == BOOKS)
        if held + more > self.venue.settings.max_markets_per_session:
            raise BadCommand(26, subscription)

    # -- frames -----------------------------------------------------------------------------------------------------

    def _respond(self, number: int, frame: dict[str, Any]) -> None:
        if self._socket is not None:
            self._socket.send(orjson.dumps({"id": number, **frame} if number else frame))

    def _acknowledge(self, number: int, subscription: Subscription) -> None:
        frame: dict[str, Any] = {"type": "ok", "sid": subscription.sid}
        if subscription.is_numbered:
            frame["seq"] = subscription.number()
        tickers = list(subscription.tickers or ())
        if subscription.is_terse:
            frame["msg"] = {}
        elif subscription.is_by_id:
            frame["msg"] = {"market_ids": [market_uuid(ticker) for ticker in tickers]}
        else:
            frame["msg"] = {"market_tickers": tickers}
        self._respond(number, frame)

    def _snapshots(self, subscription: Subscription, tickers: list[str]) -> None:
        for ticker in tickers:
            listed = self.venue.exchange.state.markets.get(ticker)
            if listed is not None:
                self.publish(subscription, "orderbook_snapshot", snapshot(listed, subscription.use_yes_price))

    def _refuse(self, number: int, error: BadCommand) -> None:
        frame: dict[str, Any] = {"type": "error"}
        subscription = error.subscription
        if subscription is not None:
            frame["sid"] = subscription.sid
            if subscription.is_numbered:
                frame["seq"] = subscription.number()
        self._respond(number, {**frame, "msg": {"code": error.code, "msg": ERRORS[error.code]}})

    def _ping(self) -> None:
        if self._socket is None:
            return
        self._socket.ping(b"heartbeat")
        self._pinger = self._socket.loop.call_later(self.venue.settings.ping_interval_s, self._ping)
