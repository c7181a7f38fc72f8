"""Orders, one market's book of them, and what the engine reports: plain data in integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from streams.market.identity import Side
from streams.market.units import PRICE_ONE_E4

TimeInForce = Literal["gtc", "gtd", "ioc", "fok"]
SelfTrade = Literal["taker_at_cross", "maker"]
EndReason = Literal[
    "filled",
    "canceled",
    "expired",
    "closed",
    "reactivated",
    "immediate",
    "self_trade",
    "paused",
    "post_only_cross",
    "margin",
]
LevelCause = Literal["placed", "canceled", "traded"]


@dataclass(slots=True)
class Order:
    """One order. `remaining_e6` shrinks as it trades.

    Attributes:
        spend_e6: Dollars still to be spent by an immediate buy that is bounded by money, not by size: a better price
            buys more. Each fill takes what it costs, rounded up, so that no order pays more than its dollars. None for
            orders bounded by size.
        is_house: Placed by the flow.
        sequence: When it last took its place in a queue, counted over the whole engine.
    """

    order_id: str
    account: str
    market_id: str
    side: Side
    price_e4: int
    size_e6: int
    remaining_e6: int
    tif: TimeInForce = "gtc"
    is_post_only: bool = False
    self_trade: SelfTrade = "taker_at_cross"
    expires_ms: int | None = None
    spend_e6: int | None = None
    is_house: bool = False
    client_order_id: str = ""
    sequence: int = 0

    @property
    def cost_e4(self) -> int:
        """What one contract costs at the limit, in the outcome that is bought."""
        return self.price_e4 if self.side == "bid" else PRICE_ONE_E4 - self.price_e4

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing of it can trade any more: no size is left, or no money."""
        return self.remaining_e6 == 0 or self.spend_e6 == 0


@dataclass(slots=True)
class LevelChanged:
    """A level's total changed; `best_bid` and `best_ask` are the book's after it."""

    market_id: str
    side: Side
    price_e4: int
    size_change_e6: int
    size_after_e6: int
    cause: LevelCause
    order: Order
    best_bid: int | None
    best_ask: int | None


@dataclass(slots=True)
class Traded:
    """A resting order met an incoming one, at the resting price."""

    market_id: str
    maker: Order
    taker: Order
    price_e4: int
    size_e6: int


@dataclass(slots=True)
class OrderEnded:
    """An order left the engine; `remaining_e6` of it is what was not filled."""

    order: Order
    reason: EndReason


@dataclass(slots=True)
class OrderRested:
    """What is left of an incoming order rests in the book."""

    order: Order


EngineEvent = LevelChanged | Traded | OrderEnded | OrderRested


@dataclass(slots=True)
class Level:
    """The orders at one price, first come first served, and their total."""

    orders: dict[str, Order] = field(default_factory=dict)
    total_e6: int = 0


@dataclass(slots=True)
class MarketBook:
    """One market's grid, limits and resting orders."""

    market_id: str
    price_ranges: tuple[tuple[int, int, int], ...]
    min_size_e6: int
    size_step_e6: int
    is_open: bool = True
    bids: dict[int, Level] = field(default_factory=dict)
    asks: dict[int, Level] = field(default_factory=dict)
    best_bid: int | None = None
    best_ask: int | None = None

    def is_on_grid(self, price_e4: int) -> bool:
        """Whether a price may be quoted: strictly between 0 and 1 and a multiple of its range's step."""
        if not 0 < price_e4 < PRICE_ONE_E4:
            return False
        for start, end, step in self.price_ranges:
            if start <= price_e4 <= end and (price_e4 - start) % step == 0:
                return True
        return False

    def side(self, side: Side) -> dict[int, Level]:
        """The levels of one side."""
        return self.bids if side == "bid" else self.asks

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """[(price_e4, size_e6)] of one side, best first."""
        return [(p, level.total_e6) for p, level in sorted(self.side(side).items(), reverse=side == "bid")]

    def refresh_best(self, side: Side) -> None:
        """Find the best price of a side again, after its best level went."""
        if side == "bid":
            self.best_bid = max(self.bids, default=None)
        else:
            self.best_ask = min(self.asks, default=None)
