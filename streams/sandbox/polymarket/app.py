"""The Polymarket sandbox as its clients see it, on one port under prefixes: Gamma, CLOB, Data API, relayer, chain,
geoblock and both sockets."""

from __future__ import annotations

from collections.abc import Callable

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome, Venue
from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.records import LifecycleMoment, ListedMarket, Listener, Ticket, Trade, TradeSide
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.fault_injection import FaultySurface
from streams.sandbox.http.response_cache import AnswerCache
from streams.sandbox.http.schema_drift import with_novelties
from streams.sandbox.http.server import Handler, Request, Response, Router, Session
from streams.sandbox.polymarket.auth import PolymarketKey, is_signed_by
from streams.sandbox.polymarket.balances import Allowances, Balances
from streams.sandbox.polymarket.chain.inventory import Inventory
from streams.sandbox.polymarket.chain.node import ChainRest
from streams.sandbox.polymarket.chain.relayer import RelayerRest
from streams.sandbox.polymarket.clob.account import LedgerRest
from streams.sandbox.polymarket.clob.api_keys import KeyRest
from streams.sandbox.polymarket.clob.books import ClobRest
from streams.sandbox.polymarket.clob.cancels import CancelRest
from streams.sandbox.polymarket.clob.heartbeats import Heartbeats
from streams.sandbox.polymarket.clob.markets import ClobMarketRest
from streams.sandbox.polymarket.clob.orders import OrderRest
from streams.sandbox.polymarket.data.markets import DataMarketRest
from streams.sandbox.polymarket.data.v1 import DataV1Rest
from streams.sandbox.polymarket.data.wallets import DataRest
from streams.sandbox.polymarket.fee_changes import MarketFees
from streams.sandbox.polymarket.gamma.extras import GammaExtras
from streams.sandbox.polymarket.gamma.routes import GammaRest
from streams.sandbox.polymarket.keyring import KeyRing
from streams.sandbox.polymarket.limits import TIERS, EdgeWindows, SignerLimits
from streams.sandbox.polymarket.objects import game_start_ms
from streams.sandbox.polymarket.settings import PolymarketFaceSettings
from streams.sandbox.polymarket.stream.market_feed import MarketFeed
from streams.sandbox.polymarket.stream.socket import MarketSession, UserSession
from streams.sandbox.polymarket.stream.user_feed import UserFeed
from streams.sandbox.polymarket.trading_status import mode_refusal


