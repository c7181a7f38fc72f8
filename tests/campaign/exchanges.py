"""Both sandbox exchanges in this process, and the way to them: HTTP without a socket that loses, delays and doubles."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CancelOrder, CloseMarket, DetermineMarket, PlaceOrder, SettleMarket
from streams.sandbox.core.profile import named_profile
from streams.sandbox.http.server import Connection
from streams.sandbox.process.process import STEP_S, Sandbox, SandboxOptions
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import KalshiCredentials, PolymarketCredentials
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.limits import PolymarketLimits
from tests.campaign.clock import Clocks
from tests.golden import signing
from tests.golden.clock import Pipe, answer_of
from tests.golden.markets import CONTRACT, condition, still_listings, token

__all__ = ("CONTRACT", "MARKETS", "TOKENS", "Exchanges", "Faults")

MARKETS = {Venue.KALSHI: "KXRAIN-26DEC01-NYC", Venue.POLYMARKET: condition(0)}
TOKENS = (token(0), token(0, "no"))
_KEY = "main"


class Flow:
    """Lists the two markets and does what it is told: each quote replaces the ones before."""

    def __init__(self) -> None:
        self._acts: list[Any] = [one for one in still_listings() if one.market.market_id in MARKETS.values()]
        self._resting: list[CancelOrder] = []
        self._number = 0

    def quote(self, venue: Venue, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> None:
        """Quote a market anew, (price_e4, size_e6) in YES terms."""
        self.withdraw(venue)
        ref = MarketRef(venue, MARKETS[venue])
        for side, levels in (("bid", bids), ("ask", asks)):
            for price_e4, size_e6 in levels:
                self._number += 1
                key = f"quote-{self._number}"
                self._acts.append(PlaceOrder(ref, "maker", key, side, price_e4, size_e6))  # type: ignore[arg-type]
                self._resting.append(CancelOrder(ref, "maker", key))

    def withdraw(self, venue: Venue) -> None:
        """Take a market's quotes away."""
        gone = [one for one in self._resting if one.market.venue is venue]
        self._acts += gone
        self._resting = [one for one in self._resting if one.market.venue is not venue]

    def settle(self, values_e4: Mapping[Venue, int]) -> None:
        """End both markets, determine them (what one YES pays) and pay them."""
        for venue, value_e4 in values_e4.items():
            ref = MarketRef(venue, MARKETS[venue])
            result = {0: "no", 10_000: "yes"}.get(value_e4, "scalar")
            self._acts += [CloseMarket(ref), DetermineMarket(ref, value_e4, result), SettleMarket(ref)]  # type: ignore[arg-type]

    def step(self, now_ms: int, fills: Sequence[Any]) -> list[Any]:
        """What is to be done now."""
        acts, self._acts = self._acts, []
        return acts

    def snapshot(self) -> dict[str, Any]:
        """Nothing is remembered: a seed is never resumed."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """A seed is never resumed."""

    def drop_orders(self) -> None:
        """Its orders are gone."""
        self._resting.clear()

    def follow(self, profile: Any, scenario: Any = None) -> None:
        """It acts by what it is told alone."""


@dataclass
class Faults:
    """Chances of what happens to a request on its way; `longest_s`: of a delay."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    doubled: float = 0.0
    slow: float = 0.0
    longest_s: float = 3.0


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """Carries requests as bytes to the emulator that serves the port they are sent to.

    `on_order` is called at the instant at which the bytes of an order leave.
    """

    apps: Mapping[int, Any]
    source: random.Random
    faults: Faults = field(default_factory=Faults)
    on_order: Callable[[], None] = lambda: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; what the faults choose happens to it."""
        trace = request.extensions.get("trace")
        if trace is not None:
            await trace("http11.send_request_headers.started", {})
        body = await request.aread()
        if request.method == "POST" and request.url.path.endswith(("/orders", "/order")):
            self.on_order()
        draw = {name: self.source.random() for name in ("lost_request", "lost_answer", "doubled", "slow")}
        happens = {name: chance < getattr(self.faults, name) for name, chance in draw.items()}
        delay_s = self.source.uniform(0.0, self.faults.longest_s)
        await asyncio.sleep(self.source.uniform(0.001, 0.02) + (delay_s if happens["slow"] else 0.0))
        if happens["lost_request"]:
            raise httpx.ReadTimeout("lost on the way there", request=request)
        answer = await self._ask(request, body)
        if happens["doubled"]:
            answer = await self._ask(request, body)
        await asyncio.sleep(self.source.uniform(0.001, 0.02))
        if happens["lost_answer"]:
            raise httpx.ReadError("lost on the way back", request=request)
        status, headers, content = answer
        return httpx.Response(status, headers=headers, content=content, request=request)

    async def _ask(self, request: httpx.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        pipe = _AwaitedPipe()
        connection = Connection(self.apps[request.url.port or 0], set())
        connection.connection_made(pipe)  # type: ignore[arg-type]
        head = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in request.headers.items() if name != "accept-encoding"]
        connection.data_received(("\r\n".join(head) + "\r\n\r\n").encode() + body)
        await pipe.answered.wait()
        connection.connection_lost(None)
        answer = answer_of(pipe)
        if not answer.status:
            raise httpx.RemoteProtocolError("the connection was cut", request=request)
        return answer.status, {"content-type": answer.headers.get("content-type", "application/json")}, answer.body


class _AwaitedPipe(Pipe):
    """Tells when something was written, or that nothing will be."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Keep it."""
        super().write(data)
        self.answered.set()

    def close(self) -> None:
        """Close it."""
        super().close()
        self.answered.set()

    def abort(self) -> None:
        """Cut it."""
        super().abort()
        self.answered.set()


