"""Folds of recorded books that share no code with the recorder: dicts of levels, with a digest of every state.

A state's digest is the sum of its levels' hashes, so that one change costs one addition and states can be looked up.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from streams.storage.database import Connection

Level = tuple[int, int]
"""(0 for bids, 1 for asks; price in 1/10,000 dollar)"""
_ORDER = """
    SELECT segment_id, frame_offset, kind, entry, side, price_e4, size_e6, bids, asks FROM (
        SELECT segment_id, frame_offset, 2 AS kind, entry_index AS entry, side, price_e4, size_after_e6 AS size_e6,
            NULL::jsonb AS bids, NULL::jsonb AS asks FROM raw.book_deltas WHERE market_id = %(market)s
        UNION ALL
        SELECT segment_id, frame_offset, CASE reason WHEN 'periodic' THEN 0 ELSE 1 END, 0, NULL, NULL, NULL, bids, asks
        FROM raw.book_snapshots WHERE market_id = %(market)s) AS told
    ORDER BY segment_id, frame_offset, kind, entry"""


class Fold:
    """One book. `negative` counts changes that would have made a level negative; the level is empty then."""

    def __init__(self) -> None:
        self.levels: dict[Level, int] = {}
        self.digest = 0
        self.negative = 0

    def put(self, level: Level, size: int) -> None:
        """Set a level."""
        before = self.levels.pop(level, 0)
        if before:
            self.digest -= hash((*level, before))
        if size < 0:
            self.negative += 1
        if size > 0:
            self.levels[level] = size
            self.digest += hash((*level, size))

    def replace(self, levels: Iterable[tuple[Level, int]]) -> None:
        """Take a whole book."""
        self.levels, self.digest = {}, 0
        for level, size in levels:
            self.put(level, size)

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bids = [price for side, price in self.levels if side == 0]
        asks = [price for side, price in self.levels if side == 1]
        return bool(bids and asks) and max(bids) >= min(asks)


class Told:
    """What the recorder's rows of one market tell: every state in order, and whether its own whole books agree."""

    def __init__(self, connection: Connection, market_id: str) -> None:
        self.digests: list[int] = [0]
        self.fold = Fold()
        self.deltas = self.books = self.periodic = self.periodic_wrong = 0
        for row in connection.execute(_ORDER, {"market": market_id}):
            self._take(row)

    def _take(self, row: dict[str, Any]) -> None:
        if row["kind"] == 2:
            self.deltas += 1
            self.fold.put((0 if row["side"] == "bid" else 1, row["price_e4"]), row["size_e6"])
            self.digests.append(self.fold.digest)
            return
        whole = Fold()
        whole.replace(((side, price), size) for side, key in enumerate(("bids", "asks")) for price, size in row[key])
        if row["kind"] == 0:
            self.periodic += 1
            self.periodic_wrong += whole.digest != self.fold.digest
            return
        self.books += 1
        self.fold.replace(whole.levels.items())
        self.digests.append(self.fold.digest)


def polymarket_states(path: Path, token: str) -> Iterator[Fold]:
    """Yield the book of one token after each recorded frame."""
    fold = Fold()
    with gzip.open(path, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["asset_id"] == token and row["size"]]
    for (kind, _, _), frame in itertools.groupby(rows, lambda r: (r["event_type"], r["timestamp"], r["hash"])):
        levels = [((int(r["side"] in ("ask", "SELL")), _e4(r["price"])), _e6(r["size"])) for r in frame]
        if kind == "book":
            fold.replace(dict(levels).items())
        else:
            for level, size in levels:
                fold.put(level, size)
        yield fold


