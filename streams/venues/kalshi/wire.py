"""Kalshi's socket frames as they are on the wire. Names and units are the venue's; nothing here is ours.

Source: AsyncAPI 2.0.0 of 2026-08-22 with the changes announced up to 2026-10-01.
"""

from __future__ import annotations

import msgspec

POLLED_BOOK = "crossbook_polled_book"
"""Frame type of a book read over REST where there is no key for the socket."""


class Frame(msgspec.Struct):
    """The envelope of every server frame; `msg` is read by `type`."""

    type: str
    sid: int | None = None
    seq: int | None = None
    id: int | None = None
    sending_ts_ms: int | None = None
    msg: msgspec.Raw = msgspec.Raw(b"")


class DeltaMessage(msgspec.Struct):
    """`orderbook_delta`: add `delta_fp` to one level of one ladder."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    ts_ms: int | None = None
    client_order_id: str | None = None


class SnapshotMessage(msgspec.Struct):
    """`orderbook_snapshot`: both ladders, ascending; an empty one is left out."""

    market_ticker: str
    yes_dollars_fp: list[tuple[str, str]] = []
    no_dollars_fp: list[tuple[str, str]] = []
    ts_ms: int | None = None


class PolledBook(msgspec.Struct):
    """A REST book framed by our own polling feed as `POLLED_BOOK`; the NO ladder is in NO prices."""

    market_ticker: str
    yes_dollars: list[tuple[str, str]]
    no_dollars: list[tuple[str, str]]


class TradeMessage(msgspec.Struct):
    """`trade`: a public trade. `taker_side` is deprecated and stands in where the newer key is missing."""

    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    trade_id: str | None = None
    taker_outcome_side: str | None = None
    taker_side: str | None = None
    ts_ms: int | None = None


class LifecycleMessage(msgspec.Struct):
    """`market_lifecycle_v2`; times in seconds."""

    market_ticker: str
    event_type: str
    result: str | None = None
    settlement_value: str | None = None
    determination_ts: int | None = None
    settled_ts: int | None = None


class SubscribedMessage(msgspec.Struct):
    """`subscribed`: one per channel."""

    channel: str
    sid: int


class ListedChannel(msgspec.Struct):
    """One entry of the answer to `list_subscriptions`."""

    channel: str
    sid: int


class OkMessage(msgspec.Struct):
    """`ok` after an update: the full list of tickers now subscribed."""

    market_tickers: list[str] = []


class ErrorMessage(msgspec.Struct):
    """`error`."""

    code: int
    msg: str = ""
