"""A second matcher, naive on purpose: one flat list of orders, sorted again for every match."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Trade = tuple[str, str, int, int]
"""(taker, maker, price_e4, size_e6)"""


def is_on_grid(price: int, ranges: Any) -> bool:
    """Whether a price may be quoted."""
    return 0 < price < 10_000 and any(a <= price <= b and (price - a) % step == 0 for a, b, step in ranges)


@dataclass
class RestingOrder:
    """An order as the reference keeps it."""

    name: str
    owner: str
    market: str
    is_bid: bool
    price: int
    left: int
    arrived: int = 0
    expires: int | None = None
    tif: str = "gtc"
    is_post_only: bool = False
    is_maker_canceled: bool = False
    money: int | None = None
    """Millionths of a dollar that bound it instead of its size."""


@dataclass
class Reference:
    """The books of a venue as a list of orders."""

    orders: list[RestingOrder] = field(default_factory=list)
    arrivals: int = 0

    def enter(self, order: RestingOrder, ranges: Any, least: int) -> tuple[str, list[Trade]]:
        """Match an incoming order: ("" or why it is refused, what it traded)."""
        if not is_on_grid(order.price, ranges):
            return "invalid_price", []
        if order.money is None and (order.left < least or order.left % least):
            return "invalid_size", []
        if order.is_post_only and self.facing(order):
            return "post_only_cross", []
        if order.tif == "fok" and not self._is_fillable(order):
            return "fok_unfilled", []
        return "", self.match(order)

    def match(self, order: RestingOrder) -> list[Trade]:
        """Trade what an order can, and let the rest of it rest if it may."""
        trades: list[Trade] = []
        is_stopped = False
        while not self._is_done(order) and not is_stopped:
            facing = self.facing(order)
            if not facing:
                break
            best = facing[0]
            if best.owner == order.owner:
                if order.is_maker_canceled:
                    self.orders.remove(best)
                else:
                    is_stopped = True
                continue
            size = self._size(order, best, order.left, order.money)
            if size == 0:
                break
            trades.append((order.name, best.name, best.price, size))
            order.left -= size
            best.left -= size
            if order.money is not None:
                order.money -= self._paid(order, best.price, size)
            if best.left == 0:
                self.orders.remove(best)
        if not self._is_done(order) and not is_stopped and order.tif in ("gtc", "gtd"):
            self.rest(order)
        return trades

    def rest(self, order: RestingOrder) -> None:
        """Put an order behind all others."""
        self.arrivals += 1
        order.arrived = self.arrivals
        self.orders.append(order)

    def find(self, name: str) -> RestingOrder | None:
        """The resting order of that name."""
        return next((order for order in self.orders if order.name == name), None)

    def drop(self, name: str) -> None:
        """Take an order out."""
        self.orders = [order for order in self.orders if order.name != name]

    def clear(self, market: str) -> None:
        """Take out every order of a market."""
        self.orders = [order for order in self.orders if order.market != market]

    def expire(self, now: int) -> None:
        """Take out what has expired."""
        self.orders = [order for order in self.orders if order.expires is None or order.expires > now]

    def queue(self, market: str, is_bid: bool) -> list[tuple[int, str, int]]:
        """[(price, name, size left)] of one side in the order in which they would trade."""
        side = [order for order in self.orders if order.market == market and order.is_bid == is_bid]
        side.sort(key=lambda order: (-order.price if is_bid else order.price, order.arrived))
        return [(order.price, order.name, order.left) for order in side]

    def facing(self, order: RestingOrder) -> list[RestingOrder]:
        """The resting orders that an order's price reaches, in the order in which they would trade."""
        found = [
            other
            for other in self.orders
            if other.market == order.market
            and other.is_bid != order.is_bid
            and (other.price <= order.price if order.is_bid else other.price >= order.price)
        ]
        return sorted(found, key=lambda o: (o.price if order.is_bid else -o.price, o.arrived))

    def _is_fillable(self, order: RestingOrder) -> bool:
        left, money = order.left, order.money
        for other in self.facing(order):
            size = self._size(order, other, left, money)
            left -= size
            if money is not None:
                money -= self._paid(order, other.price, size)
        return left == 0 or money == 0

    @staticmethod
    def _cost(order: RestingOrder, price: int) -> int:
        return price if order.is_bid else 10_000 - price

    def _size(self, order: RestingOrder, other: RestingOrder, left: int, money: int | None) -> int:
        size = min(other.left, left)
        return size if money is None else min(size, money * 10_000 // self._cost(order, other.price))

    def _paid(self, order: RestingOrder, price: int, size: int) -> int:
        """Whole millionths of a dollar: what is paid for a trade, rounded up."""
        whole, rest = divmod(size * self._cost(order, price), 10_000)
        return whole + (rest > 0)

    @staticmethod
    def _is_done(order: RestingOrder) -> bool:
        return order.left == 0 or order.money == 0
