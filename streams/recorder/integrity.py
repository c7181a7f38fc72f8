"""Whether a book may be trusted: pure rules on sequence numbers, best prices and differences between books.

Kalshi numbers the frames of a subscription, all its markets together, acknowledgements included: a hole makes every
book of that subscription stale. Polymarket numbers nothing; each `price_change` states the best prices after it, and a
`book` frame replaces the book and is itself how a match is reported, so its difference to the one before is classified.
Behind the best prices a lost change shows when the level it made is removed: that removal is of a level never seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

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


def concerned(raw: bytes) -> tuple[set[int], set[str]] | None:
    """Return the (subscription ids, market ids) that a frame nobody could parse names; None where it could be any."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    subscriptions: set[int] = set()
    markets: set[str] = set()
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, dict):
            return None
        message = item.get("msg")
        named = message.get("market_ticker") if isinstance(message, dict) else item.get("market")
        if isinstance(item.get("sid"), int):
            subscriptions.add(item["sid"])
        elif isinstance(named, str):
            markets.add(named)
        else:
            return None
    return subscriptions, markets


Continuity = Literal["ok", "hole", "repeated"]


class SequenceTracker:
    """The last sequence number of each subscription of one connection."""

    __slots__ = ("last",)

    def __init__(self, last: dict[int, int] | None = None) -> None:
        self.last: dict[int, int] = last or {}

    def observe(self, subscription_id: int, sequence: int) -> Continuity:
        """Observe the number of the next frame. After a hole counting goes on from the new number.

        A subscription starts at 1; one first seen at a later number has lost its beginning.
        """
        last = self.last.get(subscription_id, 0)
        if sequence <= last:
            return "repeated"
        self.last[subscription_id] = sequence
        return "ok" if sequence == last + 1 else "hole"


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