def kalshi_frame_states(path: Path, ticker: str) -> Iterator[Fold]:
    """Yield the book of one market after each recorded frame; its NO ladder is in NO prices."""
    fold = Fold()
    with gzip.open(path, "rt") as file:
        frames = [entry["frame"] for entry in json.load(file)["frames"]]
    for frame in frames:
        message = frame.get("msg", {})
        if message.get("market_ticker") != ticker:
            continue
        if frame["type"] == "orderbook_snapshot":
            ladders = (("yes", price, size) for price, size in message.get("yes_dollars_fp", []))
            others = (("no", price, size) for price, size in message.get("no_dollars_fp", []))
            fold.replace((_kalshi(side, price), _e6(size)) for side, price, size in (*ladders, *others))
        elif frame["type"] == "orderbook_delta":
            level = _kalshi(message["side"], message["price_dollars"])
            fold.put(level, fold.levels.get(level, 0) + _e6(message["delta_fp"]))
        else:
            continue
        yield fold


def kalshi_row_states(path: Path) -> Iterator[Fold]:
    """Yield the book after each row of a list of level changes; whole books have no time and precede the next row."""
    fold, pending = Fold(), None
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["event_type"] == "book" and pending is None:
            pending = {}  # a row without a price is a whole book that is empty
        if not row["price"] or not 0 < _e4(row["price"]) < 10_000 or not row["size"]:
            continue
        level = (int(row["side"] != "BUY"), _e4(row["price"]))
        if row["event_type"] == "book":
            pending = (pending or {}) | {level: _e6(row["size"])}
        elif row["event_type"] == "price_change" and row["timestamp"]:
            datetime.fromisoformat(row["timestamp"])
            if pending is not None:
                fold.replace(pending.items())
                pending = None
                yield fold
            fold.put(level, fold.levels.get(level, 0) + _e6(row["size"]))
            yield fold


def whole_book_states(path: Path, contract: str) -> Iterator[Fold]:
    """Yield one contract's book after each of its lines, which hold a whole book as a REST call gave it."""
    with gzip.open(path, "rt") as file:
        books = [row["raw"] for row in map(json.loads, file) if row["contract_id"] == contract]
    fold = Fold()
    for raw in books:
        ladders = raw.get("orderbook_fp", {})
        kalshi = [(_kalshi(side, p), _e6(s)) for side in ("yes", "no") for p, s in ladders.get(f"{side}_dollars") or []]
        polymarket = [
            ((side, _e4(level["price"])), _e6(level["size"]))
            for side, name in enumerate(("bids", "asks"))
            for level in raw.get(name, [])
        ]
        fold.replace((*kalshi, *polymarket))
        yield fold


def _kalshi(side: str, price: str) -> Level:
    return (0, _e4(price)) if side == "yes" else (1, 10_000 - _e4(price))


def _e4(text: str) -> int:
    return round(Decimal(text) * 10_000)


def _e6(text: str) -> int:
    return round(Decimal(text) * 1_000_000)


def compare(states: Iterable[Fold], told: Told) -> dict[str, Any]:
    """Find every recorded state, in order, among the states the recorder's rows went through.

    A crossed recorded state cannot be shown by an exchange that matches orders; such frames are counted and passed
    over, the states after them are not.
    """
    places: dict[int, list[int]] = {}
    for place, digest in enumerate(told.digests):
        places.setdefault(digest, []).append(place)
    at = frames = crossed = missing = 0
    last: Fold | None = None
    for fold in states:
        frames, last = frames + 1, fold
        if fold.is_crossed:
            crossed += 1
            continue
        place = next((place for place in places.get(fold.digest, ()) if place >= at), None)
        if place is None:
            missing += 1
        else:
            at = place
    final = last is not None and (last.levels == told.fold.levels or last.is_crossed)
    return {
        "frames": frames,
        "crossed": crossed,
        "missing": missing,
        "negative_in_recording": last.negative if last else 0,
        "final_equal": final,
        "final_levels": len(told.fold.levels),
        "deltas": told.deltas,
        "books": told.books,
        "periodic": told.periodic,
        "periodic_wrong": told.periodic_wrong,
    }
