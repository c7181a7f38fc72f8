"""The Kalshi venue as its handlers know it: one exchange, and what several areas of its routes and feeds share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.routes import Rejected
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import too_many_requests
from streams.sandbox.kalshi.fee_changes import FeeChanges
from streams.sandbox.kalshi.formats import market_uuid
from streams.sandbox.kalshi.limits import RateLimits, billed_shards
from streams.sandbox.kalshi.order_groups import OrderGroups
from streams.sandbox.kalshi.settings import KalshiVenueSettings


class Feeds(Protocol):
    """Where the venue publishes what no report of the exchange brings."""

    def publish_fee_override(self, body: dict[str, Any]) -> None:
        """An event's fee override took effect."""

    def publish_order_group(self, account_id: str, body: dict[str, Any]) -> None:
        """An account's order group changed."""


class KalshiVenue:
    """The venue's state beside its exchange.

    Args:
        exchange: What is served.
        keys: Known API keys by id.
        clock: The venue's clock, milliseconds.
        commit: Makes what happened durable; called before a write is answered.
        settings: What the venue's papers leave open.
        feeds: Where events of the venue's own are published.

    Attributes:
        events: Listed markets by event ticker, in the order of their listing.
        series: The same by series ticker.
        tickers: Tickers by the market's UUID.
        order_change: The request that is changing a resting order at the moment, empty for none.
        lingering_ms: Accounts whose new orders are cancelled too after a cancel-all, with the moment it ends.
    """

    def __init__(
        self,
        exchange: Exchange,
        keys: dict[str, KalshiKey],
        clock: Callable[[], int],
        commit: Callable[[], None],
        settings: KalshiVenueSettings,
        *,
        feeds: Feeds,
    ) -> None:
        self.exchange = exchange
        self.keys = keys
        self.now_ms = clock
        self.commit = commit
        self.settings = settings
        exchange.state.payout_step_e6 = settings.scalar_payout_step_e6
        self.events: dict[str, list[ListedMarket]] = {}
        self.series: dict[str, list[ListedMarket]] = {}
        self.tickers: dict[str, str] = {}
        self.fees = FeeChanges(exchange, feeds.publish_fee_override)
        self.groups = OrderGroups(exchange, feeds.publish_order_group, settings, clock)
        self.order_change = ""
        self.lingering_ms: dict[str, int] = {}
        self._client_ids: dict[str, dict[str, int]] = {}
        self._limits = RateLimits(settings.unsigned_reads_per_s)

    # -- rate limits --------------------------------------------------------------------------------------------------

    def pay_read(self, key_id: str | None, cost: int) -> None:
        """Charge a read to its key, or to what all callers without one share.

        Raises:
            Rejected: With the 429, if the bucket is too empty.
        """
        tier = self.exchange.state.profile.kalshi_tier
        if tier is None:
            return
        now_ms, limits = self.now_ms(), self._limits
        is_paid = (
            limits.acquire_unsigned(now_ms)
            if key_id is None
            else limits.buckets(key_id, tier).acquire_read(cost, now_ms)
        )
        if not is_paid:
            raise Rejected(too_many_requests(self.settings))

    def pay_write(self, key: KalshiKey, cost: int, shards: Sequence[int]) -> None:
        """Charge a write to the buckets of these shards.

        Raises:
            Rejected: With the 429, if one of them is too empty.
        """
        tier = self.exchange.state.profile.kalshi_tier
        if tier is None:
            return
        if not self._limits.buckets(key.key_id, tier).acquire_write(cost, shards, self.now_ms()):
            raise Rejected(too_many_requests(self.settings))

    def pay_order(self, key: KalshiKey, cost: int, shard: Any, *, is_routed: bool) -> None:
        """Charge the write of a single order to its shard; `is_routed`: it names a ticker to be found by.

        Raises:
            Rejected: With the 429, if a bucket is too empty.
        """
        if self.exchange.state.profile.kalshi_tier is not None:
            self.pay_write(key, cost, billed_shards(shard, is_routed=is_routed))

    # -- orders -------------------------------------------------------------------------------------------------------

    def client_ids(self, account_id: str) -> dict[str, int]:
        """The client order ids an account has used, with the time; canceled orders keep theirs."""
        if account_id not in self._client_ids:
            self._client_ids[account_id] = {
                record.request.client_order_id: record.created_ms
                for record in self.exchange.state.orders.values()
                if record.request.account_id == account_id and record.request.client_order_id
            }
        return self._client_ids[account_id]

    @contextmanager
    def because(self, change: str) -> Iterator[None]:
        """Name the request that changes a resting order meanwhile: `Amend` or `Decrease`."""
        self.order_change = change
        try:
            yield
        finally:
            self.order_change = ""

    # -- listings -----------------------------------------------------------------------------------------------------

    def is_archived(self, listed: ListedMarket) -> bool:
        """Whether a market has moved to the historical tier."""
        return listed.settled_ms is not None and listed.settled_ms < self.now_ms() - self.settings.archive_after_ms

    def live_market(self, ticker: str) -> ListedMarket | None:
        """A market of the live tier, None when there is none of this ticker."""
        listed = self.exchange.state.markets.get(ticker)
        return None if listed is None or self.is_archived(listed) else listed

    def add_listing(self, listed: ListedMarket) -> None:
        """Index a market by event, series and UUID, and give it the fees in force."""
        self.events.setdefault(listed.market.event_id, []).append(listed)
        self.series.setdefault(listed.market.series_id, []).append(listed)
        self.tickers[market_uuid(listed.market_id)] = listed.market_id
        self.fees.refresh(listed, self.now_ms())

    def evict_listing(self, listed: ListedMarket) -> None:
        """Drop a market from the indexes."""
        self.tickers.pop(market_uuid(listed.market_id), None)
        for index, name in ((self.events, listed.market.event_id), (self.series, listed.market.series_id)):
            left = [one for one in index.get(name, ()) if one is not listed]
            if left:
                index[name] = left
            else:
                index.pop(name, None)
