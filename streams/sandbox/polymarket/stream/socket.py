"""Polymarket's two sockets: market (public, by token) and user (by API key). PING and PONG are text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from streams.sandbox.http.schema_drift import with_novelties
from streams.sandbox.http.server import Socket
from streams.sandbox.polymarket.objects import book_event, has_book

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace
    from streams.sandbox.polymarket.auth import PolymarketKey


@dataclass(slots=True, eq=False)
class _Session:
    """What both sockets share. `channel` is what fault rules call its frames."""

    channel: ClassVar[str] = ""
    face: PolymarketFace
    socket: Socket | None = None
    is_subscribed: bool = False

    @property
    def is_compressible(self) -> bool:
        """Nothing is known of compression at this venue."""
        return False

    def on_open(self, socket: Socket) -> None:
        """Keep the socket."""
        self.socket = socket
        self.face.watch_faults(socket, self.channel)

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
        if self.face.settings.has_novelties:
            frame = orjson.dumps(with_novelties(orjson.loads(frame)))
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
    tokens: dict[str, None] = field(default_factory=dict)

    def on_close(self) -> None:
        """Forget the subscriptions."""
        self.face.market_feed.unwatch(self, list(self.tokens))
        self.face.market_feed.feature(self, is_on=False)
        self.socket = None

    def on_message(self, message: dict[str, Any]) -> None:
        """First {"assets_ids", "type": "market"}, later {"operation", "assets_ids"}."""
        tokens = _texts(message.get("assets_ids"))
        if "custom_feature_enabled" in message:
            self.face.market_feed.feature(self, is_on=bool(message["custom_feature_enabled"]))
        if message.get("operation") == "unsubscribe":
            for token in tokens:
                self.tokens.pop(token, None)
            self.face.market_feed.unwatch(self, tokens)
            return
        if message.get("operation") != "subscribe" and str(message.get("type", "")).lower() != "market":
            return
        # A token that is already active is refused as a duplicate: no second snapshot.
        fresh = [token for token in dict.fromkeys(tokens) if token not in self.tokens]
        self.tokens.update(dict.fromkeys(fresh))
        self.face.market_feed.watch(self, fresh)
        if message.get("initial_dump", True) and (fresh or not tokens):
            self._dump(fresh)

    def _dump(self, tokens: list[str]) -> None:
        """One array with a book per token; [] when none of them has one."""
        now = self.face.now_ms()
        found = [self.face.tokens[token] for token in tokens if token in self.face.tokens]
        books = [book_event(listed, outcome, now) for listed, outcome in found if has_book(listed)]
        self.send(orjson.dumps(books))


@dataclass(slots=True, eq=False)
class UserSession(_Session):
    """One connection of the user socket. Nothing is sent before valid credentials."""

    channel: ClassVar[str] = "user"
    key: PolymarketKey | None = None
    markets: set[str] | None = None

    def on_close(self) -> None:
        """Forget the subscription."""
        self.face.user_feed.sessions.pop(self, None)
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
        if self.key is None or account_id not in self.face.ring.accounts(self.key):
            return False
        return self.markets is None or market_id in self.markets

    def _log_in(self, message: dict[str, Any]) -> None:
        auth = message.get("auth")
        auth = auth if isinstance(auth, dict) else {}
        key = self.face.ring.get(str(auth.get("apiKey", "")))
        if key is None or auth.get("secret") != key.secret or auth.get("passphrase") != key.passphrase:
            if self.socket is not None:
                self.socket.close(self.face.settings.bad_auth_code)
            return
        self.key = key
        self.markets = set(_texts(message.get("markets"))) or None
        self.face.user_feed.sessions[self] = None