class Exchanges:
    """Both exchanges, what moves their markets, and clients of one account on each."""

    def __init__(self, home: Path, seed: int, clocks: Clocks, settings: Settings) -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / "accounts.json").write_text(json.dumps(signing.accounts()))
        self.flow = Flow()
        profile = replace(named_profile("realistic"), kalshi_tier=None, polymarket_tier=None)
        options = SandboxOptions(
            0, 0, home, lambda _: (self.flow, None), FaultPlan(seed=seed), seed, "campaign", profile
        )
        self.sandbox = Sandbox(options)
        self.sandbox._journal._database._connection.execute("PRAGMA synchronous = OFF")
        self.sandbox.resume()
        self._clocks, self._settings = clocks, settings
        apps = {
            settings.kalshi_sandbox_port: self.sandbox._kalshi,
            settings.polymarket_sandbox_port: self.sandbox._polymarket,
        }
        self.wire = Wire(apps, random.Random(f"wire {seed}"))
        self.http = httpx.AsyncClient(transport=self.wire, timeout=settings.http_timeout_s)

    async def go_on(self) -> None:
        """Let the exchanges act until this is cancelled."""
        while True:
            await self.sandbox._step()
            await asyncio.sleep(STEP_S)

    def gateways(self) -> dict[Venue, Any]:
        """Return new gateways of one trading process."""
        where, clocks = endpoints(self._settings), self._clocks
        kalshi = KalshiClient(
            where, _kalshi_key(), http=self.http, limits=KalshiLimits(is_signed=True, monotonic=clocks.monotonic),
            clock=lambda: int(clocks.now().timestamp() * 1e9),
        )  # fmt: skip
        key = _polymarket_key()
        polymarket = PolymarketClient(
            where, key, http=self.http, limits=PolymarketLimits(monotonic=clocks.monotonic),
            clock=lambda: int(clocks.now().timestamp() * 1e9),
        )  # fmt: skip
        return {Venue.KALSHI: KalshiGateway(kalshi), Venue.POLYMARKET: PolymarketGateway(polymarket, key)}

    async def close(self) -> None:
        """Let go of everything."""
        await self.http.aclose()
        self.sandbox._journal.close()


def _kalshi_key() -> KalshiCredentials:
    pem = signing._kalshi_key(_KEY).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KalshiCredentials(_KEY, SecretStr(pem.decode()))


def _polymarket_key() -> PolymarketCredentials:
    return PolymarketCredentials(
        SecretStr(signing.WALLET_KEY), signing.address_of(signing.WALLET_KEY), "wallet", SecretStr(signing.SECRET),
        SecretStr("pass"),
    )  # fmt: skip