class PolymarketFace(FaultySurface, Listener):
    """Serves one exchange in Polymarket's words."""

    venue = Venue.POLYMARKET

    def __init__(
        self,
        exchange: Exchange,
        keys: dict[str, PolymarketKey],
        clock: Callable[[], int],
        commit: Callable[[], None],
        settings: PolymarketFaceSettings | None = None,
    ) -> None:
        super().__init__(exchange)
        self.settings = settings or PolymarketFaceSettings()
        self.now_ms = clock
        self.commit = commit
        self.ring = KeyRing(exchange, keys, self.settings)
        self.allowances = Allowances(exchange)
        self.balances = Balances(exchange)
        self.tokens: dict[str, tuple[ListedMarket, Outcome]] = {}
        self.events: dict[str, list[ListedMarket]] = {}
        self.inventory = Inventory(exchange, self.ring, self.allowances, self.balances)
        self.fees = MarketFees(exchange)
        self.market_feed = MarketFeed(self.settings)
        self.user_feed = UserFeed(exchange)
        self.waited_for: dict[str, int] = {}
        self._heartbeats = Heartbeats(self)
        self._relayer = RelayerRest(self)
        self._edge = EdgeWindows()
        self._signers: SignerLimits | None = None
        self._cache = AnswerCache()
        self._starts: dict[str, int] = {}
        self._router = Router()
        for area in (
            GammaRest(self), GammaExtras(self), ClobRest(self), ClobMarketRest(self), OrderRest(self), CancelRest(self),
            LedgerRest(self), KeyRest(self), self._heartbeats, DataRest(self), DataMarketRest(self), DataV1Rest(self),
            self._relayer, ChainRest(self),
        ):  # fmt: skip
            area.register(self._router)
        self._router.add("GET", "/api/geoblock", self._geoblock)
        exchange.listeners.append(self)

    # -- HTTP -------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Route one request, within the limits of the edge."""
        found = self._router.find(request.method, request.path)
        if found is None:
            return Response(404, {"error": "not found"})
        handler, arguments = found
        wait_ms = self._edge.wait_ms(request, self.now_ms()) if self.exchange.behaviour.polymarket_tier else 0
        if wait_ms is None:
            return Response(429, {"error": "Too Many Requests"}, {"Retry-After": "10"})
        response = self._kept_or_made(request, lambda: handler(request, **arguments))
        if self.settings.has_novelties and response.status < 300 and not request.path.startswith("/rpc"):
            response.body = with_novelties(response.body)
        response.delay_ms += wait_ms
        return response

    def _kept_or_made(self, request: Request, make: Callable[[], Response]) -> Response:
        """Gamma's answers are kept at its edge for a while; the other services answer afresh."""
        age_ms = self.exchange.behaviour.gamma_cache_ms if request.path.startswith("/gamma/") else 0
        return self._cache.answer(request, age_ms, self.now_ms(), make)

    def signed(self, handler: Callable[..., Response]) -> Handler:
        """Wrap a handler so that it runs only with valid L2 headers. The signed path has no prefix."""

        def checked(request: Request, **arguments: str) -> Response:
            key = self.ring.get(request.headers.get("poly_api_key", ""))
            path, window_s = request.path.removeprefix("/clob"), self.settings.clock_window_s
            if key is None or not is_signed_by(key, request, path, self.now_ms(), window_s):
                return Response(401, {"error": "Unauthorized/Invalid api key"})
            return handler(request, key, **arguments)

        return checked

    def charge(self, key: PolymarketKey, cost: int, *, is_cancel: bool) -> tuple[dict[str, str], Response | None]:
        """Take orders or cancels from a signer's bucket; the headers of the answer, and a refusal by the limiter."""
        tier = TIERS.get((self.exchange.behaviour.polymarket_tier or "").lower())
        if tier is None:
            return {}, None
        if self._signers is None or self._signers.tier is not tier:
            self._signers = SignerLimits(tier)
        return self._signers.charge(key.address.lower(), cost, self.now_ms(), is_cancel=is_cancel)

    def mode_refusal(self, *, is_cancel: bool = False, is_post_only: bool = False) -> Response | None:
        """What the present mode of the exchange answers to an order or a cancel, None when it may pass."""
        return mode_refusal(self.exchange, self.now_ms(), is_cancel=is_cancel, is_post_only=is_post_only)

    def _geoblock(self, request: Request) -> Response:
        blocked = self.settings.geoblocked
        country, region = ("US", "NY") if blocked else ("CH", "ZH")
        return Response(200, {"blocked": blocked, "ip": "127.0.0.1", "country": country, "region": region})

    def accept(self, request: Request) -> Session | Response:
        """The market socket is open to all; the user socket asks for credentials in its first frame."""
        if request.path == "/ws/market":
            return MarketSession(self)
        if request.path == "/ws/user":
            return UserSession(self)
        return Response(404, {"error": "not found"})

    def tick(self, now_ms: int) -> None:
        """Let time pass: heartbeats, relayed transactions, games that begin; first fees as before a restart."""
        self.fees.restore()
        self._heartbeats.tick(now_ms)
        self._relayer.tick(now_ms)
        for market_id in [name for name, start_ms in self._starts.items() if now_ms >= start_ms]:
            del self._starts[market_id]
            self._clear_book(market_id, now_ms)

    def _clear_book(self, market_id: str, now_ms: int) -> None:
        """A game begins: what clients have resting in its market is cancelled. Makers quote on, at new prices."""
        for ticket in list(self.exchange.resting.values()):
            if ticket.request.market_id == market_id:
                self.exchange.end_resting(ticket, now_ms, "canceled")

    # -- what the areas share ---------------------------------------------------------------------------------------

    def open_tickets(self, key: PolymarketKey) -> list[Ticket]:
        """The resting orders of one API key."""
        return [
            ticket
            for account_id in sorted(self.ring.accounts(key))
            for ticket in self.exchange.open_tickets(account_id)
            if ticket.request.extra["owner"] == key.api_key
        ]

    def sports_delay_s(self, listed: ListedMarket) -> int:
        """Seconds for which a market delays marketable orders (`sd`)."""
        return int(listed.market.extra.get("secondsDelay", 0))

    def has_taker_delay(self, listed: ListedMarket) -> bool:
        """Whether a market holds back takers (`itode`): those of the crypto fee schedule."""
        schedule = listed.schedule
        return isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6 == self.settings.crypto_rate_e6

    # -- what the exchange tells ------------------------------------------------------------------------------------

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """Levels changed."""
        self.market_feed.tell_book(listed, changes, trades, now_ms)

    def on_ticket(self, ticket: Ticket, listed: ListedMarket, now_ms: int) -> None:
        """An external order was placed, matched or cancelled."""
        self.user_feed.tell_order(ticket, listed, now_ms)

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        """An external account traded, or the trade's settlement moved on."""
        self.user_feed.tell_trade(trade, side, listed, now_ms)

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """A market changed its state; a new one is indexed by token and event."""
        if moment == "created":
            self.tokens[listed.market.yes_token] = (listed, "yes")
            self.tokens[listed.market.no_token] = (listed, "no")
            self.events.setdefault(listed.market.event_id, []).append(listed)
            start_ms = game_start_ms(listed)
            if listed.market.extra.get("clearBookOnStart") and start_ms is not None and start_ms > now_ms:
                self._starts[listed.market_id] = start_ms
        self.market_feed.tell_lifecycle(listed, moment, now_ms)

    def on_forgotten(self, listed: ListedMarket) -> None:
        """A market is not served any more."""
        self.fees.forget(listed.market_id)
        self.market_feed.forget(listed)
        self._starts.pop(listed.market_id, None)
        for token in (listed.market.yes_token, listed.market.no_token):
            self.tokens.pop(token, None)
        siblings = self.events.get(listed.market.event_id, [])
        if listed in siblings:
            siblings.remove(listed)
        if not siblings:
            self.events.pop(listed.market.event_id, None)
