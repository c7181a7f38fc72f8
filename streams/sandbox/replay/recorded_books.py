"""Readers of recorded order books: each gives the markets of a file and its frames in YES terms, in order of time.

Known forms: Polymarket socket rows (`*.csv.gz` with a `market_slug` column, two tokens per market), verbatim Kalshi
frames (`kalshi_ws_*.json.gz`), Kalshi level rows (`*.csv.gz` with a `best_bid` column) and whole books of both venues
as their REST calls gave them (`*.jsonl.gz` with `contract_id`, `venue`, `ts`, `raw`). Of the two tokens of a
Polymarket market the first named in the metadata (else the first in the file) is YES and is read; the other mirrors it.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from streams.documents import BadDocument, parse_document
from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Side, Venue
from streams.market.units import PRICE_ONE_E4

Level = tuple[Side, int]


@dataclass(slots=True)
class RecordedFrame:
    """What one frame says of one book.

    `sizes` maps (side, price_e4) to size_e6; a snapshot replaces the book, otherwise the levels are set, or changed by
    a signed amount when `is_relative`.
    """

    at_ms: int
    ref: MarketRef
    sizes: dict[Level, int]
    is_snapshot: bool = False
    is_relative: bool = False


@dataclass(slots=True)
class RecordedMarket:
    """A market of a recording: what is known of it."""

    ref: MarketRef
    title: str
    outcomes: tuple[str, str] = ("Yes", "No")
    yes_token: str = ""
    no_token: str = ""
    slug: str = ""
    is_fine: bool = False


@dataclass(slots=True)
class Recording:
    """Markets and frames of one or several files."""

    markets: dict[MarketRef, RecordedMarket] = field(default_factory=dict)
    frames: list[RecordedFrame] = field(default_factory=list)
    skipped_rows: int = 0


def read_recording(path: Path) -> Recording:
    """Read one file, or every file with a known form in a folder and the folders under it.

    Raises:
        ConfigurationError: If nothing in a known form is there.
    """
    files = sorted(file for file in path.rglob("*") if _has_form(file)) if path.is_dir() else [path]
    recording = Recording()
    for file in files:
        try:
            _read_file(file, recording)
        except BadDocument as error:
            raise ConfigurationError(f"The recording {file} cannot be used: {error}") from None
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
            raise ConfigurationError(f"recording {file} cannot be read: {error!r}") from None
    if not recording.frames:
        raise ConfigurationError(f"no recorded books in {path}")
    recording.frames.sort(key=lambda frame: frame.at_ms)
    return recording


def _has_form(path: Path) -> bool:
    is_books = "both_venues" in path.name and path.name.endswith(".jsonl.gz")
    return path.is_file() and (is_books or path.name.endswith(".csv.gz") or path.name.startswith("kalshi_ws_"))


def _read_file(path: Path, recording: Recording) -> None:
    if ".jsonl" in path.name:
        _read_whole_books(path, recording)
        return
    if ".json" in path.name:
        _read_kalshi_frames(path, recording)
        return
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        columns = set(rows.fieldnames or ())
        if "asset_id" in columns:
            _read_polymarket(path, list(rows), recording)
        elif {"event_type", "best_bid"} <= columns:
            _read_kalshi_rows(path, list(rows), recording)


# -- Polymarket --------------------------------------------------------------------------------------------------


def _read_polymarket(path: Path, rows: list[dict[str, str]], recording: Recording) -> None:
    tokens, names = _tokens(path, rows)
    slug = rows[0]["market_slug"]
    ref = MarketRef(Venue.POLYMARKET, _condition_id(slug))
    market = RecordedMarket(ref, _title(slug), names, *tokens, slug=slug)
    recording.markets[ref] = market
    for frame_rows in _grouped(rows, tokens[0]):
        frame = RecordedFrame(int(frame_rows[0]["timestamp"]), ref, {}, frame_rows[0]["event_type"] == "book")
        for row in frame_rows:
            price, size = _e4(row["price"]), _e6(row["size"])
            if price is None or size is None:
                recording.skipped_rows += 1
                continue
            market.is_fine |= price % 100 != 0
            side: Side = "bid" if row["side"].lower() in ("bid", "buy") else "ask"
            frame.sizes[side, price] = size
        recording.frames.append(frame)


def _condition_id(slug: str) -> str:
    from streams.sandbox.core.identifiers import polymarket_ids  # kept beside its one use

    return polymarket_ids(slug).condition_id


def _title(slug: str) -> str:
    parts = slug.split("-")
    return f"{parts[1].upper()} vs. {parts[2].upper()}" if len(parts) > 2 else slug


def _tokens(path: Path, rows: list[dict[str, str]]) -> tuple[tuple[str, str], tuple[str, str]]:
    """Both token ids, YES first, and the outcome names."""
    names: dict[str, str] = {}
    metadata = path.with_name(path.name.removesuffix(".csv.gz") + ".metadata.csv")
    if metadata.exists():
        with metadata.open(encoding="utf-8", newline="") as lines:
            names.update({row["asset_id"]: row["outcome_name"] for row in reversed(list(csv.DictReader(lines)))})
        names = dict(reversed(list(names.items())))
    for row in rows:
        if row["asset_id"] not in names and row["event_type"] in ("book", "price_change"):
            names[row["asset_id"]] = row.get("outcome_name") or ""
    yes, no = list(names)[:2]
    return (yes, no), (names[yes] or "Yes", names[no] or "No")


def _grouped(rows: list[dict[str, str]], token: str) -> Iterator[list[dict[str, str]]]:
    """Rows of one token that came in one frame: same type, time and hash, next to each other."""
    group: list[dict[str, str]] = []
    for row in rows:
        if row["asset_id"] != token or row["event_type"] not in ("book", "price_change"):
            continue
        if group and any(row[name] != group[0][name] for name in ("event_type", "timestamp", "hash")):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


# -- Kalshi --------------------------------------------------------------------------------------------------


def _read_kalshi_frames(path: Path, recording: Recording) -> None:
    for entry in parse_document(gzip.decompress(path.read_bytes()).decode("utf-8-sig"))["frames"]:
        frame, message = entry["frame"], entry["frame"].get("msg", {})
        if frame["type"] not in ("orderbook_snapshot", "orderbook_delta"):
            continue
        ref = MarketRef(Venue.KALSHI, message["market_ticker"])
        recording.markets.setdefault(ref, RecordedMarket(ref, f"Recorded book of {ref.market_id}"))
        at_ms = int(message.get("ts_ms") or entry["received_ms"])
        recording.frames.append(_kalshi_frame(frame["type"], message, ref, at_ms))


def _kalshi_frame(kind: str, message: dict[str, Any], ref: MarketRef, at_ms: int) -> RecordedFrame:
    if kind == "orderbook_delta":
        level = _kalshi_level(message["side"], message["price_dollars"])
        return RecordedFrame(at_ms, ref, {level: _exact_e6(message["delta_fp"])}, is_relative=True)
    sizes = {
        _kalshi_level(side, price): _exact_e6(size)
        for side in ("yes", "no")
        for price, size in message.get(f"{side}_dollars_fp") or []
    }
    return RecordedFrame(at_ms, ref, sizes, is_snapshot=True)


def _kalshi_level(side: str, price: str) -> Level:
    """A bid for NO at q is an offer of YES at 1 - q."""
    price_e4 = int(Decimal(price) * PRICE_ONE_E4)
    return ("bid", price_e4) if side == "yes" else ("ask", PRICE_ONE_E4 - price_e4)


def _read_kalshi_rows(path: Path, rows: list[dict[str, str]], recording: Recording) -> None:
    """Level rows: `book` rows have no time and belong to the moment of the next row; changes are signed."""
    name = path.name.removesuffix(".csv.gz").upper().replace("_", "-")
    ref = MarketRef(Venue.KALSHI, name)
    recording.markets[ref] = RecordedMarket(ref, f"Recorded book of {name}")
    pending: dict[Level, int] | None = None
    for row in rows:
        kind, price, size = row["event_type"], _e4(row["price"]), _e6(row["size"])
        side: Side = "bid" if row["side"] == "BUY" else "ask"
        if kind == "book":
            pending = {} if pending is None else pending
            if price is not None and size is not None:
                pending[side, price] = size
            continue
        if kind != "price_change" or price is None or size is None or not row["timestamp"]:
            recording.skipped_rows += 1
            continue
        at_ms = int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1000)
        if pending is not None:
            recording.frames.append(RecordedFrame(at_ms, ref, pending, is_snapshot=True))
            pending = None
        recording.frames.append(RecordedFrame(at_ms, ref, {(side, price): size}, is_relative=True))


# -- both ----------------------------------------------------------------------------------------------------


def _read_whole_books(path: Path, recording: Recording) -> None:
    """One book a line; Polymarket's are of one token, taken for YES, and its other token is made up."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(parse_document, lines):
            ref, raw = MarketRef(Venue(row["venue"]), row["contract_id"]), row["raw"]
            at_ms = int(datetime.fromisoformat(row["ts"]).timestamp() * 1000)
            if ref.venue is Venue.KALSHI:
                ladders = raw["orderbook_fp"]
                named = {"yes_dollars_fp": ladders.get("yes_dollars"), "no_dollars_fp": ladders.get("no_dollars")}
                frame = _kalshi_frame("orderbook_snapshot", named, ref, at_ms)
                market = RecordedMarket(ref, f"Recorded book of {ref.market_id}")
            else:
                sides: tuple[tuple[Side, str], ...] = (("bid", "bids"), ("ask", "asks"))
                sizes = {
                    (side, int(Decimal(level["price"]) * PRICE_ONE_E4)): _exact_e6(level["size"])
                    for side, name in sides
                    for level in raw[name]
                }
                frame = RecordedFrame(at_ms, ref, sizes, is_snapshot=True)
                market = RecordedMarket(
                    ref, f"Recorded book of {ref.market_id[:10]}", yes_token=raw["asset_id"],
                    no_token=_made_up_token(ref.market_id), slug=ref.market_id[2:18],
                    is_fine=any(price % 100 for _, price in sizes),
                )  # fmt: skip
            known = recording.markets.setdefault(ref, market)
            known.is_fine |= market.is_fine
            recording.frames.append(frame)


def _made_up_token(condition_id: str) -> str:
    from streams.sandbox.core.identifiers import polymarket_ids  # as above

    return polymarket_ids(condition_id).no_token


def _e4(text: str | None) -> int | None:
    """A price with the noise of binary floats removed; None where there is none."""
    try:
        price = round(Decimal(text or "") * PRICE_ONE_E4)
    except InvalidOperation:
        return None
    return price if 0 < price < PRICE_ONE_E4 else None


def _e6(text: str | None) -> int | None:
    try:
        return round(Decimal(text or "") * 1_000_000)
    except InvalidOperation:
        return None


def _exact_e6(text: str) -> int:
    return int(Decimal(text) * 1_000_000)
