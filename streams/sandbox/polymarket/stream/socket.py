"""Polymarket's two sockets: market (public, by token) and user (by API key). PING and PONG are text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from streams.sandbox.http.schema_drift import with_schema_drift
from streams.sandbox.http.server import Socket
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.objects import book_event, has_book
from streams.sandbox.polymarket.stream.market_feed import MarketFeed
from streams.sandbox.polymarket.stream.user_feed import UserFeed
from streams.sandbox.polymarket.venue import PolymarketVenue

Watch = Callable[[Socket, str], None]
"""Puts a new socket under profile and fault plan; its second argument is what fault rules call the socket."""


@dataclass(slots=True, eq=False)
class _Session:
    """What both sockets share. `channel` is what fault rules call its frames."""

    channel: ClassVar[str] = ""
    venue: PolymarketVenue
    watch: Watch
    socket: Socket | None = field(default=None, init=False)

    @property
    def is_compressible(self) -> bool:
        """Nothing is known of compression at this venue."""
        return False

    def on_open(self, socket: Socket) -> None:
        """Keep the socket."""
        self.socket = socket
        self.watch(socket, self.channel)

    def on_text(self, text: str) -> None:
        """Answer PING (a silent socket too); carry out anything else."""
        if text.strip() == "PING":
            self._pong()
            return
        try:
            message = orjson.loads(text)
        except ValueError:
            return
        if isinstance(message, dict):
            self.on_message(message)

    def on_message(self, message: dict[str, Any]) -> None:
        """Carry out a subscription."""

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        if self.venue.settings.has_novelties:
            frame = orjson.dumps(with_schema_drift(orjson.loads(frame)))
        if self.socket is not None:
            self.socket.send(frame, self.channel)

    def _pong(self) -> None:
        if self.socket is not None:
            self.socket.answer(b"PONG")


def _texts(value: Any) -> list[str]:
    """The texts of a JSON list; none for anything else."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


@dataclass(slots=True, eq=False)
class MarketSession(_Session):
    """One connection of the market socket."""

    channel: ClassVar[str] = "market"
    feed: MarketFeed
    tokens: dict[str, None] = field(default_factory=dict, init=False)

    def on_close(self) -> None:
        """Drop the subscriptions."""
        self.feed.unwatch(self, list(self.tokens))
        self.feed.feature(self, is_on=False)
        self.socket = None

    def on_message(self, message: dict[str, Any]) -> None:
        """First {"assets_ids", "type": "market"}, later {"operation", "assets_ids"}."""
        tokens = _texts(message.get("assets_ids"))
        if "custom_feature_enabled" in message:
            self.feed.feature(self, is_on=bool(message["custom_feature_enabled"]))
        if message.get("operation") == "unsubscribe":
            for token in tokens:
                self.tokens.pop(token, None)
            self.feed.unwatch(self, tokens)
            return
        if message.get("operation") != "subscribe" and str(message.get("type", "")).lower() != "market":
            return
        # A token that is already active is refused as a duplicate: no second snapshot.
        fresh = [token for token in dict.fromkeys(tokens) if token not in self.tokens]
        self.tokens.update(dict.fromkeys(fresh))
        self.feed.watch(self, fresh)
        if message.get("initial_dump", True) and (fresh or not tokens):
            self._dump(fresh)

    def _dump(self, tokens: list[str]) -> None:
        """One array with a book per token; [] when none of them has one."""
        now = self.venue.now_ms()
        found = [self.venue.tokens[token] for token in tokens if token in self.venue.tokens]
        books = [book_event(listed, outcome, now) for listed, outcome in found if has_book(listed)]
        self.send(orjson.dumps(books))


@dataclass(slots=True, eq=False)
class UserSession(_Session):
    """One connection of the user socket. Nothing is sent before valid credentials."""

    channel: ClassVar[str] = "user"
    feed: UserFeed
    key: PolymarketKey | None = field(default=None, init=False)
    markets: set[str] | None = field(default=None, init=False)

    def on_close(self) -> None:
        """Drop the subscription."""
        self.feed.subscribers.pop(self, None)
        self.socket = None

    def on_message(self, message: dict[str, Any]) -> None:
        """First {"auth", "type": "user", "markets"?}, later {"operation", "markets"}."""
        if self.key is None:
            self._log_in(message)
            return
        markets = set(_texts(message.get("markets")))
        if self.markets is None:
            return
        if message.get("operation") == "subscribe":
            self.markets |= markets
        elif message.get("operation") == "unsubscribe":
            self.markets -= markets

    def wants(self, account_id: str, market_id: str) -> bool:
        """Whether an event of that account in that market is for this connection."""
        if self.key is None or account_id not in self.venue.keyring.accounts(self.key):
            return False
        return self.markets is None or market_id in self.markets

    def _log_in(self, message: dict[str, Any]) -> None:
        auth = message.get("auth")
        auth = auth if isinstance(auth, dict) else {}
        key = self.venue.keyring.get(str(auth.get("apiKey", "")))
        if key is None or auth.get("secret") != key.secret or auth.get("passphrase") != key.passphrase:
            if self.socket is not None:
                self.socket.close(self.venue.settings.bad_auth_code)
            return
        self.key = key
        self.markets = set(_texts(message.get("markets"))) or None
        self.feed.subscribers[self] = None
