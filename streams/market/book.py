"""One market's order book in YES terms, as two maps from price to size.

A book knows nothing of sequence numbers or connections; whether it may be trusted is the recorder's business
(`streams.recorder.integrity`).
"""

from __future__ import annotations

from typing import Literal

from streams.market.errors import IntegrityError
from streams.market.events import BookSnapshot, LevelChange, Levels
from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4

Difference = Literal["equal", "fill", "unexplained"]
_LARGEST_E6 = 10**18
"""A trillion contracts at one price: more than any book has, and than a column could hold after some more changes."""


class Book:
    """Resting sizes by price: `bids` and `asks` map `price_e4` to `size_e6` above zero."""

    __slots__ = ("_best_ask", "_best_bid", "asks", "bids")

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self._best_bid: int | None = None
        self._best_ask: int | None = None

    @property
    def best_bid(self) -> int | None:
        """The highest bid as `price_e4`, None when there is none."""
        return self._best_bid

    @property
    def best_ask(self) -> int | None:
        """The lowest ask as `price_e4`, None when there is none."""
        return self._best_ask

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask: a correct book never is."""
        return self._best_bid is not None and self._best_ask is not None and self._best_bid >= self._best_ask

    def replace(self, snapshot: BookSnapshot) -> None:
        """Replace all levels by those of the snapshot."""
        self.bids = dict(snapshot.bids)
        self.asks = dict(snapshot.asks)
        self._best_bid = max(self.bids, default=None)
        self._best_ask = min(self.asks, default=None)

    def apply(self, change: LevelChange) -> None:
        """Apply one level change and fill in whichever of its two sizes the venue left out.

        Raises:
            IntegrityError: If the level would become negative, or larger than any. The book is left as it was.
        """
        levels = self.bids if change.side == "bid" else self.asks
        before = levels.get(change.price_e4, 0)
        if change.size_after_e6 is None:
            if change.size_change_e6 is None:
                raise IntegrityError("a level change states neither its change nor its size")
            after = before + change.size_change_e6
            change.size_after_e6 = after
        else:
            after = change.size_after_e6
            change.size_change_e6 = after - before
        if not 0 <= after <= _LARGEST_E6:
            raise IntegrityError(f"{change.side} level {change.price_e4} would become {after}")
        self._set(change.side, levels, change.price_e4, after)

    def _set(self, side: Side, levels: dict[int, int], price: int, size: int) -> None:
        if size:
            levels[price] = size
            if side == "bid":
                if self._best_bid is None or price > self._best_bid:
                    self._best_bid = price
            elif self._best_ask is None or price < self._best_ask:
                self._best_ask = price
            return
        levels.pop(price, None)
        if side == "bid":
            if price == self._best_bid:
                self._best_bid = max(levels, default=None)
        elif price == self._best_ask:
            self._best_ask = min(levels, default=None)

    def bid_levels(self) -> Levels:
        """All bids, best first."""
        return sorted(self.bids.items(), reverse=True)

    def ask_levels(self) -> Levels:
        """All asks, best first."""
        return sorted(self.asks.items())

    def offers(self, outcome: Outcome) -> Levels:
        """What can be bought of an outcome: [(price_e4, size_e6)], cheapest first. NO at q is a YES bid at 1 - q."""
        if outcome == "yes":
            return self.ask_levels()
        return [(PRICE_ONE_E4 - price, size) for price, size in self.bid_levels()]

    def differs_by(self, snapshot: BookSnapshot) -> Difference:
        """Classify what happened between this book and the snapshot that follows it.

        `fill`: the only difference is that best levels of exactly one side were consumed (all but the last of them
        whole). `unexplained`: anything else, which means that something was missed.
        """
        bids_equal = self.bids == dict(snapshot.bids)
        asks_equal = self.asks == dict(snapshot.asks)
        if bids_equal and asks_equal:
            return "equal"
        if asks_equal and _is_consumed(self.bid_levels(), sorted(snapshot.bids, reverse=True)):
            return "fill"
        if bids_equal and _is_consumed(self.ask_levels(), sorted(snapshot.asks)):
            return "fill"
        return "unexplained"


def _is_consumed(before: Levels, after: Levels) -> bool:
    """Whether `after` is `before` with some best levels gone and at most the next one smaller."""
    gone = len(before) - len(after)
    if gone < 0:
        return False
    rest = before[gone:]
    if not rest or not after:
        return not after
    if rest[0][0] != after[0][0] or after[0][1] > rest[0][1]:
        return False
    return rest[1:] == after[1:]
