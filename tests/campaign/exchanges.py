"""Both sandbox exchanges in this process, with two pairs of markets, and clients of one account on each."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan, parse_rule
from streams.sandbox.core.model import CancelOrder, CloseMarket, DetermineMarket, PlaceOrder, SettleMarket
from streams.sandbox.core.profile import named_profile
from streams.sandbox.process.process import STEP_S, Sandbox, SandboxOptions
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.common.token_buckets import MemoryLedger
from streams.venues.credentials.keys import KalshiCredentials, PolymarketCredentials
from streams.venues.kalshi.limits import BASIC, AccountLimits, BucketTerms, KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.limits import PolymarketLimits
from tests.campaign.clock import Clocks
from tests.campaign.wire import Line, Wire
from tests.golden import signing
from tests.golden.markets import CONTRACT, condition, still_listings, token

__all__ = ("CONTRACT", "PAIRS", "Exchanges", "Pair", "Weather")

_KEY = "main"
_SLOW_KEY = AccountLimits("slow", BASIC.reads, BucketTerms(8.0, 20.0), (), {})
"""The budget of a key that others use too: an order takes ten of its twenty tokens, and eight a second come back."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two markets on one question. `number` of Polymarket's; `rate` of its fees."""

    pair_id: str
    kalshi: str
    number: int
    event: str
    rate: str

    @property
    def markets(self) -> dict[Venue, str]:
        """Its markets by venue."""
        return {Venue.KALSHI: self.kalshi, Venue.POLYMARKET: condition(self.number)}

    @property
    def tokens(self) -> tuple[str, str]:
        """Polymarket's tokens of yes and no."""
        return token(self.number), token(self.number, "no")


PAIRS = (
    Pair("p1", "KXRAIN-26DEC01-NYC", 0, "900", "0.05"),
    Pair("p2", "KXRAIN-26DEC01-BOS", 3, "902", "0.07"),
)
_LISTED = {market for pair in PAIRS for market in pair.markets.values()}


class Flow:
    """Lists the markets and does what it is told: each quote replaces the ones before."""

    def __init__(self) -> None:
        self._acts: list[Any] = [one for one in still_listings() if one.market.market_id in _LISTED]
        self._resting: list[CancelOrder] = []
        self._number = 0

    def quote(self, ref: MarketRef, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> None:
        """Quote a market anew, (price_e4, size_e6) in YES terms."""
        self.withdraw(ref)
        for side, levels in (("bid", bids), ("ask", asks)):
            for price_e4, size_e6 in levels:
                self._number += 1
                key = f"quote-{self._number}"
                self._acts.append(PlaceOrder(ref, "maker", key, side, price_e4, size_e6))  # type: ignore[arg-type]
                self._resting.append(CancelOrder(ref, "maker", key))

    def withdraw(self, ref: MarketRef) -> None:
        """Take a market's quotes away."""
        self._acts += [one for one in self._resting if one.market == ref]
        self._resting = [one for one in self._resting if one.market != ref]

    def settle(self, value_e4: int) -> None:
        """End all markets, determine them (what one YES pays) and pay them."""
        result = {0: "no", 10_000: "yes"}.get(value_e4, "scalar")
        for pair in PAIRS:
            for venue, market in pair.markets.items():
                ref = MarketRef(venue, market)
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


@dataclass(frozen=True, slots=True)
class Weather:
    """What the venues do wrong in a seed.

    Attributes:
        failed_share: Of Polymarket's matches, those that never settle.
        rules: Faults of the sandbox's own.
        is_key_slow: Kalshi's key has a small budget of orders.
    """

    failed_share: Decimal
    rules: Sequence[Mapping[str, Any]] = ()
    is_key_slow: bool = False


class Exchanges:
    """Both exchanges, what moves their markets, and clients of one account on each."""

    def __init__(self, home: Path, seed: int, clocks: Clocks, settings: Settings, weather: Weather) -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / "accounts.json").write_text(json.dumps(signing.accounts()))
        self.flow = Flow()
        profile = replace(
            named_profile("realistic"), kalshi_tier=None, polymarket_tier=None, failed_share=weather.failed_share
        )
        plan = FaultPlan([parse_rule(dict(rule)) for rule in weather.rules], seed=seed)
        options = SandboxOptions(0, 0, home, lambda _: (self.flow, None), plan, seed, "campaign", profile)
        self.sandbox = Sandbox(options)
        self.sandbox._journal._database._connection.execute("PRAGMA synchronous = OFF")
        self.sandbox.resume()
        self.step_s = STEP_S
        self._faults = plan
        self._clocks, self._settings, self._weather = clocks, settings, weather
        self._budget = MemoryLedger()
        apps = {
            settings.kalshi_sandbox_port: self.sandbox._kalshi,
            settings.polymarket_sandbox_port: self.sandbox._polymarket,
        }
        keys = (_kalshi_key(), _polymarket_key())
        self.wire = Wire(apps, random.Random(f"wire {seed}"), keys, clocks.venue_now)

    async def go_on(self) -> None:
        """Let the exchanges act until this is cancelled."""
        while True:
            await self.sandbox._step()
            await asyncio.sleep(self.step_s)

    def calm_down(self) -> None:
        """Take the sandbox's own faults away."""
        self._faults.remove()

    def gateways(self, line: Line | None = None) -> dict[Venue, Any]:
        """Return new gateways of one trading process.

        Args:
            line: What all its requests pass; None: the wire alone.
        """
        http = httpx.AsyncClient(transport=line or self.wire, timeout=self._settings.http_timeout_s)
        where, clocks = endpoints(self._settings), self._clocks

        def wall_ns() -> int:
            return int(clocks.now().timestamp() * 1e9)

        account = _SLOW_KEY if self._weather.is_key_slow else BASIC
        limits = KalshiLimits(is_signed=True, account=account, ledger=self._budget, monotonic=clocks.monotonic)
        limits._fresh_until = float("inf")
        kalshi, polymarket = _kalshi_key(), _polymarket_key()
        clients = (
            KalshiClient(where, kalshi, http=http, limits=limits, clock=wall_ns),
            PolymarketClient(
                where, polymarket, http=http, limits=PolymarketLimits(monotonic=clocks.monotonic), clock=wall_ns
            ),
        )
        return {Venue.KALSHI: KalshiGateway(clients[0]), Venue.POLYMARKET: PolymarketGateway(clients[1], polymarket)}

    def close(self) -> None:
        """Let go of the journal; nothing else is open."""
        self.sandbox._journal.close()


def _kalshi_key() -> KalshiCredentials:
    pem = signing._kalshi_key(_KEY).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KalshiCredentials(_KEY, SecretStr(pem.decode()))


def _polymarket_key() -> PolymarketCredentials:
    return PolymarketCredentials(
        SecretStr(signing.WALLET_KEY), signing.address_of(signing.WALLET_KEY), "wallet", SecretStr(signing.SECRET),
        SecretStr("pass"),
    )  # fmt: skip
