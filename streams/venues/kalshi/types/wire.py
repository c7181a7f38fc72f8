"""Kalshi's socket frames as they are on the wire. Names and units are the venue's; nothing here is ours.

Source: AsyncAPI 2.0.0 of 2026-08-22 with the changes announced up to 2026-10-01.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

POLLED_BOOK = "crossbook_polled_book"
"""Frame type of a book read over REST where there is no key for the socket."""

STALE = "crossbook_stale"
"""Frame type of our own word in the stream: the books of `market_tickers` are not to be trusted, or not carried."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""An id, a sequence number or a time: what a column of the warehouse can hold."""


Millis = Annotated[int, msgspec.Meta(ge=0, lt=4_102_444_800_000)]
"""A time in milliseconds between 1970 and 2100."""

Seconds = Annotated[int, msgspec.Meta(ge=0, lt=4_102_444_800)]
"""A time in seconds between 1970 and 2100."""


class Frame(msgspec.Struct, gc=False):
    """The envelope of every server frame; `msg` is read by `type`."""

    type: str
    sid: Count | None = None
    seq: Count | None = None
    id: Count | None = None
    sending_ts_ms: Millis | None = None
    msg: msgspec.Raw = msgspec.Raw(b"")


class DeltaMessage(msgspec.Struct, gc=False):
    """`orderbook_delta`: add `delta_fp` to one level of one ladder."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    ts_ms: Millis | None = None
    client_order_id: str | None = None


class SnapshotMessage(msgspec.Struct):
    """`orderbook_snapshot`: both ladders, ascending; an empty one is left out."""

    market_ticker: str
    yes_dollars_fp: list[tuple[str, str]] = []
    no_dollars_fp: list[tuple[str, str]] = []
    ts_ms: Millis | None = None


class PolledBook(msgspec.Struct):
    """A REST book framed by our own polling feed as `POLLED_BOOK`; the NO ladder is in NO prices."""

    market_ticker: str
    yes_dollars: list[tuple[str, str]]
    no_dollars: list[tuple[str, str]]


class StaleMessage(msgspec.Struct):
    """Our own `STALE` frame: a feed cannot give these books, and why."""

    market_tickers: list[str]
    cause: str = ""


class TradeMessage(msgspec.Struct):
    """`trade`: a public trade. `taker_side` is deprecated and stands in where the newer key is missing."""

    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    trade_id: str | None = None
    taker_outcome_side: str | None = None
    taker_side: str | None = None
    is_block_trade: bool = False
    ts_ms: Millis | None = None


class TickerMessage(msgspec.Struct):
    """`ticker`: best prices, last trade and volume of a market; the channel has no sequence numbers."""

    market_ticker: str
    yes_bid_dollars: str
    yes_ask_dollars: str
    yes_bid_size_fp: str | None = None
    yes_ask_size_fp: str | None = None
    price_dollars: str | None = None
    last_trade_size_fp: str | None = None
    volume_fp: str | None = None
    open_interest_fp: str | None = None
    ts_ms: Millis | None = None


class PriceRange(msgspec.Struct):
    """One band of a price grid, in dollars."""

    start: str
    end: str
    step: str


class LifecycleMessage(msgspec.Struct):
    """`market_lifecycle_v2` and `multivariate_market_lifecycle`; times in seconds."""

    market_ticker: str
    event_type: str
    result: str | None = None
    settlement_value: str | None = None
    determination_ts: Seconds | None = None
    settled_ts: Seconds | None = None
    close_ts: Seconds | None = None
    price_ranges: list[PriceRange] | None = None


class EventMessage(msgspec.Struct):
    """`event_lifecycle`: an event was created."""

    event_ticker: str
    series_ticker: str = ""
    title: str = ""
    subtitle: str = ""
    collateral_return_type: str = ""
    exchange_index: Count | None = None


class EventFeeMessage(msgspec.Struct):
    """`event_fee_update`; null where the override was cleared."""

    event_ticker: str
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None


class SubscribedMessage(msgspec.Struct):
    """`subscribed`: one per channel."""

    channel: str
    sid: Count


class ListedChannel(msgspec.Struct):
    """One entry of the answer to `list_subscriptions`."""

    channel: str
    sid: Count


class OkMessage(msgspec.Struct):
    """`ok` after an update: the full list of tickers now subscribed."""

    market_tickers: list[str] = []


class ErrorMessage(msgspec.Struct):
    """`error`."""

    code: Count
    msg: str = ""


class OrderGroupMessage(msgspec.Struct):
    """`order_group_updates`; the limit stands in `created` and `limit_updated` only."""

    event_type: str
    order_group_id: str
    contracts_limit_fp: str | None = None
    ts_ms: Millis | None = None


class PositionMessage(msgspec.Struct):
    """`market_position`: what we hold of one market now; contracts above zero are YES."""

    market_ticker: str
    position_fp: str
    position_cost_dollars: str = ""
    realized_pnl_dollars: str = ""
    fees_paid_dollars: str = ""
    volume_fp: str = ""
    subaccount: Count | None = None
