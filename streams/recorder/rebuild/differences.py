"""What an unexplained book may be: remarks on two books that follow each other. They change no classification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from streams.market.book import Book, Difference
from streams.market.events import BookSnapshot
from streams.market.identity import Side, Venue

Remark = Literal["fill_with_rest", "fill_on_both_sides", "other"]
LevelSizes = Mapping[tuple[Side, int], int]
"""(side, price_e4) to size_e6."""
_SIDES: tuple[Side, Side] = ("bid", "ask")


def difference(before: LevelSizes, after: LevelSizes) -> Difference:
    """Classify two books as `Book.differs_by` does."""
    first = Book()
    first.replace(_snapshot(before))
    return first.differs_by(_snapshot(after))


def _snapshot(levels: LevelSizes) -> BookSnapshot:
    bids, asks = (list(_side(levels, side).items()) for side in _SIDES)
    return BookSnapshot(Venue.POLYMARKET, "", bids, asks)


def remark(before: LevelSizes, after: LevelSizes) -> Remark:
    """Return what the difference looks like.

    `fill_with_rest`: a taker's limit order consumed best levels of one side whole, and what it did not get rests on the
    other side as its new best level, at or beyond the last price it paid. `fill_on_both_sides`: best levels of both
    sides were consumed and nothing was added.
    """
    for side in _SIDES:
        if _is_fill_with_rest(before, after, side):
            return "fill_with_rest"
    both = [_is_fill(_side(before, side), _side(after, side), side) for side in _SIDES]
    return "fill_on_both_sides" if all(both) else "other"


def _is_fill_with_rest(before: LevelSizes, after: LevelSizes, hit: Side) -> bool:
    """Whether bids (or asks, as `hit` says) were swept and the rest of the taker is on the other side."""
    resting: Side = "ask" if hit == "bid" else "bid"
    gone = [price for price, size in _side(before, hit).items() if _side(after, hit).get(price) != size]
    old, new = _side(before, resting), _side(after, resting)
    changed = [price for price in old.keys() | new.keys() if old.get(price) != new.get(price)]
    if not gone or len(changed) != 1 or any(price in _side(after, hit) for price in gone):
        return False
    [rest] = changed
    if new.get(rest, 0) <= old.get(rest, 0) or not _is_fill(_side(before, hit), _side(after, hit), hit):
        return False
    return rest == min(new) <= min(gone) if hit == "bid" else rest == max(new) >= max(gone)


def _side(levels: LevelSizes, side: Side) -> dict[int, int]:
    return {price: size for (named, price), size in levels.items() if named == side}


def _is_fill(before: dict[int, int], after: dict[int, int], side: Side) -> bool:
    return difference(*({(side, price): size for price, size in sizes.items()} for sizes in (before, after))) == "fill"
