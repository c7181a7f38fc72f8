"""The Polymarket sandbox as its clients see it, on one port under prefixes: Gamma, CLOB, Data API, relayer, chain,
geoblock and both sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultRule
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.fault_injection import FaultInjection, unavailable
from streams.sandbox.http.response_cache import ResponseCache
from streams.sandbox.http.routes import Access, Handler, Rejected, Route, router_of
from streams.sandbox.http.schema_drift import with_schema_drift
from streams.sandbox.http.server import Request, Response, Session
from streams.sandbox.polymarket.auth import PolymarketKey, is_signed_by, l1_proof
from streams.sandbox.polymarket.chain import node, relayer
from streams.sandbox.polymarket.clob import account, api_keys, books, cancels, heartbeats, markets, orders
from streams.sandbox.polymarket.data import markets as data_markets
from streams.sandbox.polymarket.data import v1, wallets
from streams.sandbox.polymarket.gamma import routes as gamma
from streams.sandbox.polymarket.limits import EdgeWindows, queued_ms
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.stream.market_feed import MarketFeed
from streams.sandbox.polymarket.stream.socket import MarketSession, UserSession
from streams.sandbox.polymarket.stream.user_feed import UserFeed
from streams.sandbox.polymarket.venue import PolymarketVenue


def get_geoblock(venue: PolymarketVenue, request: Request) -> Response:
    """Whether orders are taken from where the client is."""
    blocked = venue.settings.geoblocked
    country, region = ("US", "NY") if blocked else ("CH", "ZH")
    return Response(200, {"blocked": blocked, "ip": "127.0.0.1", "country": country, "region": region})


_AREAS: tuple[tuple[str, tuple[Route[PolymarketVenue], ...]], ...] = (
    ("/gamma", (*gamma.ROUTES,)),
    ("/clob", (
        *books.ROUTES, *markets.ROUTES, *orders.ROUTES, *cancels.ROUTES, *account.ROUTES, *api_keys.ROUTES,
        *heartbeats.ROUTES,
    )),
    ("/data", (*wallets.ROUTES, *data_markets.ROUTES, *v1.ROUTES)),
    ("/relayer", (*relayer.ROUTES,)),
    ("/rpc", (*node.ROUTES,)),
    ("/api", (Route("GET", "/geoblock", get_geoblock),)),
)  # fmt: skip
"""The routes of every service of the venue; its prefix stands for a host of its own."""
ROUTES = tuple(replace(route, path=f"{prefix}{route.path}") for prefix, routes in _AREAS for route in routes)


class PolymarketApp:
    """Serves one exchange by Polymarket's APIs.

    Args:
        exchange: What is served.
        keys: Known API keys by id.
        clock: The venue's clock, milliseconds.
        commit: Makes what happened durable; called before a write is answered.
        settings: What the venue's papers leave open.

    Attributes:
        polymarket: The venue that handlers know.
        market_feed: Publishes books and prints to the sockets that watch them.
        user_feed: Publishes orders and trades to the sockets of their owners.
    """

    venue = Venue.POLYMARKET

    def __init__(
        self,
        exchange: Exchange,
        keys: dict[str, PolymarketKey],
        clock: Callable[[], int],
        commit: Callable[[], None],
        settings: PolymarketVenueSettings | None = None,
    ) -> None:
        self.exchange = exchange
        injection = FaultInjection(self, exchange.state.faults, lambda: exchange.state.profile)
        self.handle, self.open_session = injection.handle, injection.open_session
        self.watch_faults, self.reconsider_sockets = injection.watch_faults, injection.reconsider_sockets
        settings = settings or PolymarketVenueSettings()
        self.market_feed = MarketFeed(settings)
        self.user_feed = UserFeed(exchange)
        self.polymarket = PolymarketVenue(exchange, keys, clock, commit, settings, feeds=self.user_feed)
        self._edge = EdgeWindows()
        self._cache = ResponseCache()
        self._router = router_of(ROUTES, self._bind)
        exchange.state.listeners += [self.polymarket, self.market_feed, self.user_feed]

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        found = self._router.find(request.method, request.path)
        if found is None:
            return Response(404, {"error": "not found"})
        handler, parts = found
        return handler(request, **parts)

    def tick(self, now_ms: int) -> None:
        """Let time pass: heartbeats, relayed transactions, games that begin; first fees as before a restart."""
        self.polymarket.fees.restore()
        heartbeats.cancel_silent(self.polymarket, now_ms)
        relayer.advance(self.polymarket, now_ms)
        self.polymarket.clear_started_books(now_ms)

    def _bind(self, route: Route[PolymarketVenue]) -> Handler:
        """Put a handler behind the edge's limits, its access and the edge's cache."""
        venue, behind_access = self.polymarket, self._behind_access(route)
        windows = self._edge.windows_of(route.method, route.path)
        has_drift = venue.settings.has_novelties and not route.path.startswith("/rpc")

        def bound(request: Request, **parts: str) -> Response:
            profile = venue.exchange.state.profile
            wait_ms = queued_ms(windows, venue.now_ms()) if profile.polymarket_tier else 0
            if wait_ms is None:
                return Response(429, {"error": "Too Many Requests"}, {"Retry-After": "10"})
            try:
                if route.cache_ms:
                    age_ms = min(route.cache_ms, profile.gamma_cache_ms)
                    make = partial(behind_access, request, **parts)
                    response = self._cache.answer(request, age_ms, venue.now_ms(), make)
                else:
                    response = behind_access(request, **parts)
            except Rejected as rejected:
                response = rejected.response
            if has_drift and response.status < 300:
                response.body = with_schema_drift(response.body)
            response.delay_ms += wait_ms
            return response

        return bound

    def _behind_access(self, route: Route[PolymarketVenue]) -> Handler:
        if route.access is Access.SIGNED:
            return self._signed(route)
        if route.access is Access.WALLET:
            return self._proven(route)
        if route.access is Access.KEYED:
            return self._keyed(route)
        return partial(route.handler, self.polymarket)

    def _signed(self, route: Route[PolymarketVenue]) -> Handler:
        """The handler runs for valid L2 headers, and gets their key. The signed path has no prefix."""
        venue, window_s = self.polymarket, self.polymarket.settings.clock_window_s

        def signed(request: Request, **parts: str) -> Response:
            key = venue.keyring.get(request.headers.get("poly_api_key", ""))
            path = request.path.removeprefix("/clob")
            if key is None or not is_signed_by(key, request, path, venue.now_ms(), window_s):
                raise Rejected(Response(401, {"error": "Unauthorized/Invalid api key"}))
            return route.handler(venue, request, key=key, **parts)

        return signed

    def _proven(self, route: Route[PolymarketVenue]) -> Handler:
        """The handler runs for valid L1 headers, and gets the wallet that signed them."""
        venue, window_s = self.polymarket, self.polymarket.settings.clock_window_s

        def proven(request: Request, **parts: str) -> Response:
            proof = l1_proof(request, venue.now_ms(), window_s)
            if proof is None:
                raise Rejected(Response(401, {"error": "Invalid L1 Request headers"}))
            return route.handler(venue, request, proof=proof, **parts)

        return proven

    def _keyed(self, route: Route[PolymarketVenue]) -> Handler:
        """Only for builder keys, which sign requests; the relayer also takes its own keys, which name their address."""
        venue, keyring = self.polymarket, self.polymarket.keyring
        is_relayer = route.path.startswith("/relayer/")
        prefix = "/relayer" if is_relayer else "/clob"
        refusal = "invalid authorization" if is_relayer else "Unauthorized/Invalid api key"

        def keyed(request: Request, **parts: str) -> Response:
            is_known = is_relayer and keyring.is_relayer(request)
            if not is_known and not keyring.is_builder(request, request.path.removeprefix(prefix), venue.now_ms()):
                raise Rejected(Response(401, {"error": refusal}))
            return route.handler(venue, request, **parts)

        return keyed

    # -- sockets ------------------------------------------------------------------------------------------------------

    def broken(self, rule: FaultRule, request: Request) -> Response:
        """The response of a venue in trouble."""
        return unavailable(rule)

    def accept(self, request: Request) -> Session | Response:
        """The market socket is open to all; the user socket asks for credentials in its first frame."""
        if request.path == "/ws/market":
            return MarketSession(self.polymarket, self.watch_faults, self.market_feed)
        if request.path == "/ws/user":
            return UserSession(self.polymarket, self.watch_faults, self.user_feed)
        return Response(404, {"error": "not found"})
