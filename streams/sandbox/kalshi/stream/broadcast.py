"""From what the exchange reports to what subscribers are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.records import LifecycleMoment, ListedMarket, Listener, Ticket, Trade, TradeSide
from streams.sandbox.kalshi.stream import messages
from streams.sandbox.kalshi.stream.subscription import BOOKS, Subscription
from streams.sandbox.kalshi.stream.subscriptions import LIFECYCLE

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace


class Broadcast(Listener):
    """The face's ears."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._hub = face.hub
        self._settings = face.settings
        self._change = ""
        self._last_sizes: dict[str, int] = {}
        self._tops: dict[str, tuple[int | None, int, int | None, int]] = {}

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """Deltas, prints, and the ticker when best prices or the last trade changed."""
        ticker = listed.market_id
        subscriptions = self._hub.interested(BOOKS, ticker) if changes else ()
        for change in changes if subscriptions else ():
            self._tell_change(ticker, change, subscriptions, now_ms)
        printed = self._hub.interested("trade", ticker) if trades else ()
        for trade in trades if printed else ():
            message = orjson.dumps(messages.public_trade(trade, self._settings))
            for subscription in printed:
                subscription.send("trade", message)
        if trades:
            self._last_sizes[ticker] = trades[-1].size_e6
        if trades or changes:
            self._tell_ticker(listed, now_ms, has_traded=bool(trades))

    def _tell_change(
        self, ticker: str, change: LevelChanged, subscriptions: Sequence[Subscription], now_ms: int
    ) -> None:
        """Send a level's change, rendered once for all who see it alike."""
        is_taggable = not change.order.is_house and (change.cause != "traded" or self._settings.tags_own_fills)
        rendered: dict[tuple[bool, bool], bytes] = {}
        for subscription in subscriptions:
            is_tagged = is_taggable and change.order.account == subscription.session.key.account_id
            look = (subscription.use_yes_price, is_tagged)
            if look not in rendered:
                rendered[look] = messages.delta(ticker, change, *look, now_ms)
            subscription.send(BOOKS, rendered[look])

    def _tell_ticker(self, listed: ListedMarket, now_ms: int, *, has_traded: bool) -> None:
        members = self._hub.interested("ticker", listed.market_id)
        if not members:
            return
        book, before = listed.book, self._tops.get(listed.market_id)
        bid = book.bids[book.best_bid].total_e6 if book.best_bid is not None else 0
        ask = book.asks[book.best_ask].total_e6 if book.best_ask is not None else 0
        top = self._tops[listed.market_id] = (book.best_bid, bid, book.best_ask, ask)
        if has_traded or top != before:
            message = orjson.dumps(self.ticker_body(listed, now_ms))
            for subscription in members:
                subscription.send("ticker", message)

    def ticker_body(self, listed: ListedMarket, now_ms: int) -> dict[str, object]:
        """The ticker's message of a market as it stands."""
        return messages.ticker_update(listed, self._last_sizes.get(listed.market_id, 0), now_ms)

    def on_ticket(self, ticket: Ticket, listed: ListedMarket, now_ms: int) -> None:
        """An own order changed."""
        body = messages.user_order(ticket, listed, self._settings, self._change)
        self._hub.to_owner("user_orders", "user_order", ticket.request.account_id, listed.market_id, body)

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        """An own fill, and the position after it."""
        exchange, account_id, ticker = self._face.exchange, side.account_id, listed.market_id
        ticket = exchange.tickets[side.order_id]
        self._face.groups.note_fill(ticket, trade.size_e6, now_ms)
        body = messages.fill(trade, side, ticket, listed, self._settings)
        self._hub.to_owner("fill", "fill", account_id, ticker, body)
        position = exchange.accounts.accounts[account_id].position(ticker)
        state = messages.market_position(account_id, ticker, position)
        self._hub.to_owner("market_positions", "market_position", account_id, ticker, state)

    @contextmanager
    def because(self, change: str) -> Iterator[None]:
        """Name the request that changes a resting order meanwhile: `Amend` or `Decrease`."""
        self._change = change
        try:
            yield
        finally:
            self._change = ""

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """Keep the face's indexes and tell the lifecycle channel."""
        if moment == "created":
            if listed.market.event_id not in self._face.events:
                self._hub.to_all(LIFECYCLE, "event_lifecycle", messages.event_created(listed))
            self._face.note_listing(listed)
        body = messages.lifecycle(listed, moment, now_ms)
        if body is not None:
            self._hub.to_all(LIFECYCLE, LIFECYCLE, {"market_ticker": listed.market_id, **body})

    def tell_metadata(self, listed: ListedMarket) -> None:
        """A market's strikes or titles were changed."""
        listed.updated_ms = self._face.now_ms()
        body = messages.metadata_updated(listed)
        self._hub.to_all(LIFECYCLE, LIFECYCLE, {"market_ticker": listed.market_id, **body})

    def on_forgotten(self, listed: ListedMarket) -> None:
        """Drop what was kept of a market."""
        self._face.forget_listing(listed)
        self._last_sizes.pop(listed.market_id, None)
        self._tops.pop(listed.market_id, None)
