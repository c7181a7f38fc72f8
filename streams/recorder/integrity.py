"""Whether a book may be trusted: pure rules on sequence numbers, best prices and differences between books.

Kalshi numbers the frames of a subscription, all its markets together, acknowledgements included: a hole makes every
book of that subscription stale. Polymarket numbers nothing; each `price_change` states the best prices after it, and a
`book` frame replaces the book and is itself how a match is reported, so its difference to the one before is classified.
Behind the best prices a lost change shows when the level it made is removed: that removal is of a level never seen.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import orjson

from streams.market.book import Book, Difference
from streams.market.events import LevelChange
from streams.market.identity import Side
from streams.market.units import PRICE_ONE_E4

CROSSED_LIMIT_NS = 2_000_000_000
"""A book crossed for longer than this is resynchronised; shorter ones are a match being reported in pieces."""

ECHO_NS = 2_000_000_000
"""How long after a level went its removal may be reported once more: a match may be reported by a whole book and by
changes, and the entries of the two tokens may come in two frames. Recordings of 2025 show such echoes within 10 ms."""
_MOST_REMOVALS = 256


_NAME = re.compile(rb'"([^"\\\\]{1,120})"')
_KIND = re.compile(rb'"(?:event_)?type"\s*:\s*"([^"\\\\]{1,60})"')
_SUBSCRIPTION = re.compile(rb'"sid"\s*:\s*(\d{1,18})')
_SEARCHED = 1 << 20


class Concern(NamedTuple):
    """What a frame that could not be parsed is recognisably about.

    Attributes:
        markets: Ids of the followed markets it names.
        subscriptions: Subscriptions of which it names no followed market: any of theirs may be meant.
        sequences: (subscription id, sequence number) that it takes.
        is_any: It is about some book, and it cannot be said of which.
    """

    markets: set[str]
    subscriptions: set[int]
    sequences: list[tuple[int, int]]
    is_any: bool


def concern_of(raw: bytes, names: Mapping[str, str], bookless: Collection[str]) -> Concern:
    """Return what a frame that could not be parsed is about; a text that is no document is about nothing.

    Args:
        raw: The frame.
        names: The followed markets by each name that frames call them.
        bookless: Types of frames that change no book.
    """
    try:
        document = orjson.loads(raw)  # which refuses what nests too deep for the stack
    except ValueError:
        return _concern_of_broken(raw[:_SEARCHED], names, bookless)
    found = Concern(set(), set(), [], is_any=False)
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, dict):
            continue
        kind, sid, sequence = item.get("type") or item.get("event_type"), item.get("sid"), item.get("seq")
        if type(sid) is int and type(sequence) is int:
            found.sequences.append((sid, sequence))
        if isinstance(kind, str) and kind in bookless:
            continue
        markets = {names[text] for text in _texts(item) if text in names}
        if markets:
            found.markets.update(markets)
        elif type(sid) is int:
            found.subscriptions.add(sid)
        elif isinstance(kind, str) and not any(isinstance(item.get(key), str) for key in ("market", "asset_id")):
            found = found._replace(is_any=True)
    return found


def _concern_of_broken(raw: bytes, names: Mapping[str, str], bookless: Collection[str]) -> Concern:
    """The same of bytes that are no JSON. Their number is not counted: the next frame's shows what is missing."""
    kind, sid = _KIND.search(raw), _SUBSCRIPTION.search(raw)
    if raw.lstrip()[:1] not in (b"{", b"[") or (kind is not None and kind[1].decode("latin-1") in bookless):
        return Concern(set(), set(), [], is_any=False)
    texts = {found[1].decode("latin-1") for found in _NAME.finditer(raw)}
    markets = {names[text] for text in texts if text in names}
    subscriptions = {int(sid[1])} if sid is not None and not markets else set()
    return Concern(markets, subscriptions, [], is_any=kind is not None and not markets and not subscriptions)


def _texts(document: object) -> Iterator[str]:
    """Every text of a document, and its whole numbers as text: an id may come as a number."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str):
            yield value
        elif type(value) is int and value.bit_length() <= 256:
            yield str(value)


Continuity = Literal["ok", "hole", "repeated"]


class SequenceTracker:
    """The last sequence number of each subscription of one connection."""

    __slots__ = ("last",)

    def __init__(self, last: dict[int, int] | None = None) -> None:
        self.last: dict[int, int] = last or {}

    def observe(self, subscription_id: int, sequence: int) -> Continuity:
        """Observe the number of the next frame. Counting goes on from it, also where it is not the one expected.

        A subscription starts at 1; one first seen at a later number has lost its beginning.
        """
        last = self.last.get(subscription_id, 0)
        self.last[subscription_id] = sequence
        if sequence <= last:
            return "repeated"
        return "ok" if sequence == last + 1 else "hole"

    def pass_over(self, subscription_id: int, sequence: int) -> None:
        """Count a frame that could not be parsed, where its number is the one expected."""
        if self.last.get(subscription_id, 0) + 1 == sequence:
            self.last[subscription_id] = sequence


class Removals:
    """Levels of one book that went lately, by (side, price_e4), with the time they went."""

    __slots__ = ("_at",)

    def __init__(self, rows: Iterable[tuple[Side, int, int]] = ()) -> None:
        self._at: dict[tuple[Side, int], int] = {(side, price): at for side, price, at in rows}

    def note_all(self, side: Side, prices_e4: Iterable[int], now_ns: int) -> None:
        """Levels of a side that were in the book are gone."""
        if len(self._at) >= _MOST_REMOVALS:
            self._at = {level: at for level, at in self._at.items() if now_ns - at <= ECHO_NS}
        self._at.update(((side, price), now_ns) for price in prices_e4)

    def explain(self, side: Side, price_e4: int, now_ns: int) -> bool:
        """Whether a removal of a level that is not in the book repeats an earlier one."""
        at = self._at.get((side, price_e4))
        return at is not None and now_ns - at <= ECHO_NS

    def rows(self, now_ns: int) -> list[tuple[Side, int, int]]:
        """Return what still explains anything, as the constructor takes it."""
        return [(side, price, at) for (side, price), at in self._at.items() if now_ns - at <= ECHO_NS]


def best_prices_agree(book: Book, change: LevelChange) -> bool:
    """Whether the book's best prices are those the venue states after the change (true where it states none).

    An empty side is stated as 0 (bids) or 1 dollar (asks).
    """
    stated_bid, stated_ask = change.best_bid_e4, change.best_ask_e4
    if stated_bid is not None and stated_bid != (book.best_bid or 0):
        return False
    if stated_ask is None:
        return True
    best_ask = book.best_ask
    return stated_ask == (PRICE_ONE_E4 if best_ask is None else best_ask)


def is_difference_explained(difference: Difference | None, *, reports_fills_as_books: bool) -> bool:
    """Whether a whole book that follows a live one shows that nothing was missed.

    A snapshot that stands in sequence with the changes before it must be equal; where a match is reported as a new
    book, best levels of one side may be consumed in it.
    """
    if difference is None or difference == "equal":
        return True
    return reports_fills_as_books and difference == "fill"
