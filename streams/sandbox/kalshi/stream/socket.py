"""Kalshi's WebSocket: commands, their answers and errors, pings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from streams.sandbox.http.server import Socket
from streams.sandbox.kalshi.identity import market_uuid
from streams.sandbox.kalshi.stream.commands import ERRORS, BadCommand, check_shards, check_underlyings, named_markets
from streams.sandbox.kalshi.stream.messages import snapshot
from streams.sandbox.kalshi.stream.subscription import BOOKS, CHANNELS, FILTERED, PRIVATE, Subscription

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey


@dataclass(slots=True, eq=False)
class KalshiSession:
    """One authenticated connection."""

    face: KalshiFace
    key: KalshiKey
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    _socket: Socket | None = None
    _last_sid: int = 0
    _pinger: asyncio.TimerHandle | None = None
    _second: int = 0
    _commands: int = 0

    @property
    def is_compressible(self) -> bool:
        """As the settings say."""
        return self.face.settings.compresses

    def on_open(self, socket: Socket) -> None:
        """Start pinging."""
        self._socket = socket
        self.face.hub.connected(self.key.account_id, 1)
        self.face.watch_faults(socket)
        self._ping()

    def on_close(self) -> None:
        """Forget everything this connection wanted."""
        if self._pinger is not None:
            self._pinger.cancel()
        for subscription in self.subscriptions.values():
            self.face.hub.unsubscribe(subscription, None)
        self.subscriptions.clear()
        if self._socket is not None:
            self.face.hub.connected(self.key.account_id, -1)
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

    def send(self, text: bytes, channel: str = "") -> None:
        """Send a frame; answers to commands have no channel and no faults."""
        if self._socket is not None:
            self._socket.send(text, channel)

    @property
    def is_too_slow(self) -> bool:
        """Whether more than the venue buffers waits to be read."""
        return self._socket is not None and self._socket.unsent_bytes > self.face.settings.slow_reader_bytes

    def end(self, subscription: Subscription, code: int) -> None:
        """End a subscription with an error: 25 for a reader who is too slow, 10 for trouble of the channel's own."""
        if self.subscriptions.pop(subscription.sid, None) is not None:
            self.face.hub.unsubscribe(subscription, None)
            self._refuse(0, BadCommand(code, subscription))

    # -- commands ---------------------------------------------------------------------------------------------------

    def _carry_out(self, number: int, command: dict[str, Any]) -> None:
        self._count_command()
        if self.face.exchange.faults.fires("command_timeout", self.face.venue) is not None:
            raise BadCommand(18)
        name, params = command.get("cmd"), command.get("params")
        if name == "list_subscriptions":
            rows = [{"channel": one.channel, "sid": one.sid} for one in self.subscriptions.values()]
            self._answer(number, {"type": "ok", "msg": rows})
            return
        handlers = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "update_subscription": self._update}
        handler = handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise BadCommand(5)
        if not isinstance(params, dict) or not params:
            raise BadCommand(2)
        handler(number, params)

    def _count_command(self) -> None:
        second = self.face.now_ms() // 1000
        self._commands = 1 if second != self._second else self._commands + 1
        self._second = second
        if self._commands > self.face.settings.max_commands_per_s:
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
        wanted = dict.fromkeys(tickers) if tickers and channel in FILTERED else None
        default = self.face.settings.default_use_yes_price
        self._last_sid += 1
        subscription = Subscription(
            self, self._last_sid, channel, wanted, bool(params.get("use_yes_price", default)),
            is_by_id="market_id" in params or "market_ids" in params, is_terse=bool(params.get("skip_ticker_ack")),
        )  # fmt: skip
        self.subscriptions[subscription.sid] = subscription
        self._answer(number, {"type": "subscribed", "msg": {"channel": channel, "sid": subscription.sid}})
        self.face.hub.subscribe(subscription, None if wanted is None else tickers)
        return subscription, tickers

    def _add(self, number: int, subscription: Subscription, tickers: list[str]) -> list[str]:
        """Take markets into a subscription and acknowledge; those that are new to it."""
        held = subscription.tickers
        fresh = [ticker for ticker in tickers if held is not None and ticker not in held]
        self._check_room(subscription.channel, len(fresh), subscription)
        if held is not None:
            held.update(dict.fromkeys(fresh))
            self.face.hub.subscribe(subscription, fresh)
        self._acknowledge(number, subscription)
        return fresh

    def _start(self, subscription: Subscription, tickers: list[str], params: dict[str, Any]) -> None:
        """Send what new markets of a subscription begin with."""
        if subscription.channel == BOOKS:
            self._snapshots(subscription, tickers)
        elif subscription.channel == "ticker" and params.get("send_initial_snapshot"):
            for ticker in tickers:
                listed = self.face.exchange.markets.get(ticker)
                if listed is not None:
                    body = self.face.broadcast.ticker_body(listed, self.face.now_ms())
                    subscription.send("ticker", orjson.dumps(body))

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
            self.face.hub.unsubscribe(subscription, None)
            self._answer(number, {"sid": sid, "seq": subscription.number(), "type": "unsubscribed"})

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
            self.face.hub.unsubscribe(subscription, tickers)
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
        self._answer(number, frame)

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
        return list(dict.fromkeys([*named, *(self.face.tickers[name] for name in ids if name in self.face.tickers)]))

    def _check_room(self, channel: str, more: int, subscription: Subscription | None) -> None:
        if channel != BOOKS:
            return
        held = sum(len(one.tickers or ()) for one in self.subscriptions.values() if one.channel == BOOKS)
        if held + more > self.face.settings.max_markets_per_session:
            raise BadCommand(26, subscription)

    # -- frames -----------------------------------------------------------------------------------------------------

    def _answer(self, number: int, frame: dict[str, Any]) -> None:
        self.send(orjson.dumps({"id": number, **frame} if number else frame))

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
        self._answer(number, frame)

    def _snapshots(self, subscription: Subscription, tickers: list[str]) -> None:
        for ticker in tickers:
            listed = self.face.exchange.markets.get(ticker)
            if listed is not None:
                subscription.send("orderbook_snapshot", snapshot(listed, subscription.use_yes_price))

    def _refuse(self, number: int, error: BadCommand) -> None:
        frame: dict[str, Any] = {"type": "error"}
        subscription = error.subscription
        if subscription is not None:
            frame["sid"] = subscription.sid
            if subscription.is_numbered:
                frame["seq"] = subscription.number()
        self._answer(number, {**frame, "msg": {"code": error.code, "msg": ERRORS[error.code]}})

    def _ping(self) -> None:
        if self._socket is None:
            return
        self._socket.ping(b"heartbeat")
        self._pinger = self._socket.loop.call_later(self.face.settings.ping_interval_s, self._ping)
