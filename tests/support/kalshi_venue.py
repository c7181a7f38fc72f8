"""A Kalshi app without a server: requests are signed and handed over, frames collected, the clock turned by hand."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson
from cryptography.hazmat.primitives.asymmetric import ed25519

from streams.market.identity import MarketRef, Side, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import (
    CancelOrder,
    CatalogueEvent,
    CatalogueMarket,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.app import KalshiApp
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.kalshi.stream.socket import KalshiSession

CONTRACT = 1_000_000
START_MS = 1_795_000_000_000
RAIN = "KXRAIN-26DEC01-NYC"
CRYPTO = "KXBTCD-26DEC01-T90000"
_KEYS = {name: ed25519.Ed25519PrivateKey.generate() for name in ("key-1", "key-2")}
_PREFIX = "/trade-api/v2"
_RANGES = ((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))


class _Timer:
    def cancel(self) -> None:
        pass


class _Loop:
    """The part of an event loop that a session and its delivery use; what is due later is collected, never fired."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[..., Any]]] = []

    def call_later(self, delay_s: float, callback: Callable[..., Any], *arguments: Any) -> _Timer:
        self.timers.append((delay_s, callback))
        return _Timer()

    def time(self) -> float:
        return 0.0


class Wire:
    """The far end of a socket: what was sent, as JSON."""

    def __init__(self) -> None:
        self.loop = _Loop()
        self.carrier: Any = None
        self.is_open = True
        self.unsent_bytes = 0
        self.pings: list[bytes] = []
        self._frames: list[Any] = []

    def send(self, text: bytes, channel: str = "") -> None:
        """Collect a frame."""
        self._frames.append(orjson.loads(text))

    def write(self, text: bytes) -> bool:
        """Collect a frame that the delivery lets through."""
        self.send(text)
        return True

    def ping(self, payload: bytes) -> None:
        """Collect a ping."""
        self.pings.append(payload)

    def taken(self) -> list[Any]:
        """The frames since the last time."""
        frames, self._frames = self._frames, []
        return frames


@dataclass
class Line:
    """An open socket of one key."""

    session: KalshiSession
    wire: Wire

    def command(self, number: int, name: str, **params: Any) -> list[Any]:
        """Send a command; the frames it brought."""
        self.send({"id": number, "cmd": name, "params": params})
        return self.wire.taken()

    def send(self, message: Any) -> None:
        """Send JSON, or text as it is."""
        self.session.on_text(message if isinstance(message, str) else orjson.dumps(message).decode())

    def taken(self) -> list[Any]:
        """The frames since the last time."""
        return self.wire.taken()


