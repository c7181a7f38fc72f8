"""Books without an exchange: enough of one to try a flow by itself (calibration, tests). House orders only.

No accounts, no outside orders, no wire: price-time matching of a taker's immediate order against resting ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.market.identity import MarketRef, Side
from streams.sandbox.core.model import (
    CancelOrder,
    ChangeTick,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    MarketAction,
    ParticipantFill,
    PlaceOrder,
    SettleMarket,
)


@dataclass(slots=True)
class OfflineOrder:
    """A resting order."""

    account: str
    key: str
    side: Side
    price_e4: int
    size_e6: int


@dataclass(slots=True)
class OfflineBook:
    """Resting orders of one market by key, and what became of the market."""

    listing: ListMarket
    orders: dict[str, OfflineOrder] = field(default_factory=dict)
    is_open: bool = True
    settlement_e4: int | None = None
    result: str = ""
    is_paid: bool = False

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """[(price_e4, size_e6)] of one side, best first."""
        sums: dict[int, int] = {}
        for order in self.orders.values():
            if order.side == side:
                sums[order.price_e4] = sums.get(order.price_e4, 0) + order.size_e6
        return sorted(sums.items(), reverse=side == "bid")

    def best(self) -> tuple[int | None, int | None]:
        """Best bid and ask as price_e4."""
        bids = [order.price_e4 for order in self.orders.values() if order.side == "bid"]
        asks = [order.price_e4 for order in self.orders.values() if order.side == "ask"]
        return max(bids, default=None), min(asks, default=None)


class OfflineExchange:
    """Applies acts to books, counts level changes and trades, and returns the fills of house orders."""

    def __init__(self) -> None:
        self.books: dict[MarketRef, OfflineBook] = {}
        self.level_changes: dict[MarketRef, int] = {}
        self.trades = 0
        self.crossed = 0

    def apply(self, acts: Iterable[MarketAction]) -> list[ParticipantFill]:
        """Apply acts in order and return what traded."""
        fills: list[ParticipantFill] = []
        for act in acts:
            if isinstance(act, ListMarket):
                self.books[act.market.ref] = OfflineBook(act)
                self.level_changes[act.market.ref] = 0
                continue
            book = self.books[act.market]
            if isinstance(act, PlaceOrder):
                if book.is_open:
                    fills.extend(self._place(book, act))
            elif isinstance(act, CancelOrder):
                if book.orders.pop(act.order_key, None) is not None:
                    self.level_changes[act.market] += 1
            elif isinstance(act, CloseMarket):
                book.is_open = False
                book.orders.clear()
            elif isinstance(act, DetermineMarket):
                book.settlement_e4, book.result = act.settlement_e4, act.result
            elif isinstance(act, SettleMarket):
                book.is_paid = True
            else:
                assert isinstance(act, ChangeTick)
        return fills

    def _place(self, book: OfflineBook, act: PlaceOrder) -> list[ParticipantFill]:
        fills: list[ParticipantFill] = []
        left = act.size_e6
        for order in self._against(book, act):
            if left <= 0:
                break
            size = min(left, order.size_e6)
            left -= size
            order.size_e6 -= size
            self.trades += 1
            self.level_changes[act.market] += 1
            if order.size_e6 == 0:
                del book.orders[order.key]
            fills.append(
                ParticipantFill(
                    act.market, order.account, order.key, order.side, order.price_e4, size, order.size_e6, True
                )
            )
        if fills and not act.is_immediate:
            self.crossed += 1
        if left > 0 and not act.is_immediate:
            book.orders[act.order_key] = OfflineOrder(act.account, act.order_key, act.side, act.price_e4, left)
            self.level_changes[act.market] += 1
        return fills

    def _against(self, book: OfflineBook, act: PlaceOrder) -> list[OfflineOrder]:
        if act.side == "bid":
            found = [o for o in book.orders.values() if o.side == "ask" and o.price_e4 <= act.price_e4]
            return sorted(found, key=lambda order: order.price_e4)
        found = [o for o in book.orders.values() if o.side == "bid" and o.price_e4 >= act.price_e4]
        return sorted(found, key=lambda order: -order.price_e4)
