"""What a venue's market data says, in words no venue owns: the output of both venues' `parsing` modules.

Everything is in YES terms: a NO bid at q is a YES ask at 1 - q of the same size, and a level of a NO token is folded
into the YES book. Times are integer milliseconds since the epoch as the venue stated them (None where it states none);
`received_at` is added by the recorder. Events are plain slotted dataclasses because millions of them are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from streams.market.identity import Outcome, Side, Venue

Levels = list[tuple[int, int]]
"""[(price_e4, size_e6)], best price first, sizes above zero."""


@dataclass(slots=True)
class BookSnapshot:
    """The whole book of one market; replaces what was known."""

    venue: Venue
    market_id: str
    bids: Levels
    asks: Levels
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    venue_hash: str | None = None
    tick_e4: int | None = None
    payload: Any = None


@dataclass(slots=True)
class LevelChange:
    """One level of one book changed.

    Exactly one of `size_change_e6` (Kalshi) and `size_after_e6` (Polymarket) is given by the venue; the book fills in
    the other. `best_bid_e4` / `best_ask_e4` are what the venue says the best prices are after the change (Polymarket;
    None where it does not say, 0 / 10,000 for an empty side).
    """

    venue: Venue
    market_id: str
    side: Side
    price_e4: int
    size_change_e6: int | None = None
    size_after_e6: int | None = None
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    best_bid_e4: int | None = None
    best_ask_e4: int | None = None
    client_order_id: str | None = None
    payload: Any = None


@dataclass(slots=True)
class TradePrint:
    """A public trade; `price_e4` in YES terms, `taker_outcome` is what the taker bought."""

    venue: Venue
    market_id: str
    price_e4: int
    size_e6: int
    taker_outcome: Outcome | None
    trade_id: str | None = None
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    payload: Any = None


@dataclass(slots=True)
class TickSizeChange:
    """The price grid of a market changed."""

    venue: Venue
    market_id: str
    old_tick_e4: int | None
    new_tick_e4: int
    venue_sent_ms: int | None = None
    payload: Any = None


LifecycleKind = Literal[
    "created", "activated", "deactivated", "close_date_updated", "determined", "settled", "metadata_updated", "other"
]


@dataclass(slots=True)
class LifecycleChange:
    """A market changed its state. `settlement_e4` is what one YES pays (None until determined)."""

    venue: Venue
    market_id: str
    kind: LifecycleKind
    result: str | None = None
    settlement_e4: int | None = None
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    payload: Any = None


@dataclass(slots=True)
class Acknowledgement:
    """The venue answered a command. `sequence` is set where the answer consumes a sequence number."""

    venue: Venue
    kind: Literal["subscribed", "updated", "unsubscribed", "listed", "pong"]
    command_id: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    channel: str | None = None
    market_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ChannelError:
    """The venue refused a command or ended a channel. `is_terminal`: the subscription is gone."""

    venue: Venue
    code: int
    message: str
    is_terminal: bool = False
    command_id: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None


@dataclass(slots=True)
class Unknown:
    """A well-formed frame of a type we have no use for; kept in the segment, counted, never an error."""

    venue: Venue
    frame_type: str
    subscription_id: int | None = None
    sequence: int | None = None


MarketEvent = (
    BookSnapshot
    | LevelChange
    | TradePrint
    | TickSizeChange
    | LifecycleChange
    | Acknowledgement
    | ChannelError
    | Unknown
)


@dataclass(slots=True, frozen=True)
class Quote:
    """The best prices of one book at one moment, YES terms; None where a side is empty.

    `is_live` is False when the book is stale or crossed: such a quote must not be acted on.
    """

    venue: Venue
    market_id: str
    received_ns: int
    bid_e4: int | None
    bid_size_e6: int | None
    ask_e4: int | None
    ask_size_e6: int | None
    is_live: bool
