"""Lines of COPY's text format: times, escapes and one function per table. String work only, it runs per message."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Literal

import orjson

from streams.market.book import Difference
from streams.market.events import BookSnapshot, LevelChange, LifecycleChange, Quote, TickSizeChange, TradePrint

SnapshotReason = Literal["received", "polled", "periodic"]
"""Why a whole book is written."""

NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_NEEDS_ESCAPE = re.compile(r"[\\\t\n\r]")


class TimeText:
    """Formats times as timestamptz text; the second's part is kept, because most calls share it."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def of_ns(self, ns: int) -> str:
        """Return nanoseconds since the epoch as UTC text with microseconds."""
        second, rest = divmod(ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        return f"{self._prefix}.{rest // 1000:06d}+00"

    def of_ms(self, ms: int | None) -> str:
        """Return milliseconds since the epoch as UTC text, or NULL."""
        return NULL if ms is None else self.of_ns(ms * 1_000_000)


def text(value: str | None) -> str:
    """Return a text column's value, escaped."""
    if value is None:
        return NULL
    if not value.isascii() or "\x00" in value:
        value = _UNSTORABLE.sub("\ufffd", value)
    return value.translate(_ESCAPES) if _NEEDS_ESCAPE.search(value) else value


def number(value: int | None) -> str:
    """Return an integer column's value."""
    return NULL if value is None else str(value)


def flag(value: bool) -> str:
    """Return a boolean column's value."""
    return "t" if value else "f"


def payload_json(payload: Any) -> str:
    """Return a payload (JSON text, or a value to encode) as a jsonb column's value, escaped.

    jsonb takes neither U+0000 nor half a surrogate pair; both become U+FFFD here and stay as they were in the segment.
    """
    if isinstance(payload, bytes | bytearray | memoryview):
        found = bytes(payload).decode("utf-8", "replace")
    elif isinstance(payload, str):
        found = payload
    elif payload is None:
        return "null"
    else:
        found = json.dumps(payload, separators=(",", ":"), default=str)
    if "\\" in found:
        if "\\u" in found:
            found = _without_unstorable(found)
        return found.translate(_ESCAPES)
    return found.translate(_ESCAPES) if _NEEDS_ESCAPE.search(found) else found


def _without_unstorable(found: str) -> str:
    plain = json.dumps(json.loads(found), ensure_ascii=False, separators=(",", ":"))
    return _UNSTORABLE.sub("\ufffd", _ESCAPED_NUL.sub("\\1\ufffd", plain))


def delta_line(at: str, change: LevelChange, sent: str, place: str, index: int) -> str:
    """Return a line of `raw.book_deltas`; `place` is "segment_id<TAB>frame_offset"."""
    return (
        f"{at}\t{change.venue}\t{change.market_id}\t{change.side}\t{change.price_e4}\t{change.size_change_e6}\t"
        f"{change.size_after_e6}\t{sent}\t{NULL if change.sequence is None else change.sequence}\t{place}\t{index}\t"
        f"{payload_json(change.payload)}\n"
    )


def snapshot_line(
    at: str, snapshot: BookSnapshot, reason: SnapshotReason, difference: Difference | None, sent: str, place: str
) -> str:
    """Return a line of `raw.book_snapshots`, levels best first."""
    bids, asks = orjson.dumps(sorted(snapshot.bids, reverse=True)), orjson.dumps(sorted(snapshot.asks))
    return (
        f"{at}\t{snapshot.venue}\t{text(snapshot.market_id)}\t{reason}\t{difference or NULL}\t{bids.decode()}\t"
        f"{asks.decode()}\t{sent}\t{number(snapshot.sequence)}\t{text(snapshot.venue_hash)}\t{place}\t{flag(snapshot.is_polled)}\n"
    )


def quote_line(at: str, quote: Quote, state: str, place: str) -> str:
    """Return a line of `raw.quotes`."""
    bid = f"{NULL}\t{NULL}" if quote.bid_e4 is None else f"{quote.bid_e4}\t{quote.bid_size_e6}"
    ask = f"{NULL}\t{NULL}" if quote.ask_e4 is None else f"{quote.ask_e4}\t{quote.ask_size_e6}"
    return f"{at}\t{quote.venue}\t{quote.market_id}\t{bid}\t{ask}\t{state}\t{place}\t{flag(quote.is_polled)}\n"


def trade_line(at: str, trade: TradePrint, sent: str, place: str) -> str:
    """Return a line of `raw.trades`."""
    return (
        f"{at}\t{trade.venue}\t{text(trade.market_id)}\t{text(trade.trade_id)}\t{trade.price_e4}\t{trade.size_e6}\t"
        f"{trade.taker_outcome or NULL}\t{sent}\t{place}\t{payload_json(trade.payload)}\n"
    )


def lifecycle_line(at: str, change: LifecycleChange | TickSizeChange, place: str) -> str:
    """Return a line of `raw.lifecycle_events`; a change of the price grid is one of them."""
    if isinstance(change, TickSizeChange):
        kind, result, settlement = "tick_size_change", None, None
    else:
        kind, result, settlement = change.kind, change.result, change.settlement_e4
    return (
        f"{at}\t{change.venue}\t{text(change.market_id)}\t{kind}\t{text(result)}\t{number(settlement)}\t{place}\t"
        f"{payload_json(change.payload)}\n"
    )


def dead_letter_line(at: str, venue: str, reason: str, raw: bytes, place: str) -> str:
    """Return a line of `raw.dead_letters`."""
    return f"{at}\t{venue}\tsocket\t{text(reason)}\t\\\\x{raw.hex()}\t{place}\n"
