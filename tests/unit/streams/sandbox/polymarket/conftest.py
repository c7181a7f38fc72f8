"""The Polymarket emulator over three markets with still makers, a clock set by hand, and a signer that asks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket, ListMarket, MarketAction, PlaceOrder
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.app import PolymarketApp
from streams.sandbox.polymarket.auth import PolymarketKey, hmac_signature
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.signing import clob_auth_digest, order_digest_and_signer
from streams.sandbox.polymarket.stream.socket import MarketSession, UserSession
from streams.sandbox.polymarket.venue import PolymarketVenue

NOW = 1_795_000_000_000
SHARE = 1_000_000
PRIVATE_KEY = "0x" + "11" * 32
FIXTURES = Path(__file__).parents[4] / "fixtures" / "polymarket"
ZERO32 = "0x" + "00" * 32


YES = 2**200 + 3 * 10**50
NO = YES + 1


@dataclass
class Desk:
    """One signer with an API key, and the emulator."""

    app: PolymarketApp
    private_key: str = PRIVATE_KEY
    key: PolymarketKey | None = None
    now: list[int] = field(default_factory=lambda: [NOW])
    salts: Any = field(default_factory=lambda: count(1))

    @property
    def address(self) -> str:
        """The signer."""
        return str(Account.from_key(self.private_key).address)

    yes = YES
    no = YES + 1

    @staticmethod
    def condition(number: int = 0) -> str:
        """The condition id of a market."""
        return condition(number)

    @property
    def exchange(self) -> Exchange:
        """The exchange that is served."""
        return self.app.exchange

    @property
    def venue(self) -> PolymarketVenue:
        """What the handlers know."""
        return self.app.polymarket

    def market_session(self) -> MarketSession:
        """A connection of the market socket."""
        session = self.app.accept(Request("GET", "/ws/market", [], {}))
        assert isinstance(session, MarketSession)
        return session

    def user_session(self) -> UserSession:
        """A connection of the user socket, not logged in."""
        session = self.app.accept(Request("GET", "/ws/user", [], {}))
        assert isinstance(session, UserSession)
        return session

    def pass_ms(self, ms: int) -> None:
        """Let time pass for everything."""
        self.now[0] += ms
        self.exchange.tick(self.now[0])
        self.app.tick(self.now[0])

    def get(self, path: str, **query: Any) -> Any:
        """An unsigned read; the body of its 200."""
        answer = self.ask("GET", path, query=query)
        assert answer.status == 200, answer.body
        return answer.body

    def ask(self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None) -> Response:
        """Any unsigned request."""
        content = b"" if body is None else json.dumps(body).encode()
        pairs = [(name, str(value)) for name, value in (query or {}).items()]
        return self.app.handle(Request(method, path, pairs, {}, content))

    def signed(self, method: str, path: str, body: Any = None, **query: Any) -> Response:
        """A request with L2 headers."""
        assert self.key is not None
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        stamp = str(self.now[0] // 1000)
        headers = {
            "poly_address": self.address,
            "poly_api_key": self.key.api_key,
            "poly_passphrase": self.key.passphrase,
            "poly_timestamp": stamp,
            "poly_signature": hmac_signature(self.key.secret, stamp, method, path, content),
        }
        pairs = [(name, str(value)) for name, value in query.items()]
        return self.app.handle(Request(method, f"/clob{path}", pairs, headers, content))

    def l1(self, method: str, path: str, nonce: int = 0) -> Response:
        """A request with L1 headers."""
        stamp = str(self.now[0] // 1000)
        digest = clob_auth_digest(self.address, stamp, nonce)
        signature = Account.unsafe_sign_hash(digest, self.private_key).signature.hex()
        headers = {
            "poly_address": self.address,
            "poly_signature": f"0x{signature.removeprefix('0x')}",
            "poly_timestamp": stamp,
            "poly_nonce": str(nonce),
        }
        return self.app.handle(Request(method, f"/clob{path}", [], headers))

    def log_in(self) -> Desk:
        """Make an API key."""
        answer = self.l1("POST", "/auth/api-key")
        body = (answer if answer.resume is None else answer.resume()).body
        self.key = PolymarketKey(self.address, body["apiKey"], body["secret"], body["passphrase"])
        return self

    def order(
        self, side: str, maker_amount: int, taker_amount: int, kind: str = "GTC", token: int | None = None, **more: Any
    ) -> dict[str, Any]:
        """The body of an order of this signer; `more` changes signed fields, `postOnly` and `owner` the body."""
        assert self.key is not None
        token = token if token is not None else YES
        order: dict[str, Any] = {
            "salt": next(self.salts), "maker": self.address, "signer": self.address, "tokenId": str(token),
            "makerAmount": str(maker_amount), "takerAmount": str(taker_amount), "side": side, "expiration": "0",
            "signatureType": 0, "timestamp": str(self.now[0]), "metadata": ZERO32, "builder": ZERO32,
        }  # fmt: skip
        outer = {name: more.pop(name) for name in ("postOnly", "owner") if name in more}
        order |= more
        is_neg = self.venue.tokens[str(token)][0].market.is_neg_risk
        digest, _ = order_digest_and_signer({**order, "signature": "0x"}, is_neg_risk=is_neg)
        signature = Account.unsafe_sign_hash(bytes.fromhex(digest[2:]), self.private_key).signature.hex()
        order["signature"] = f"0x{signature.removeprefix('0x')}"
        return {"order": order, "owner": self.key.api_key, "orderType": kind, "deferExec": False} | outer

    def post(self, *order: Any, **more: Any) -> Response:
        """Post an order given as `order` wants it."""
        return self.signed("POST", "/order", self.order(*order, **more))

    def quote(self, key: str, side: str, price_e4: int, shares: int, market: int = 0) -> None:
        """An order of a simulated participant."""
        ref = MarketRef(Venue.POLYMARKET, condition(market))
        self.apply(PlaceOrder(ref, "maker", key, side, price_e4, shares * SHARE))  # type: ignore[arg-type]

    def apply(self, action: MarketAction) -> None:
        """A market action."""
        self.exchange.apply(action, self.now[0])


def condition(number: int) -> str:
    """The condition id of a market."""
    return "0x" + f"{number + 1:02x}" * 32


def market(number: int, **more: Any) -> CatalogueMarket:
    """A market; 1 and 2 belong to one negative-risk event."""
    start = datetime.fromtimestamp(NOW / 1000, UTC)
    made = CatalogueMarket(
        venue=Venue.POLYMARKET, market_id=condition(number), event_id="900" if number == 0 else "the-event",
        series_id="", title=f"Will number {number} happen?", rules="If it happens.",
        close_time=start + timedelta(days=10), open_time=start - timedelta(days=20), min_size_e6=5 * SHARE,
        fee_schedule={"rate": "0.05", "exponent": "1", "taker_only": True}, gamma_id=str(1_000 + number),
        slug=f"number-{number}", yes_token=str(YES + 2 * number), no_token=str(NO + 2 * number),
        is_neg_risk=number > 0, category="Politics",
    )  # fmt: skip
    return replace(made, **more)


@pytest.fixture
def make_market() -> Callable[..., CatalogueMarket]:
    """`make_market(number, **changes)`."""
    return market


@pytest.fixture
def open_desk() -> Callable[..., Desk]:
    """`open_desk(behaviour?, settings?, markets?)`: a signer that has logged in."""

    def opened(
        profile: Profile = ZERO,
        settings: PolymarketVenueSettings | None = None,
        markets: list[CatalogueMarket] | None = None,
    ) -> Desk:
        exchange = Exchange(Venue.POLYMARKET, FaultPlan(), 1, profile)
        clock = [NOW]
        app = PolymarketApp(exchange, {}, lambda: clock[0], lambda: None, settings)
        for number, listed in enumerate(markets or [market(0), market(1), market(2)]):
            event = CatalogueEvent(
                Venue.POLYMARKET, listed.event_id, "", f"Event of {number}", category=listed.category
            )
            exchange.apply(ListMarket(event, listed), NOW)
            for step in range(1, 4):
                for side, price in (("bid", 5_000 - 100 * step), ("ask", 5_000 + 100 * step)):
                    order = PlaceOrder(listed.ref, "maker", f"{number}{side}{step}", side, price, 50 * SHARE)  # type: ignore[arg-type]
                    exchange.apply(order, NOW)
        return Desk(app, now=clock).log_in()

    return opened


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """A signer at an emulator without any delay."""
    return open_desk()


@pytest.fixture(scope="session")
def shapes() -> Any:
    """The keys of the venue's payloads by sample name; lists hold their first element's, values are left out."""
    return json.loads((FIXTURES / "shapes.json").read_text())