class OfflineKalshi:
    """One exchange with two markets (on shards 0 and 2), two keys and makers three cents deep around 0.50."""

    def __init__(
        self, profile: Profile = ZERO, settings: KalshiVenueSettings | None = None, plan: FaultPlan | None = None
    ) -> None:
        self.now_ms = START_MS
        self.commits = 0
        self.exchange = Exchange(Venue.KALSHI, plan or FaultPlan(), 1, profile)
        keys = {name: KalshiKey(name, f"kalshi:{name}", key.public_key()) for name, key in _KEYS.items()}
        self.app = KalshiApp(self.exchange, keys, lambda: self.now_ms, self._commit, settings)
        for key in keys.values():
            self.exchange.state.accounts.open_account(key.account_id, 10_000 * CONTRACT)
        self.exchange.replica.prepare(self.now_ms)
        for listing in (rain(), crypto()):
            self.exchange.apply(listing, self.now_ms)
            for step in (1, 2, 3):
                ticker = listing.market.market_id
                self.quote("bid", 5_000 - 100 * step, 50, key=f"{ticker} b{step}", ticker=ticker)
                self.quote("ask", 5_000 + 100 * step, 50, key=f"{ticker} a{step}", ticker=ticker)

    def _commit(self) -> None:
        self.commits += 1

    # -- simulated participants ---------------------------------------------------------------------------------------

    def quote(
        self, side: Side, price_e4: int, contracts: int, *, key: str = "x", ticker: str = RAIN, now: bool = False
    ) -> None:
        """A maker's (or with `now` a taker's) order."""
        ref = MarketRef(Venue.KALSHI, ticker)
        order = PlaceOrder(ref, "taker" if now else "maker", key, side, price_e4, contracts * CONTRACT, now)
        self.exchange.apply(order, self.now_ms)

    def pull(self, key: str, ticker: str = RAIN) -> None:
        """A maker takes an order away."""
        self.exchange.apply(CancelOrder(MarketRef(Venue.KALSHI, ticker), "maker", key), self.now_ms)

    def settle(self, settlement_e4: int = 10_000, result: str = "yes", ticker: str = RAIN) -> None:
        """Close, determine and pay a market."""
        ref = MarketRef(Venue.KALSHI, ticker)
        for act in (CloseMarket(ref), DetermineMarket(ref, settlement_e4, result), SettleMarket(ref)):
            self.exchange.apply(act, self.now_ms)

    def list_another(self) -> None:
        """One more event with one market."""
        first = crypto()
        event = replace(first.event, event_id="KXBTCD-26DEC02")
        market = replace(first.market, event_id=event.event_id, market_id="KXBTCD-26DEC02-T90000")
        self.exchange.apply(ListMarket(event, market), self.now_ms)

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now_ms += ms
        self.exchange.tick(self.now_ms)

    # -- the wire -----------------------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, at_ms: int | None = None
    ) -> Request:
        """A request; signed with a key when one is named. `path` may have a query."""
        whole, _, query = path.partition("?")
        headers = {}
        if key is not None:
            stamp = str(self.now_ms if at_ms is None else at_ms)
            signature = _KEYS[key].sign(f"{stamp}{method}{_PREFIX}{whole}".encode())
            headers = {
                "kalshi-access-key": key,
                "kalshi-access-timestamp": stamp,
                "kalshi-access-signature": base64.b64encode(signature).decode(),
            }
        payload = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        return Request(method, _PREFIX + whole, parse_qsl(query, keep_blank_values=True), headers, payload)

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Response:
        """The response to a request."""
        return self.app.handle(self.request(method, path, body, key=key))

    def public(self, path: str) -> Any:
        """The body of an unsigned read that succeeds."""
        response = self.ask("GET", path)
        assert response.status == 200, response.body
        return response.body

    def own(self, path: str, key: str = "key-1") -> Any:
        """The body of a signed read that succeeds."""
        response = self.ask("GET", path, key=key)
        assert response.status == 200, response.body
        return response.body

    def place(self, **changes: Any) -> Response:
        """Place an order: ten YES at 0.40, resting, unless told otherwise; None leaves a field out."""
        key = changes.pop("key", "key-1")
        return self.ask("POST", "/portfolio/events/orders", order(**changes), key=key)

    def placed(self, **changes: Any) -> str:
        """The id of an order that is taken."""
        response = self.place(**changes)
        assert response.status == 201, response.body
        return str(response.body["order_id"])

    def open_line(self, key: str = "key-1") -> Line:
        """A signed socket."""
        request = self.request("GET", "", key=key)
        stamp = str(self.now_ms)
        signature = _KEYS[key].sign(f"{stamp}GET/trade-api/ws/v2".encode())
        request.path = "/trade-api/ws/v2"
        request.headers["kalshi-access-signature"] = base64.b64encode(signature).decode()
        session = self.app.open_session(request)
        assert isinstance(session, KalshiSession), session
        wire = Wire()
        session.on_open(wire)  # type: ignore[arg-type]
        return Line(session, wire)


def order(**changes: Any) -> dict[str, Any]:
    """A V2 order's body: ten YES at 0.40, resting; None leaves a field out."""
    body = {
        "ticker": RAIN,
        "side": "bid",
        "count": "10.00",
        "price": "0.4000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "client_order_id": "one",
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def rain() -> ListMarket:
    """A market on shard 0 with cents as its grid."""
    now = datetime.fromtimestamp(START_MS / 1000, UTC)
    event = CatalogueEvent(
        Venue.KALSHI, "KXRAIN-26DEC01", "KXRAIN", "Rain in NYC on Dec 1?", "On Dec 1", "Climate and Weather"
    )
    market = CatalogueMarket(
        venue=Venue.KALSHI,
        market_id=RAIN,
        event_id=event.event_id,
        series_id=event.series_id,
        title="Will it rain in NYC on Dec 1?",
        subtitle="Rain",
        rules="If it rains, the market resolves to Yes.",
        strike={"type": "greater", "floor": "0.5"},
        close_time=now + timedelta(days=10),
        open_time=now - timedelta(days=20),
        fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"},
    )
    return ListMarket(event, market)


def crypto() -> ListMarket:
    """A market on shard 2, whose grid is finer at both ends and whose makers pay fees."""
    first = rain()
    event = replace(
        first.event, event_id="KXBTCD-26DEC01", series_id="KXBTCD", title="Bitcoin price on Dec 1?", category="Crypto",
        is_exclusive=True,
    )  # fmt: skip
    market = replace(
        first.market, market_id=CRYPTO, event_id=event.event_id, series_id="KXBTCD", price_ranges=_RANGES,
        strike={"type": "between", "floor": "90000", "cap": "90250"},
        fee_schedule={"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"},
    )  # fmt: skip
    return ListMarket(event, market)
