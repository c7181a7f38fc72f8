"""The Kalshi sandbox as its clients see it: routes, signatures, rate limits, caches; the socket's part is the hub's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultRule
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.fault_injection import FaultySurface
from streams.sandbox.http.response_cache import AnswerCache
from streams.sandbox.http.schema_drift import with_novelties
from streams.sandbox.http.server import Handler, Request, Response, Router, Session
from streams.sandbox.kalshi.archive import ArchiveRest
from streams.sandbox.kalshi.auth import KalshiKey, authenticate
from streams.sandbox.kalshi.errors import nested, too_many_requests
from streams.sandbox.kalshi.fee_changes import FeeChanges
from streams.sandbox.kalshi.identity import market_uuid
from streams.sandbox.kalshi.limits import TIERS, Bucket, KeyBuckets, cost_of
from streams.sandbox.kalshi.maintenance import pause_end_ms
from streams.sandbox.kalshi.objects import market_object
from streams.sandbox.kalshi.order_groups import OrderGroups
from streams.sandbox.kalshi.paging import BadParameter
from streams.sandbox.kalshi.routes.account import AccountRest
from streams.sandbox.kalshi.routes.batches import BatchRest
from streams.sandbox.kalshi.routes.candles import CandleRest
from streams.sandbox.kalshi.routes.exchange import ExchangeRest
from streams.sandbox.kalshi.routes.historical import HistoricalRest
from streams.sandbox.kalshi.routes.markets import MarketRest
from streams.sandbox.kalshi.routes.order_groups import GroupRest
from streams.sandbox.kalshi.routes.orders import OrderRest
from streams.sandbox.kalshi.routes.portfolio import PortfolioRest
from streams.sandbox.kalshi.routes.portfolio_orders import PortfolioOrderRest
from streams.sandbox.kalshi.routes.series import SeriesRest
from streams.sandbox.kalshi.routes.transfers import TransferRest
from streams.sandbox.kalshi.settings import KalshiFaceSettings
from streams.sandbox.kalshi.stream.broadcast import Broadcast
from streams.sandbox.kalshi.stream.socket import KalshiSession
from streams.sandbox.kalshi.stream.subscriptions import Hub

PREFIX = "/trade-api/v2"
SOCKET_PATH = "/trade-api/ws/v2"
_AREAS = (
    ExchangeRest, SeriesRest, MarketRest, CandleRest, HistoricalRest, OrderRest, BatchRest, GroupRest, PortfolioRest,
    PortfolioOrderRest, ArchiveRest, TransferRest, AccountRest,
)  # fmt: skip


class KalshiFace(FaultySurface):
    """Serves one exchange in Kalshi's words.

    Args:
        exchange: What is served.
        keys: Known API keys by id.
        clock: The venue's clock, milliseconds.
        commit: Makes what happened durable; called before a write is answered.
        settings: What the venue's papers leave open.
    """

    venue = Venue.KALSHI

    def __init__(
        self,
        exchange: Exchange,
        keys: dict[str, KalshiKey],
        clock: Callable[[], int],
        commit: Callable[[], None],
        settings: KalshiFaceSettings | None = None,
    ) -> None:
        super().__init__(exchange)
        self.keys = keys
        self.now_ms = clock
        self.commit = commit
        self.settings = settings or KalshiFaceSettings()
        exchange.payout_step_e6 = self.settings.scalar_payout_step_e6
        self.events: dict[str, list[ListedMarket]] = {}
        self.series: dict[str, list[ListedMarket]] = {}
        self.tickers: dict[str, str] = {}
        self.hub = Hub()
        self.broadcast = Broadcast(self)
        self.fees = FeeChanges(exchange, self.hub.tell_fee_update)
        self.groups = OrderGroups(exchange, self.hub, self.settings, clock)
        self.lingering_ms: dict[str, int] = {}
        self._client_ids: dict[str, dict[str, int]] = {}
        self._buckets: dict[str, KeyBuckets] = {}
        self._unsigned: Bucket | None = None
        self._cache = AnswerCache()
        self._router = Router()
        for area in _AREAS:
            area(self).register(self._router)
        exchange.listeners.append(self.broadcast)

    # -- HTTP -------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        found = self._router.find(request.method, request.path[len(PREFIX) :])
        if found is None or not request.path.startswith(PREFIX + "/"):
            return nested(404, "not_found")
        self.fees.apply_due(self.now_ms())
        handler, arguments = found
        try:
            response = handler(request, **arguments)
        except BadParameter as error:
            return error.response
        if self.groups.trip_pending():
            self.commit()
        if self.settings.has_novelties and isinstance(response.body, dict) and response.status < 300:
            response.body = with_novelties(response.body)
        return response

    def tick(self, now_ms: int) -> None:
        """Let time pass: fees change, the weekly maintenance begins."""
        self.fees.apply_due(now_ms)
        if self.settings.keeps_maintenance and self.exchange.mode == "open":
            end_ms = pause_end_ms(now_ms)
            if end_ms is not None:
                self.exchange.set_mode("trading_paused", now_ms, until_ms=end_ms)

    def public(self, handler: Callable[..., Response]) -> Handler:
        """Wrap a handler that needs no signature: who sends a known key pays with its tokens."""

        def paid(request: Request, **arguments: str) -> Response:
            key = self.keys.get(request.headers.get("kalshi-access-key", ""))
            refused = self._pay_read(request, None if key is None else key.key_id)
            return refused or handler(request, **arguments)

        return paid

    def cached(self, handler: Callable[..., Response], most_ms: int = 2**31) -> Handler:
        """Wrap a public handler whose answers the venue's edge keeps for a while."""

        def kept(request: Request, **arguments: str) -> Response:
            age_ms = min(self.exchange.behaviour.list_cache_ms, most_ms)
            return self._cache.answer(request, age_ms, self.now_ms(), lambda: handler(request, **arguments))

        return self.public(kept)

    def signed(self, handler: Callable[..., Response], *, pays_itself: bool = False) -> Handler:
        """Wrap a handler so that it runs only for a valid signature, with the key that made it.

        `pays_itself`: The handler knows which shards' write buckets to charge, and how much.
        """

        def checked(request: Request, **arguments: str) -> Response:
            key = authenticate(request, self.keys, self.now_ms(), self.exchange.behaviour.clock_window_ms)
            if isinstance(key, Response):
                return key
            if not key.may(request.method, request.path):
                return nested(403, self.settings.scope_code)
            if request.method == "GET":
                refused = self._pay_read(request, key.key_id)
            elif pays_itself:
                refused = None
            else:
                refused = self.pay_write(key, cost_of(request.method, request.path[len(PREFIX) :]), (0,))
            return refused or handler(request, key, **arguments)

        return checked

    def pay_write(self, key: KalshiKey, cost: int, shards: Sequence[int]) -> Response | None:
        """Charge a write to the buckets of these shards; the 429 when one of them is too empty."""
        buckets = self._key_buckets(key.key_id)
        if buckets is None or buckets.take_write(cost, shards, self.now_ms()):
            return None
        return too_many_requests(self.settings)

    def _pay_read(self, request: Request, key_id: str | None) -> Response | None:
        now_ms = self.now_ms()
        if key_id is not None:
            buckets = self._key_buckets(key_id)
            cost = cost_of(request.method, request.path[len(PREFIX) :])
            is_paid = buckets is None or buckets.take_read(cost, now_ms)
            return None if is_paid else too_many_requests(self.settings)
        rate = self.settings.unsigned_reads_per_s
        if rate is None or self.exchange.behaviour.kalshi_tier is None:
            return None
        self._unsigned = self._unsigned or Bucket(rate, rate * 3)
        if not self._unsigned.has(1, now_ms):
            return too_many_requests(self.settings)
        self._unsigned.take(1)
        return None

    def _key_buckets(self, key_id: str) -> KeyBuckets | None:
        name = self.exchange.behaviour.kalshi_tier
        if name is None:
            return None
        buckets = self._buckets.get(key_id)
        if buckets is None or buckets.tier != TIERS[name]:
            buckets = self._buckets[key_id] = KeyBuckets(TIERS[name])
        return buckets

    def broken(self, rule: FaultRule, request: Request) -> Response:
        """A venue in trouble still tells its status, under the error's status code."""
        if request.path != f"{PREFIX}/exchange/status":
            return super().broken(rule, request)
        answer = self.answer(request)
        answer.status = rule.status
        return answer

    def accept(self, request: Request) -> Session | Response:
        """Every socket needs a signature on its upgrade, whose refusals are flat."""
        if request.path != SOCKET_PATH:
            return nested(404, "not_found")
        key = authenticate(request, self.keys, self.now_ms(), self.exchange.behaviour.clock_window_ms)
        if not isinstance(key, Response):
            if self.hub.connections.get(key.account_id, 0) >= self.settings.max_connections:
                return too_many_requests(self.settings)
            return KalshiSession(self, key)
        error: dict[str, Any] = key.body["error"]
        if error["code"] == "signature_is_missing_from_headers":
            return Response(401, {"code": "token_authentication_failure"})
        return Response(401, {name: value for name, value in error.items() if name != "message"})

    # -- what several areas need --------------------------------------------------------------------------------------

    def market_body(self, listed: ListedMarket) -> dict[str, Any]:
        """One market as lists and single reads show it."""
        return market_object(listed)

    def is_archived(self, listed: ListedMarket, now_ms: int) -> bool:
        """Whether a market has moved to the historical tier."""
        return listed.settled_ms is not None and listed.settled_ms < now_ms - self.settings.archive_after_ms

    def client_ids(self, account_id: str) -> dict[str, int]:
        """The client order ids an account has used, with the time; canceled orders keep theirs."""
        if account_id not in self._client_ids:
            self._client_ids[account_id] = {
                ticket.request.client_order_id: ticket.created_ms
                for ticket in self.exchange.tickets.values()
                if ticket.request.account_id == account_id and ticket.request.client_order_id
            }
        return self._client_ids[account_id]

    def note_listing(self, listed: ListedMarket) -> None:
        """Index a market by event and series."""
        self.events.setdefault(listed.market.event_id, []).append(listed)
        self.series.setdefault(listed.market.series_id, []).append(listed)
        self.tickers[market_uuid(listed.market_id)] = listed.market_id
        self.fees.refresh(listed, self.now_ms())

    def forget_listing(self, listed: ListedMarket) -> None:
        """Drop a market from the indexes."""
        self.tickers.pop(market_uuid(listed.market_id), None)
        for index, name in ((self.events, listed.market.event_id), (self.series, listed.market.series_id)):
            left = [one for one in index.get(name, ()) if one is not listed]
            if left:
                index[name] = left
            else:
                index.pop(name, None)
