"""Segment files read a second time, by code that shares nothing with the recorder, beside the rows in the warehouse.

What the files hold is taken as what was received: each level change of a followed market must be one row of
`raw.book_deltas`, at the place of its frame, and no row may be there that no frame gives.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from psycopg.rows import tuple_row

from streams.storage.database import Connection

_HEAD = struct.Struct("<IIBBHQ")
_MAGIC_LENGTH = 8
_FRAME, _OPENED, _CLOSED, _MARKETS, _STATE = 1, 2, 3, 4, 5
_KALSHI, _POLYMARKET = 1, 2


Followed = dict[str, tuple[str, int]]
"""Market, and 0 for YES or 1 for NO, by the name that frames give it."""


class Change(NamedTuple):
    """A level change as a venue said it: `size_e6` is the change (Kalshi) or the size after it (Polymarket)."""

    frame_offset: int
    market_id: str
    side: str
    price_e4: int
    size_e6: int


@dataclass
class Comparison:
    """What both readings of all segments came to.

    Attributes:
        lost: Level changes in the files that are no row.
        doubled: Rows more than there are level changes for them, whatever they are.
        miscounted: Segments whose frames are not what was counted.
        torn: Segments whose tail does not check.
        missing: Segments whose file is gone.
    """

    segments: int = 0
    frames: int = 0
    changes: int = 0
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    miscounted: list[str] = field(default_factory=list)
    torn: int = 0
    missing: int = 0
    not_closed: int = 0


def compare(connection: Connection) -> Comparison:
    """Read every registered segment again and compare it with the warehouse's rows."""
    result = Comparison()
    rows_of = _rows_by_segment(connection)
    for segment in connection.execute("SELECT * FROM raw.segments ORDER BY segment_id").fetchall():
        result.segments += 1
        result.not_closed += segment["closed_at"] is None
        path = Path(segment["path"])
        if not path.exists():
            result.missing += segment["frames"] > 0
            continue
        reading = _Reading()
        reading.read(path.read_bytes())
        result.torn += reading.is_torn
        result.frames += reading.frames
        result.changes += reading.changes.total()
        if reading.frames != segment["frames"]:
            result.miscounted.append(f"segment {segment['segment_id']}: {reading.frames} != {segment['frames']}")
        rows = rows_of[segment["segment_id"]]
        result.rows += rows.total()
        result.lost += (reading.changes - rows).total()
        result.doubled += (rows - reading.changes).total()
    return result


def _rows_by_segment(connection: Connection) -> defaultdict[int, Counter[Change]]:
    found: defaultdict[int, Counter[Change]] = defaultdict(Counter)
    query = """SELECT segment_id, frame_offset, market_id, side, price_e4,
            CASE WHEN venue = 'kalshi' THEN size_change_e6 ELSE size_after_e6 END AS size_e6
        FROM raw.book_deltas"""
    with connection.transaction(), connection.cursor("deltas", row_factory=tuple_row) as cursor:
        cursor.itersize = 20_000
        for segment_id, *change in cursor.execute(query):
            found[segment_id][Change(*change)] += 1
    return found


class _Reading:
    """One file: its frames and the level changes of the markets that were followed when they came."""

    def __init__(self) -> None:
        self.frames = 0
        self.is_torn = False
        self.changes: Counter[Change] = Counter()
        self._followed: dict[int, Followed] = {}

    def read(self, data: bytes) -> None:
        for offset, kind, venue, connection, body in self._records(data):
            if kind == _FRAME:
                self.frames += 1
                followed = self._followed.get(connection)
                if followed:
                    self.changes.update(_changes(offset, venue, json.loads(body), followed))
            elif kind == _OPENED:
                self._followed[connection] = {}
            elif kind == _CLOSED:
                self._followed.pop(connection, None)
            elif kind == _MARKETS and connection in self._followed:
                change = json.loads(body)
                gone = set(change["remove"])
                kept = {name: of for name, of in self._followed[connection].items() if of[0] not in gone}
                self._followed[connection] = kept | _names(change["add"])
            elif kind == _STATE:
                self._followed = {
                    entry["number"]: _names([book["key"] for book in entry["books"]])
                    for entry in json.loads(body)["connections"]
                }

    def _records(self, data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
        offset = _MAGIC_LENGTH
        while offset + _HEAD.size <= len(data):
            length, crc, kind, venue, connection, _ = _HEAD.unpack_from(data, offset)
            start = offset + _HEAD.size
            if start + length > len(data) or zlib.crc32(data[offset + 8 : start + length]) != crc:
                break
            yield offset, kind, venue, connection, data[start : start + length]
            offset = start + length
        self.is_torn = offset < len(data)


def _names(keys: list[list[str]]) -> Followed:
    """Return what frames call the markets: their tokens on Polymarket, their ids elsewhere."""
    return {
        name: (market, number) for market, yes, no in keys for number, name in enumerate([yes, no] if yes else [market])
    }


def _changes(offset: int, venue: int, frame: Any, followed: Followed) -> Iterator[Change]:
    if venue == _KALSHI:
        message = frame.get("msg") or {}
        if frame.get("type") == "orderbook_delta" and message["market_ticker"] in followed:
            side = "bid" if message["side"] == "yes" else "ask"
            price, size = _scaled(message["price_dollars"], 4), _scaled(message["delta_fp"], 6)
            yield Change(offset, message["market_ticker"], side, price, size)
        return
    for message in frame if isinstance(frame, list) else [frame]:
        if message.get("event_type") == "price_change":
            yield from _folded(offset, message, followed)


def _folded(offset: int, message: dict[str, Any], followed: Followed) -> Iterator[Change]:
    """Both tokens of a market may tell of one change: each is taken as often as the more talkative token says it."""
    said: tuple[Counter[Change], Counter[Change]] = (Counter(), Counter())
    for entry in message["price_changes"]:
        if entry["asset_id"] not in followed:
            continue
        market, number = followed[entry["asset_id"]]
        price = _scaled(entry["price"], 4)
        is_bid = entry["side"] == "BUY"
        if number == 1:
            price, is_bid = 10_000 - price, not is_bid
        said[number][Change(offset, market, "bid" if is_bid else "ask", price, _scaled(entry["size"], 6))] += 1
    yield from (said[0] | said[1]).elements()


@lru_cache(maxsize=100_000)
def _scaled(text: str, digits: int) -> int:
    return int(Decimal(text).scaleb(digits))
