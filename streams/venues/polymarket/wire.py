"""Polymarket's market socket events as they are on the wire. Numbers are strings; timestamps are ms as strings.

One struct holds the fields of all event types, because a frame may mix types in one array and most fields are shared.
Source: captures of 2024-10 to 2026-10 and the AsyncAPI page read 2026-10-01.
"""

from __future__ import annotations

import msgspec

STALE = "crossbook_stale"
"""Event type of our own word in the stream: the books of `assets_ids` are wrong until the next whole one."""


class BookLevel(msgspec.Struct):
    """One level of a `book`."""

    price: str
    size: str


class MarketMessage(msgspec.Struct, gc=False):
    """Any event of the market socket."""

    event_type: str = ""
    market: str = ""
    asset_id: str = ""
    timestamp: str | int | None = None
    hash: str | None = None
    bids: list[BookLevel] | None = None
    asks: list[BookLevel] | None = None
    tick_size: str | None = None
    price_changes: list[msgspec.Raw] | None = None
    price: str | None = None
    size: str | None = None
    side: str | None = None
    old_tick_size: str | None = None
    new_tick_size: str | None = None
    assets_ids: list[str] | None = None
    winning_asset_id: str | None = None
    winning_outcome: str | None = None
    best_bid: str | None = None
    best_ask: str | None = None
    transaction_hash: str | None = None
    cause: str | None = None


class PriceChange(msgspec.Struct, gc=False):
    """One entry of `price_changes`: `size` is the new total at the price."""

    asset_id: str
    price: str
    size: str
    side: str
    best_bid: str | None = None
    best_ask: str | None = None
