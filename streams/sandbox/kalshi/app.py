"""The Kalshi sandbox as its clients see it: routes behind signatures, rate limits and caches, and the socket."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from streams.market.errors import Refused
from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultRule
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.fault_injection import FaultInjection, unavailable
from streams.sandbox.http.response_cache import ResponseCache
from streams.sandbox.http.routes import Access, Handler, Rejected, Route, router_of
from streams.sandbox.http.schema_drift import with_schema_drift
from streams.sandbox.http.server import Request, Response, Session
from streams.sandbox.kalshi.auth import KalshiKey, authenticate, scopes_of
from streams.sandbox.kalshi.errors import nested, response_to, too_many_requests
from streams.sandbox.kalshi.limits import cost_of
from streams.sandbox.kalshi.routes import (
    candles,
    exchange,
    historical,
    markets,
    order_groups,
    orders,
    portfolio,
    series,
    transfers,
)
from streams.sandbox.kalshi.routes.exchange import pause_end_ms
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.kalshi.stream.broadcast import Broadcast
from streams.sandbox.kalshi.stream.socket import KalshiSession
from streams.sandbox.kalshi.stream.subscriptions import Subscriptions
from streams.sandbox.kalshi.venue import KalshiVenue

PREFIX = "/trade-api/v2"
SOCKET_PATH = "/trade-api/ws/v2"
ROUTES: tuple[Route[KalshiVenue], ...] = (
    *exchange.ROUTES, *series.ROUTES, *markets.ROUTES, *candles.ROUTES, *historical.ROUTES, *orders.ROUTES,
    *order_groups.ROUTES, *portfolio.ROUTES, *transfers.ROUTES,
)  # fmt: skip


class KalshiApp:
    """Serves one exchange by Kalshi's API.

    Args:
        exchange: What is served.
        keys: Known API keys by id.
        clock: The venue's clock, milliseconds.
        commit: Makes what happened durable; called before a write is answered.
        settings: What the venue's papers leave open.

    Attributes:
        kalshi: The venue that handlers know.
        subscriptions: Who is subscribed to what, over all sockets.
        broadcast: Publishes the exchange's reports.
    """

    venue = Venue.KALSHI

    def __init__(
        self,
        exchange: Exchange,
        keys: dict[str, KalshiKey],
        clock: Callable[[], int],
        commit: Callable[[], None],
        settings: KalshiVenueSettings | None = None,
    ) -> None:
        self.exchange = exchange
        injection = FaultInjection(self, exchange.state.faults, lambda: exchange.state.profile)
        self.handle, self.open_session = injection.handle, injection.open_session
        self.watch_faults, self.reconsider_sockets = injection.watch_faults, injection.reconsider_sockets
        self.subscriptions = Subscriptions()
        self.kalshi = KalshiVenue(
            exchange, keys, clock, commit, settings or KalshiVenueSettings(), feeds=self.subscriptions
        )
        self.broadcast = Broadcast(self.kalshi, self.subscriptions)
        self._cache = ResponseCache()
        self._router = router_of(ROUTES, self._bind, PREFIX)
        exchange.state.listeners.append(self.broadcast)

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        found = self._router.find(request.method, request.path)
        if found is None:
            return nested(404, "not_found")
        venue, (handler, parts) = self.kalshi, found
        venue.fees.apply_due(venue.now_ms())
        try:
            response = handler(request, **parts)
        except (Rejected, Refused) as error:
            response = response_to(error, venue.settings)
        if venue.groups.trip_pending():
            venue.commit()
        if venue.settings.has_novelties and isinstance(response.body, dict) and response.status < 300:
            response.body = with_schema_drift(response.body)
        return response

    def tick(self, now_ms: int) -> None:
        """Let time pass: fees change, the weekly maintenance begins."""
        venue = self.kalshi
        venue.fees.apply_due(now_ms)
        if venue.settings.keeps_maintenance and venue.exchange.state.mode == "open":
            end_ms = pause_end_ms(now_ms)
            if end_ms is not None:
                venue.exchange.status.change("trading_paused", now_ms, until_ms=end_ms)

    def _bind(self, route: Route[KalshiVenue]) -> Handler:
        """Put a handler behind what its route asks for."""
        if route.access is Access.SIGNED:
            return self._signed(route)
        if route.access is Access.PUBLIC:
            return self._public(route)
        return partial(route.handler, self.kalshi)

    def _public(self, route: Route[KalshiVenue]) -> Handler:
        """No signature is needed; who sends a known key pays with its tokens."""
        venue, cost = self.kalshi, cost_of(route.method, route.path)

        def public(request: Request, **parts: str) -> Response:
            key_id = request.headers.get("kalshi-access-key", "")
            venue.pay_read(key_id if key_id in venue.keys else None, cost)
            if not route.cache_ms:
                return route.handler(venue, request, **parts)
            age_ms = min(venue.exchange.state.profile.list_cache_ms, route.cache_ms)
            make = partial(route.handler, venue, request, **parts)
            return self._cache.answer(request, age_ms, venue.now_ms(), make)

        return public

    def _signed(self, route: Route[KalshiVenue]) -> Handler:
        """The handler runs for a valid signature of a key with the scope, and gets that key."""
        venue, cost, scopes = self.kalshi, cost_of(route.method, route.path), scopes_of(route.method, route.path)

        def signed(request: Request, **parts: str) -> Response:
            key = authenticate(request, venue.keys, venue.now_ms(), venue.exchange.state.profile.clock_window_ms)
            if scopes.isdisjoint(key.scopes):
                raise Rejected(nested(403, venue.settings.scope_code))
            if route.method == "GET":
                venue.pay_read(key.key_id, cost)
            elif not route.pays_itself:
                venue.pay_write(key, cost, (0,))
            return route.handler(venue, request, key=key, **parts)

        return signed

    def broken(self, rule: FaultRule, request: Request) -> Response:
        """A venue in trouble still publishes its status, under the error's status code."""
        if request.path != f"{PREFIX}/exchange/status":
            return unavailable(rule)
        response = self.answer(request)
        response.status = rule.status
        return response

    # -- socket -------------------------------------------------------------------------------------------------------

    def accept(self, request: Request) -> Session | Response:
        """Every socket needs a signature on its upgrade, whose refusals are flat."""
        if request.path != SOCKET_PATH:
            return nested(404, "not_found")
        venue = self.kalshi
        try:
            key = authenticate(request, venue.keys, venue.now_ms(), venue.exchange.state.profile.clock_window_ms)
        except Rejected as rejected:
            error: dict[str, Any] = rejected.response.body["error"]
            if error["code"] == "signature_is_missing_from_headers":
                return Response(401, {"code": "token_authentication_failure"})
            return Response(401, {name: value for name, value in error.items() if name != "message"})
        if self.subscriptions.connections.get(key.account_id, 0) >= venue.settings.max_connections:
            return too_many_requests(venue.settings)
        return KalshiSession(venue, key, self.subscriptions, self.broadcast.ticker_body, self.watch_faults)
