"""A pure price-time matching engine: one YES book per market, integers only, no clock, no accounts, no wire.

Buying NO at q is selling YES at 1 - q, so every order is a bid or an ask of YES. Whoever calls states the time and has
already checked that the account can pay; the engine says what happened as a list of events, in order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from streams.market.errors import Refused
from streams.market.identity import Side
from streams.market.units import PRICE_ONE_E4, cash_e6_of
from streams.sandbox.core.book import (
    EndReason,
    EngineEvent,
    Level,
    LevelCause,
    LevelChanged,
    MarketBook,
    Order,
    OrderEnded,
    OrderRested,
    Traded,
)


class MatchingEngine:
    """All books of one venue. Every method that changes something appends to `events`; the caller drains them."""

    def __init__(self) -> None:
        self.books: dict[str, MarketBook] = {}
        self.orders: dict[str, Order] = {}
        self.events: list[EngineEvent] = []
        self.rested = 0
        self._expiries: list[tuple[int, str]] = []

    def drain(self) -> list[EngineEvent]:
        """Return what happened since the last call, in order."""
        events, self.events = self.events, []
        return events

    # -- markets ----------------------------------------------------------------------------------------------------

    def add_market(
        self, market_id: str, price_ranges: tuple[tuple[int, int, int], ...], min_size_e6: int, size_step_e6: int
    ) -> MarketBook:
        """Open a book; a market that is already known keeps its book."""
        if market_id not in self.books:
            self.books[market_id] = MarketBook(market_id, price_ranges, min_size_e6, size_step_e6)
        return self.books[market_id]

    def change_grid(self, market_id: str, price_ranges: tuple[tuple[int, int, int], ...]) -> None:
        """Change a market's valid prices; resting orders stay where they are."""
        self.books[market_id].price_ranges = price_ranges

    def evict(self, market_id: str) -> None:
        """Drop the book of a market that has ended; nothing rests there any more."""
        self.books.pop(market_id, None)

    def close(self, market_id: str) -> None:
        """End trading and cancel everything that rests."""
        book = self.books[market_id]
        book.is_open = False
        self._clear(book, "closed")

    def pause(self, market_id: str) -> None:
        """Refuse new orders; what rests stays."""
        self.books[market_id].is_open = False

    def reactivate(self, market_id: str) -> None:
        """Open again. As at the venue, what rested through the pause is cancelled."""
        book = self.books[market_id]
        self._clear(book, "reactivated")
        book.is_open = True

    def expire(self, now_ms: int) -> Iterator[str]:
        """Cancel the orders whose time has come, one by one; yields the market of each for its events to be drained."""
        while self._expiries and self._expiries[0][0] <= now_ms:
            _, order_id = heapq.heappop(self._expiries)
            order = self.orders.get(order_id)
            if order is not None and order.expires_ms is not None and order.expires_ms <= now_ms:
                self._remove(order, "expired")
                yield order.market_id

    # -- orders -----------------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Match an order and let the rest of it rest or end, as its time in force says.

        Raises:
            Refused: `market_closed`, `invalid_price`, `invalid_size`, `duplicate`, `post_only_cross`,
                `fok_unfilled`. Nothing has changed then.
        """
        self.check(order)
        self.enter(order)

    def enter(self, order: Order) -> None:
        """Match an order that `check` has let through.

        Raises:
            Refused: `post_only_cross`, `fok_unfilled`. Nothing has changed then.
        """
        if order.is_post_only and self.would_cross(order):
            raise Refused("post_only_cross")
        if order.tif == "fok" and not self.can_fill(order):
            raise Refused("fok_unfilled")
        self._place(self.books[order.market_id], order)

    def replace(self, order_id: str, price_e4: int, remaining_e6: int) -> None:
        """Give a resting order another price and size: it loses its place, and is matched again.

        A post-only order that would cross at the new price ends. The caller has checked price and size.
        """
        order = self.orders[order_id]
        book = self.books[order.market_id]
        self._take_out(order)
        order.price_e4, order.remaining_e6, order.sequence = price_e4, remaining_e6, 0
        if order.is_post_only and self.would_cross(order):
            self.events.append(OrderEnded(order, "post_only_cross"))
        else:
            self._place(book, order)

    def _place(self, book: MarketBook, order: Order) -> None:
        reason = self._match(book, order)
        if reason is None and order.tif in ("ioc", "fok"):
            reason = "immediate"
        if reason is None:
            self.rest(order)
        else:
            self.events.append(OrderEnded(order, reason))

    def check(self, order: Order) -> MarketBook:
        """Return the order's book, or refuse what no book would take."""
        book = self.books.get(order.market_id)
        if book is None:
            raise Refused("market_not_found")
        if not book.is_open:
            raise Refused("market_closed")
        if not book.is_on_grid(order.price_e4):
            raise Refused("invalid_price")
        if order.spend_e6 is None and (order.size_e6 < book.min_size_e6 or order.size_e6 % book.size_step_e6):
            raise Refused("invalid_size")
        if order.order_id in self.orders:
            raise Refused("duplicate")
        return book

    def cancel(self, order_id: str, reason: EndReason = "canceled") -> Order | None:
        """Take an order out of its book; None when it does not rest there."""
        order = self.orders.get(order_id)
        if order is not None:
            self._remove(order, reason)
        return order

    def set_expiry(self, order_id: str, expires_ms: int | None) -> None:
        """Change when a resting order ends; it keeps its place in the queue."""
        order = self.orders[order_id]
        order.expires_ms = expires_ms
        order.tif = "gtc" if expires_ms is None else "gtd"
        if expires_ms is not None:
            heapq.heappush(self._expiries, (expires_ms, order_id))

    def reduce(self, order_id: str, to_e6: int) -> None:
        """Shrink a resting order; it keeps its place in the queue."""
        order = self.orders[order_id]
        book = self.books[order.market_id]
        level = book.side(order.side)[order.price_e4]
        change = to_e6 - order.remaining_e6
        order.remaining_e6 = to_e6
        level.total_e6 += change
        self._level_event(book, order, change, level.total_e6, "canceled")

    def rest(self, order: Order) -> None:
        """Put an order at the end of its level's queue without matching.

        Also used when a journal is restored, in the order of the sequences, which are kept then.
        """
        book = self.books[order.market_id]
        levels = book.side(order.side)
        level = levels.get(order.price_e4)
        if level is None:
            level = levels[order.price_e4] = Level()
            if order.side == "bid":
                book.best_bid = order.price_e4 if book.best_bid is None else max(book.best_bid, order.price_e4)
            else:
                book.best_ask = order.price_e4 if book.best_ask is None else min(book.best_ask, order.price_e4)
        level.orders[order.order_id] = order
        self.orders[order.order_id] = order
        order.sequence = order.sequence or self.rested + 1
        self.rested = max(self.rested, order.sequence)
        if order.expires_ms is not None:
            heapq.heappush(self._expiries, (order.expires_ms, order.order_id))
        level.total_e6 += order.remaining_e6
        self._level_event(book, order, order.remaining_e6, level.total_e6, "placed")
        self.events.append(OrderRested(order))

    # -- looking ahead ----------------------------------------------------------------------------------------------

    def preview(self, order: Order) -> list[tuple[int, int]]:
        """Return [(price_e4, size_e6)] that the order would trade right now, best first, without changing anything."""
        remaining, spend = order.remaining_e6, order.spend_e6
        found: list[tuple[int, int]] = []
        for resting in self.crossing(order):
            if resting.account == order.account:
                if order.self_trade == "taker_at_cross":
                    break
                continue
            size, spend = _take(order.side, resting.price_e4, min(resting.remaining_e6, remaining), spend)
            found.append((resting.price_e4, size))
            remaining -= size
            if remaining == 0 or spend == 0:
                break
        return found

    def can_fill(self, order: Order) -> bool:
        """Whether enough rests at the order's price to fill it whole (to spend its money, where money bounds it).

        Own orders count: a fill-or-kill order that meets them is stopped there and keeps what it has, as at the venue.
        """
        missing, spend = order.remaining_e6, order.spend_e6
        for resting in self.crossing(order):
            size, spend = _take(order.side, resting.price_e4, min(resting.remaining_e6, missing), spend)
            missing -= size
            if missing == 0 or spend == 0:
                return True
        return False

    def would_cross(self, order: Order) -> bool:
        """Whether the order's price reaches the best of the other side."""
        return self._reached(self.books[order.market_id], order) is not None

    def crossing(self, order: Order) -> Iterator[Order]:
        """The resting orders that an order's price reaches, in the order they would trade."""
        book, is_bid = self.books[order.market_id], order.side == "bid"
        levels = book.asks if is_bid else book.bids
        for price in sorted(levels, reverse=not is_bid):
            if price > order.price_e4 if is_bid else price < order.price_e4:
                return
            yield from levels[price].orders.values()

    # -- inner ------------------------------------------------------------------------------------------------------

    def _match(self, book: MarketBook, order: Order) -> EndReason | None:
        """Trade against the other side; why that ended the order (`filled`, `self_trade`), None if some is left."""
        against: Side = "ask" if order.side == "bid" else "bid"
        while not order.is_exhausted:
            price = self._reached(book, order)
            if price is None:
                return None
            level = book.side(against)[price]
            before, mark = level.total_e6, len(self.events)
            is_stopped, last = self._consume(order, level, price)
            if not level.orders:
                del book.side(against)[price]
                book.refresh_best(against)
            if level.total_e6 != before:
                change = level.total_e6 - before
                has_traded = any(isinstance(event, Traded) for event in self.events[mark:])
                cause: LevelCause = "traded" if has_traded else "canceled"
                self._level_event(book, last, change, level.total_e6, cause)
            if is_stopped:
                return "self_trade"
        return "filled"

    def _consume(self, order: Order, level: Level, price: int) -> tuple[bool, Order]:
        """Trade with one level's orders in turn. Returns (stopped by a self trade, the last maker met)."""
        last, is_stopped = order, False
        gone: list[Order] = []
        for maker in level.orders.values():
            if order.is_exhausted:
                break
            is_own = maker.account == order.account
            if is_own and order.self_trade == "taker_at_cross":
                is_stopped = True
                break
            last = maker
            if is_own:
                level.total_e6 -= maker.remaining_e6
                self.events.append(OrderEnded(maker, "self_trade"))
                gone.append(maker)
                continue
            wanted = min(maker.remaining_e6, order.remaining_e6)
            size, order.spend_e6 = _take(order.side, price, wanted, order.spend_e6)
            maker.remaining_e6 -= size
            order.remaining_e6 -= size
            level.total_e6 -= size
            self.events.append(Traded(order.market_id, maker, order, price, size))
            if maker.remaining_e6 == 0:
                self.events.append(OrderEnded(maker, "filled"))
                gone.append(maker)
        for maker in gone:
            self._drop(level, maker)
        return is_stopped, last

    def _drop(self, level: Level, order: Order) -> None:
        del level.orders[order.order_id]
        del self.orders[order.order_id]

    def _remove(self, order: Order, reason: EndReason) -> None:
        self._take_out(order)
        self.events.append(OrderEnded(order, reason))

    def _take_out(self, order: Order) -> None:
        book = self.books[order.market_id]
        level = book.side(order.side)[order.price_e4]
        self._drop(level, order)
        level.total_e6 -= order.remaining_e6
        if not level.orders:
            del book.side(order.side)[order.price_e4]
            if order.price_e4 == (book.best_bid if order.side == "bid" else book.best_ask):
                book.refresh_best(order.side)
        self._level_event(book, order, -order.remaining_e6, level.total_e6, "canceled")

    def _clear(self, book: MarketBook, reason: EndReason) -> None:
        resting: Iterable[Order] = [
            order for side in (book.bids, book.asks) for level in side.values() for order in level.orders.values()
        ]
        for order in resting:
            self._remove(order, reason)

    def _level_event(self, book: MarketBook, order: Order, change_e6: int, after_e6: int, cause: LevelCause) -> None:
        """Say how the level of a resting order changed."""
        changed = LevelChanged(
            book.market_id, order.side, order.price_e4, change_e6, after_e6, cause, order, book.best_bid, book.best_ask
        )
        self.events.append(changed)

    @staticmethod
    def _reached(book: MarketBook, order: Order) -> int | None:
        """The best price of the other side if the order's price reaches it."""
        best = book.best_ask if order.side == "bid" else book.best_bid
        if best is None or (best > order.price_e4 if order.side == "bid" else best < order.price_e4):
            return None
        return best


def _take(side: Side, price_e4: int, size_e6: int, spend_e6: int | None) -> tuple[int, int | None]:
    """The size that can trade at a price with the money left, and the money left then; a size of 0 costs nothing."""
    if spend_e6 is None:
        return size_e6, None
    cost_e4 = price_e4 if side == "bid" else PRICE_ONE_E4 - price_e4
    size = min(size_e6, spend_e6 * PRICE_ONE_E4 // cost_e4)
    return size, spend_e6 - cash_e6_of(cost_e4, size, paying=True)
