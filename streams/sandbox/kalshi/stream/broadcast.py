"""From what the exchange reports to what subscribers get."""

from __future__ import annotations

from collections.abc import Sequence

from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.records import LifecycleMoment, ListedMarket, Listener, OrderRecord, Trade, TradeSide
from streams.sandbox.kalshi.stream import messages
from streams.sandbox.kalshi.stream.subscriptions import BOOKS, LIFECYCLE, Subscription, Subscriptions, publish
from streams.sandbox.kalshi.venue import KalshiVenue


class Broadcast(Listener):
    """Publishes the exchange's reports, and keeps the venue's listings up to date with them."""

    def __init__(self, venue: KalshiVenue, subscriptions: Subscriptions) -> None:
        self._venue = venue
        self._subscriptions = subscriptions
        self._settings = venue.settings
        self._last_sizes: dict[str, int] = {}
        self._tops: dict[str, tuple[int | None, int, int | None, int]] = {}

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """Deltas, prints, and the ticker when best prices or the last trade changed."""
        ticker = listed.market_id
        if changes and (subscriptions := self._subscriptions.of_market(BOOKS, ticker)):
            for change in changes:
                self._publish_change(ticker, change, subscriptions, now_ms)
        if trades:
            if subscriptions := self._subscriptions.of_market("trade", ticker):
                for trade in trades:
                    publish(subscriptions, "trade", messages.public_trade(trade, self._settings))
            self._last_sizes[ticker] = trades[-1].size_e6
        if (trades or changes) and (subscriptions := self._subscriptions.of_market("ticker", ticker)):
            self._publish_ticker(listed, subscriptions, now_ms, has_traded=bool(trades))

    def _publish_change(
        self, ticker: str, change: LevelChanged, subscriptions: Sequence[Subscription], now_ms: int
    ) -> None:
        """Send a level's change, rendered once for all who see it alike."""
        is_taggable = not change.order.is_house and (change.cause != "traded" or self._settings.tags_own_fills)
        rendered: dict[tuple[bool, bool], bytes] = {}
        for subscription in subscriptions:
            is_tagged = is_taggable and change.order.account == subscription.account_id
            view = (subscription.use_yes_price, is_tagged)
            if view not in rendered:
                rendered[view] = messages.delta(ticker, change, *view, now_ms)
            subscription.subscriber.publish(subscription, BOOKS, rendered[view])

    def _publish_ticker(
        self, listed: ListedMarket, subscriptions: Sequence[Subscription], now_ms: int, *, has_traded: bool
    ) -> None:
        book, before = listed.book, self._tops.get(listed.market_id)
        bid = book.bids[book.best_bid].total_e6 if book.best_bid is not None else 0
        ask = book.asks[book.best_ask].total_e6 if book.best_ask is not None else 0
        top = self._tops[listed.market_id] = (book.best_bid, bid, book.best_ask, ask)
        if has_traded or top != before:
            publish(subscriptions, "ticker", self.ticker_body(listed, now_ms))

    def ticker_body(self, listed: ListedMarket, now_ms: int) -> dict[str, object]:
        """The ticker's message of a market as it stands."""
        return messages.ticker_update(listed, self._last_sizes.get(listed.market_id, 0), now_ms)

    def on_order(self, record: OrderRecord, listed: ListedMarket, now_ms: int) -> None:
        """An own order changed."""
        owner = self._subscriptions.of_owner("user_orders", listed.market_id, record.request.account_id)
        if owner:
            publish(owner, "user_order", messages.user_order(record, listed, self._settings, self._venue.order_change))

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        """An own fill, and the position after it."""
        exchange, account_id, ticker = self._venue.exchange, side.account_id, listed.market_id
        record = exchange.state.orders[side.order_id]
        self._venue.groups.note_fill(record, trade.size_e6, now_ms)
        if owner := self._subscriptions.of_owner("fill", ticker, account_id):
            publish(owner, "fill", messages.fill(trade, side, record, listed, self._settings))
        if owner := self._subscriptions.of_owner("market_positions", ticker, account_id):
            position = exchange.state.accounts.accounts[account_id].position(ticker)
            publish(owner, "market_position", messages.market_position(account_id, ticker, position))

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """Index a new market, and publish the lifecycle channel's message."""
        if moment == "created":
            if listed.market.event_id not in self._venue.events:
                self._subscriptions.publish_to_all(LIFECYCLE, "event_lifecycle", messages.event_created(listed))
            self._venue.add_listing(listed)
        body = messages.lifecycle(listed, moment, now_ms)
        if body is not None:
            self._subscriptions.publish_to_all(LIFECYCLE, LIFECYCLE, {"market_ticker": listed.market_id, **body})

    def publish_metadata(self, listed: ListedMarket) -> None:
        """A market's strikes or titles were changed."""
        listed.updated_ms = self._venue.now_ms()
        body = messages.metadata_updated(listed)
        self._subscriptions.publish_to_all(LIFECYCLE, LIFECYCLE, {"market_ticker": listed.market_id, **body})

    def on_evicted(self, listed: ListedMarket) -> None:
        """Drop what is stored about a market."""
        self._venue.evict_listing(listed)
        self._last_sizes.pop(listed.market_id, None)
        self._tops.pop(listed.market_id, None)
