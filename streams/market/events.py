"""Market data in terms that belong to no venue: what the parsers of both venues return.

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
    """The whole book of one market; replaces what was known. `is_polled`: read over REST, not in a stream."""

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
    is_polled: bool = False


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
    is_block: bool = False
    transaction_hash: str | None = None


@dataclass(slots=True)
class VenueQuote:
    """The best prices as the venue states them, beside the book; the book's integrity does not depend on them.

    0 / 10,000 stand for an empty side; sizes, last trade, volume and open interest are None where not stated.
    """

    venue: Venue
    market_id: str
    bid_e4: int
    ask_e4: int
    bid_size_e6: int | None = None
    ask_size_e6: int | None = None
    last_price_e4: int | None = None
    last_size_e6: int | None = None
    volume_e6: int | None = None
    open_interest_e6: int | None = None
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
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
    "created",
    "activated",
    "deactivated",
    "close_date_updated",
    "determined",
    "settled",
    "price_grid_updated",
    "metadata_updated",
    "other",
]


@dataclass(slots=True)
class LifecycleChange:
    """A market changed its state.

    Attributes:
        settlement_e4: What one YES pays; None until determined.
        closes_at_ms: When trading ends, where the message says.
        price_ranges: The new grid as (start_e4, end_e4, step_e4), lowest first, where the message says.
    """

    venue: Venue
    market_id: str
    kind: LifecycleKind
    result: str | None = None
    settlement_e4: int | None = None
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    payload: Any = None
    closes_at_ms: int | None = None
    price_ranges: tuple[tuple[int, int, int], ...] = ()


@dataclass(slots=True)
class EventListed:
    """A new event: the occasion that markets belong to."""

    venue: Venue
    event_id: str
    series_id: str
    title: str
    subtitle: str = ""
    collateral_return: str = ""
    exchange_index: int | None = None
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    payload: Any = None


@dataclass(slots=True)
class EventFeeChange:
    """The fees of an event's markets differ from their series from now on; both None: they follow it again."""

    venue: Venue
    event_id: str
    fee_type: str | None
    fee_multiplier: str | None
    venue_sent_ms: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    payload: Any = None


@dataclass(slots=True)
class Acknowledgement:
    """The venue responded to a command. `sequence` is set where the response consumes a sequence number.

    Attributes:
        market_ids: All markets of the subscription after the command.
        subscriptions: (channel, subscription id) of everything subscribed, only for `listed`.
    """

    venue: Venue
    kind: Literal["subscribed", "updated", "unsubscribed", "listed", "pong"]
    command_id: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None
    channel: str | None = None
    market_ids: list[str] = field(default_factory=list)
    subscriptions: list[tuple[str, int]] = field(default_factory=list)


Remedy = Literal["resubscribe", "list", "ask_again", "slow_down", "fewer_markets", "authenticate", "mend"]
"""What an error of a socket asks for.

resubscribe: the subscription is gone, make a new one. list: our picture of the subscriptions is wrong, ask for theirs.
ask_again: the venue could not do it now. slow_down: the same, after a longer pause. fewer_markets: the subscription is
full. authenticate: the channel needs a key. mend: the command itself is wrong; repeating it cannot help.
"""


@dataclass(slots=True)
class ChannelError:
    """The venue refused a command or ended a channel; `remedy` says what to do about it."""

    venue: Venue
    code: int
    message: str
    remedy: Remedy = "mend"
    command_id: int | None = None
    subscription_id: int | None = None
    sequence: int | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the subscription is gone."""
        return self.remedy == "resubscribe"


@dataclass(slots=True)
class BookStale:
    """Our own message in a stream: part of the feed was lost for a market, so its book is wrong until the next one."""

    venue: Venue
    market_id: str
    cause: str


@dataclass(slots=True)
class OtherChannel:
    """A well-formed frame of a channel that we do not use; its sequence number counts all the same."""

    venue: Venue
    frame_type: str
    subscription_id: int | None = None
    sequence: int | None = None
    payload: Any = None


MarketEvent = (
    BookSnapshot
    | LevelChange
    | TradePrint
    | VenueQuote
    | TickSizeChange
    | LifecycleChange
    | EventListed
    | EventFeeChange
    | Acknowledgement
    | ChannelError
    | BookStale
    | OtherChannel
)


@dataclass(slots=True, frozen=True)
class Quote:
    """The best prices of one book at one moment, YES terms; None where a side is empty.

    `is_live` is False when the book is stale or crossed: such a quote must not be acted on. `is_polled`: the book is
    read over REST every few seconds, so the quote may be that much older than it looks.
    """

    venue: Venue
    market_id: str
    received_ns: int
    bid_e4: int | None
    bid_size_e6: int | None
    ask_e4: int | None
    ask_size_e6: int | None
    is_live: bool
    is_polled: bool = False
