"""Recorded files through the recorder's own pipeline, to see whether the books they give are whole.

`python -m streams.recorder.rebuild FILE...` prints one JSON document per file. Two kinds of file are known: Kalshi
socket frames (JSON with `frames: [{received_ms, frame}]`) and Polymarket rows (CSV; `book` rows are levels of a whole
book, `price_change` rows new sizes at a level). Both may be gzipped.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from streams.market.book import Book
from streams.market.documents import JsonDocument
from streams.market.identity import Side, Venue
from streams.market.units import PRICE_ONE_E4, price_e4, size_e6
from streams.recorder.books import MarketKey, Parse, Parser
from streams.recorder.pipeline import Pipeline
from streams.recorder.rebuild.differences import difference, remark
from streams.recorder.sources import PARSERS
from streams.storage.recording import RowBatch
from streams.storage.segments import Record, RecordKind
from streams.venues.kalshi.types.market_frames import parse_frame as parse_kalshi

Levels = dict[tuple[Side, int], int]
_SIDES = {"bid": "BUY", "ask": "SELL", "BUY": "BUY", "SELL": "SELL"}


@dataclass
class RebuildReport:
    """What one file came to.

    Attributes:
        differences: Whole books after a book, by classification.
        unexplained: Each unexplained one: line, market, time, the levels that differ, and what it looks like.
        after_stale: How many of the books followed one the recorder had itself marked stale (crossed for seconds), so
            that a recorder would have compared nothing; they are classified here all the same.
        equals_independent_fold: Kalshi: the books are those of a separate fold in decimals; None elsewhere.
    """

    file: str
    frames: int = 0
    deltas: int = 0
    books: int = 0
    unusable_rows: int = 0
    differences: dict[str, int] = field(default_factory=dict)
    unexplained: list[JsonDocument] = field(default_factory=list)
    after_stale: int = 0
    sequence_holes: int = 0
    negative_levels: int = 0
    equals_independent_fold: bool | None = None


class _Runner:
    """A pipeline fed from a file instead of a connection."""

    def __init__(self, venue: Venue, parser: Parser, markets: Sequence[MarketKey]) -> None:
        self.pipeline = Pipeline({"file": parser})
        self.pipeline.begin(0, 0)
        self.venue = venue
        self.counts: Counter[str] = Counter()
        self._feed(RecordKind.OPENED, 0, orjson.dumps({"parser": "file"}))
        self._feed(RecordKind.MARKETS, 0, orjson.dumps({"add": [list(key) for key in markets], "remove": []}))

    def _feed(self, kind: int, at_ms: int, body: bytes) -> RowBatch:
        self.pipeline.consume(Record(0, 0, kind, self.venue, 1, at_ms * 1_000_000, body))
        return self.pipeline.take()

    def frame(self, at_ms: int, raw: bytes) -> list[str]:
        """Process a frame; returns how the whole books in it differ from the ones before (the empty string: first)."""
        batch = self._feed(RecordKind.FRAME, at_ms, raw)
        found = [line.split("\t") for line in batch.lines["book_snapshots"]]
        received = [columns[4].replace("\\N", "") for columns in found if columns[3] == "received"]
        self.counts.update(received)
        return received

    def classify(self, before: Levels, after: Levels) -> str:
        """Classify a book that the pipeline took as a first one, because its own was stale."""
        found = difference(before, after)
        self.counts[""] -= 1
        self.counts[found] += 1
        return found

    def book(self, market_id: str) -> Book:
        return self.pipeline.connections[1].books[market_id].book

    def report(self, path: Path) -> RebuildReport:
        counters = self.pipeline.counters
        return RebuildReport(
            file=path.name,
            frames=counters["frames"],
            deltas=counters["deltas"],
            books=sum(self.counts.values()),
            unusable_rows=counters["dead_letters"],
            differences={word: self.counts[word] for word in ("equal", "fill", "unexplained")},
            sequence_holes=counters["holes"],
            negative_levels=counters["negative_levels"],
        )


# -- Polymarket ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _CsvFrame:
    line: int
    token: str
    at_ms: int
    is_book: bool
    raw: bytes


def rebuild_polymarket(path: Path) -> RebuildReport:
    """Rebuild the books of a Polymarket CSV; each token is a book of its own."""
    frames, unusable = _read_csv(path)
    tokens = list(dict.fromkeys(frame.token for frame in frames))
    markets = [MarketKey(token, token, f"no-{token}") for token in tokens]
    runner = _Runner(Venue.POLYMARKET, PARSERS["polymarket"], markets)
    unexplained, seen, after_stale = [], set[str](), 0
    for frame in frames:
        before = _levels(runner.book(frame.token)) if frame.is_book else {}
        found = runner.frame(frame.at_ms, frame.raw)
        after = _levels(runner.book(frame.token)) if frame.is_book else {}
        if found == [""] and frame.token in seen:
            after_stale += 1
            found = [runner.classify(before, after)]
        if frame.is_book:
            seen.add(frame.token)
        if "unexplained" in found:
            unexplained.append(_difference(frame, before, after))
    report = runner.report(path)
    report.unexplained, report.after_stale = unexplained, after_stale
    report.unusable_rows += unusable
    return report


def _read_csv(path: Path) -> tuple[list[_CsvFrame], int]:
    """Return the frames that the rows of a file stand for, and how many rows cannot be used."""
    with _open(path) as file:
        reader = csv.DictReader(file)
        rows = [(number, row) for number, row in enumerate(reader, start=2)]
    usable = [(number, row) for number, row in rows if None not in row and all(row.get(k) for k in _NEEDED)]
    frames = []
    for _, group in itertools.groupby(_with_repeats(usable), key=lambda entry: entry[0]):
        entries = [(number, row) for _, number, row in group]
        frames.append(_csv_frame(entries))
    return frames, len(rows) - len(usable)


_NEEDED = ("asset_id", "event_type", "price", "side", "size", "timestamp")


def _with_repeats(rows: list[tuple[int, dict[str, str]]]) -> Iterator[tuple[tuple[Any, ...], int, dict[str, str]]]:
    """Yield rows with the identity of their frame; a level that occurs again begins the next book."""
    repeat, seen, last = 0, set[tuple[str, str]](), None
    for number, row in rows:
        identity = (row["event_type"], row["asset_id"], row["timestamp"], row["hash"])
        level = (row["side"], row["price"])
        if identity != last or level in seen:
            repeat, seen, last = repeat + 1, set(), identity
        seen.add(level)
        yield (repeat, *identity), number, row


def _csv_frame(entries: list[tuple[int, dict[str, str]]]) -> _CsvFrame:
    number, row = entries[0]
    token, at = row["asset_id"], row["timestamp"]
    base = {"market": row["market_id"], "timestamp": at, "asset_id": token}
    if row["event_type"] == "book":
        sides: dict[str, list[dict[str, str]]] = {"BUY": [], "SELL": []}
        for _, entry in entries:
            sides[_SIDES[entry["side"]]].append({"price": entry["price"], "size": entry["size"]})
        message = {**base, "event_type": "book", "hash": row["hash"], "bids": sides["BUY"], "asks": sides["SELL"]}
    else:
        changes = [
            {"asset_id": token, "price": e["price"], "size": e["size"], "side": _SIDES[e["side"]], "hash": e["hash"]}
            for _, e in entries
        ]
        message = {**base, "event_type": "price_change", "price_changes": changes}
        del message["asset_id"]
    return _CsvFrame(number, token, int(at), row["event_type"] == "book", orjson.dumps(message))


def _levels(book: Book) -> Levels:
    return {("bid", p): s for p, s in book.bids.items()} | {("ask", p): s for p, s in book.asks.items()}


def _difference(frame: _CsvFrame, before: Levels, after: Levels) -> JsonDocument:
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return {
        "line": frame.line,
        "market_id": frame.token,
        "venue_sent_ms": frame.at_ms,
        "reads_as": remark(before, after),
        "levels_changed": len(changed),
        "levels": [[side, price, before.get((side, price), 0), after.get((side, price), 0)] for side, price in changed],
    }


# -- Kalshi ----------------------------------------------------------------------------------------------------------


def rebuild_kalshi(path: Path) -> RebuildReport:
    """Rebuild the books of recorded Kalshi frames and compare them with a fold that shares no code."""
    with _open(path) as file:
        entries = json.load(file)["frames"]
    frames = [entry["frame"] for entry in entries]
    has_yes_prices = not _crosses_as_yes_prices(frames)
    parse: Parse = partial(parse_kalshi, use_yes_price=has_yes_prices)
    tickers = list(dict.fromkeys(f["msg"]["market_ticker"] for f in frames if "market_ticker" in f.get("msg", {})))
    runner = _Runner(Venue.KALSHI, Parser(lambda _markets: parse), [MarketKey(ticker, "", "") for ticker in tickers])
    fold = _DecimalFold(has_yes_prices)
    is_equal = True
    for entry in entries:
        runner.frame(entry["received_ms"], json.dumps(entry["frame"]).encode())
        ticker = fold.take(entry["frame"])
        if ticker is not None:
            is_equal = is_equal and fold.levels(ticker) == _levels(runner.book(ticker))
    report = runner.report(path)
    report.equals_independent_fold = is_equal and not fold.has_been_negative
    return report


def _crosses_as_yes_prices(frames: list[JsonDocument]) -> bool:
    """Whether any snapshot would be crossed if its NO ladder were in YES prices: then it is in NO prices."""
    for frame in frames:
        message = frame.get("msg", {})
        yes, no = (message.get(f"{side}_dollars_fp") for side in ("yes", "no"))
        if yes and no and min(Decimal(price) for price, _ in no) <= max(Decimal(price) for price, _ in yes):
            return True
    return False


class _DecimalFold:
    """Kalshi's books as dicts of decimals straight from the JSON."""

    def __init__(self, has_yes_prices: bool) -> None:
        self._has_yes_prices = has_yes_prices
        self._books: dict[str, dict[tuple[str, Decimal], Decimal]] = {}
        self.has_been_negative = False

    def take(self, frame: JsonDocument) -> str | None:
        message = frame.get("msg", {})
        ticker: str | None = message.get("market_ticker")
        if frame["type"] == "orderbook_snapshot":
            self._books[str(ticker)] = {
                (side, Decimal(price)): Decimal(size)
                for side in ("yes", "no")
                for price, size in message.get(f"{side}_dollars_fp", [])
            }
        elif frame["type"] == "orderbook_delta":
            key = (message["side"], Decimal(message["price_dollars"]))
            levels = self._books[str(ticker)]
            levels[key] = levels.get(key, Decimal(0)) + Decimal(message["delta_fp"])
            self.has_been_negative = self.has_been_negative or levels[key] < 0
        else:
            return None
        return ticker

    def levels(self, ticker: str) -> Levels:
        found: Levels = {}
        for (side, price), size in self._books[ticker].items():
            value = price_e4(price)
            if side == "no" and not self._has_yes_prices:
                value = PRICE_ONE_E4 - value
            if size:
                found[("bid" if side == "yes" else "ask", value)] = size_e6(size)
        return found


def _open(path: Path) -> Any:
    return gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open("rt", newline="")


def rebuild(path: Path) -> RebuildReport:
    """Rebuild a file by its name: `.json` is Kalshi's frames, `.csv` Polymarket's rows."""
    name = path.name.removesuffix(".gz")
    return rebuild_kalshi(path) if name.endswith(".json") else rebuild_polymarket(path)
