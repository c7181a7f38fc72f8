"""The life of a market: listed, paused, reactivated, closed, determined. It is paid by `settlement`."""

from __future__ import annotations

from streams.market.errors import Refused
from streams.sandbox.core.model import DetermineMarket, ListMarket
from streams.sandbox.core.records import ListedMarket, fee_schedule_of
from streams.sandbox.core.shards import shard_of
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.order_entry import OrderEntry
from streams.sandbox.exchange.state import ExchangeState
from streams.sandbox.exchange.trade_capture import TradeCapture


class MarketLifecycle:
    """Moves markets from one state to the next."""

    def __init__(self, state: ExchangeState, feed: ChangeFeed, capture: TradeCapture, order_entry: OrderEntry) -> None:
        self._state = state
        self._feed = feed
        self._capture = capture
        self._order_entry = order_entry

    def list_market(self, listing: ListMarket, now_ms: int, number: int | None = None) -> ListedMarket:
        """List a market; one that is listed already stays as it is. `number` is given when a journal is restored."""
        state, market = self._state, listing.market
        known = state.markets.get(market.market_id)
        if known is not None:
            return known
        least, step = (1, 1) if state.rules.takes_any_size else (market.min_size_e6, market.size_step_e6)
        book = state.engine.add_market(market.market_id, market.price_ranges, least, step)
        listed = ListedMarket(market, listing.event, book, fee_schedule_of(market), now_ms)
        state.listed_count = max(state.listed_count + 1, number or 0)
        listed.number = number or state.listed_count
        listed.shard = state.accounts.shards[market.market_id] = shard_of(listing.event, market)
        listed.price_ranges = market.price_ranges
        listed.last_price_e4 = 0
        listed.volume_e6 = market.volume_contracts * 1_000_000
        listed.interest_e6 = listed.volume_e6 // 3
        listed.updated_ms = now_ms
        state.markets[market.market_id] = listed
        if state.rules.returns_collateral:
            state.collateral.list_market(listed)
        state.changes.listings.append(market.market_id)
        self._feed.publish_lifecycle(listed, "created", now_ms)
        return listed

    def pause(self, market_id: str, now_ms: int) -> None:
        """Stop trading in one market; what rests stays, and can be cancelled. Orders are refused `market_paused`.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        listed = self._live(market_id)
        if listed.status == "open":
            self._state.engine.pause(market_id)
            listed.status = "paused"
            self._feed.publish_lifecycle(listed, "paused", now_ms)

    def reactivate(self, market_id: str, now_ms: int) -> None:
        """Go on with trading; what rested through the pause is cancelled.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        listed = self._live(market_id)
        if listed.status == "paused":
            self._state.engine.reactivate(market_id)
            listed.status = "open"
            self._capture.publish(market_id, now_ms)
            self._feed.publish_lifecycle(listed, "reactivated", now_ms)

    def close_early(self, market_id: str, now_ms: int) -> None:
        """End trading before the planned time.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        self.close(self._live(market_id), now_ms)

    def change_close(self, market_id: str, close_ms: int, now_ms: int) -> None:
        """Plan another end of trading.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        listed = self._live(market_id)
        listed.change_close(close_ms)
        self._feed.publish_lifecycle(listed, "close_changed", now_ms)

    def close(self, listed: ListedMarket, now_ms: int) -> None:
        """End trading, if it has not ended: what rests or is held ends with it."""
        if listed.status not in ("open", "paused"):
            return
        self._state.engine.close(listed.market_id)
        listed.status, listed.closed_ms = "closed", now_ms
        self._capture.publish(listed.market_id, now_ms)
        self._order_entry.end_held(listed.market_id, now_ms)
        self._feed.publish_lifecycle(listed, "closed", now_ms)

    def determine(self, listed: ListedMarket, result: DetermineMarket, now_ms: int) -> None:
        """Note the result of a market that has none yet; it closes if it was still open."""
        if listed.status not in ("open", "paused", "closed"):
            return
        self.close(listed, now_ms)
        listed.status, listed.determined_ms = "determined", now_ms
        listed.result, listed.settlement_e4 = result.result, result.settlement_e4
        self._feed.publish_lifecycle(listed, "determined", now_ms)

    def _live(self, market_id: str) -> ListedMarket:
        listed = self._state.markets.get(market_id)
        if listed is None:
            raise Refused("market_not_found")
        if listed.status not in ("open", "paused"):
            raise Refused("market_closed")
        return listed
