"""What a venue's user stream reports of our account: orders, executions and holdings, in words no venue owns.

Amounts are of what the order was placed on: the YES contract on Kalshi (where selling YES is buying NO), the token
`token_id` on Polymarket. `side` says whether that is bought (`bid`) or sold (`ask`). User streams have no sequence
and no replay, so a connection begins with `AccountUnread`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from streams.market.identity import Side, Venue

OrderStatus = Literal["delayed", "live", "filled", "canceled", "refused", "unknown"]
FINAL_ORDER_STATUS = frozenset({"filled", "canceled", "refused"})

FillStatus = Literal["matched", "mined", "retrying", "confirmed", "failed"]
"""How far a settlement has come. Kalshi's executions are `confirmed` at once; elsewhere the last two are final."""
FINAL_FILL_STATUS = frozenset({"confirmed", "failed"})


@dataclass(slots=True)
class AccountUnread:
    """Something may have been missed: read orders, executions and positions over REST, then apply what follows."""

    venue: Venue
    cause: str


@dataclass(slots=True)
class OrderUpdate:
    """One of our orders changed.

    Attributes:
        filled_e6: Contracts executed so far.
        remaining_e6: Contracts that still rest.
        reason: The venue's word for the change, empty where it gives none.
        venue_sent_ms: When it changed, by the venue's clock.
    """

    venue: Venue
    order_id: str
    market_id: str
    status: OrderStatus
    side: Side
    price_e4: int
    original_e6: int
    filled_e6: int
    remaining_e6: int
    client_order_id: str = ""
    token_id: str = ""
    reason: str = ""
    venue_sent_ms: int | None = None
    payload: Any = None

    @property
    def is_final(self) -> bool:
        """Whether the order can do no more."""
        return self.status in FINAL_ORDER_STATUS


@dataclass(slots=True)
class FillUpdate:
    """One execution of one of our orders, or how far its settlement has come; `key` is what it is known by.

    Attributes:
        cash_e6: Dollars paid or received without fee.
        fee_e6: The fee, None where the venue does not state it here.
        venue_sent_ms: When this status was reached, by the venue's clock.
    """

    venue: Venue
    fill_id: str
    order_id: str
    market_id: str
    side: Side
    price_e4: int
    size_e6: int
    cash_e6: int
    is_taker: bool
    status: FillStatus = "confirmed"
    fee_e6: int | None = None
    client_order_id: str = ""
    token_id: str = ""
    venue_sent_ms: int | None = None
    payload: Any = None

    @property
    def key(self) -> tuple[str, str]:
        """(fill_id, order_id): both our orders may be in one trade."""
        return self.fill_id, self.order_id

    @property
    def is_final(self) -> bool:
        """Whether the status cannot change any more."""
        return self.status in FINAL_FILL_STATUS


@dataclass(slots=True)
class PositionUpdate:
    """What we hold of one market now: contracts above zero are YES, below zero NO."""

    venue: Venue
    market_id: str
    contracts_e6: int
    cost_e6: int
    realised_e6: int
    fee_e6: int
    payload: Any = None


@dataclass(slots=True)
class OrderGroupUpdate:
    """A group of orders with a common limit of contracts: created, triggered, reset, deleted or limit_updated."""

    venue: Venue
    group_id: str
    kind: str
    limit_e6: int | None = None
    venue_sent_ms: int | None = None
    payload: Any = None


UserStreamEvent = AccountUnread | OrderUpdate | FillUpdate | PositionUpdate | OrderGroupUpdate
