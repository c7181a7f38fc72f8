"""One gap is one episode: when a signal opens, how long it survives a dip, and when it may open again. PURE.

A state machine per bundle with its clock passed in. A dip below the disarm level ends an episode only once it has
lasted: makers that pull a quote for a moment begin no new opportunity, and what was bought and sold again at a loss is
not bought anew. While both books still show what stood there before our own fills, nothing new is there either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from streams.market.events import Levels
from streams.market.trading import OPEN_STATES, ExecutionState

Level = Literal["entry", "held", "below", "unknown"]
"""Where the edge is: enough to open, above the disarm level, below it, or not known because a book is not live."""
Step = Literal["none", "open", "held", "dip", "close", "taken"]
"""What to do: nothing, open a signal, follow an open one, note that its edge is gone for now, end it, or end it because
its books have moved on past our fills."""
Taken = Literal["nothing", "under_way", "held", "lost"]
"""What our executions of an episode came to: nothing was bought, one is under way, what was bought is held, or what was
bought was sold again."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Times in nanoseconds.

    Attributes:
        hold_ns: An edge must last so long to open.
        disarm_ns: It must be gone so long to end an episode.
        lag_ns: A book that changed so long after a fill of ours shows it: feeds are late.
    """

    hold_ns: int
    disarm_ns: int
    lag_ns: int


@dataclass(slots=True)
class Episode:
    """A stretch in which one bundle is, or was a moment ago, an opportunity.

    Attributes:
        since_ns: When the edge came, or came back while it was waiting.
        is_open: Its signal is open.
        below_ns: Since when the edge is below the disarm level, or not known; None while it is there.
        is_known: False where a moment of that time is not known: it proves nothing about the edge.
        taken: What our executions came to; `last_fill_ns` when their last fill was.
    """

    since_ns: int
    is_open: bool = False
    below_ns: int | None = None
    is_known: bool = True
    taken: Taken = "nothing"
    last_fill_ns: int = 0

    def see(self, level: Level, now_ns: int, quoted_ns: Sequence[int], waits: Waits) -> Step:
        """Take in where the edge is now and return what to do. After `close` and `taken` the episode is over.

        Args:
            level: Where the edge is.
            now_ns: The moment.
            quoted_ns: When the book of each leg last changed.
            waits: What it waits for.
        """
        if level in ("entry", "held"):
            self.below_ns, self.is_known = None, True
            if self.taken == "held" and all(quoted > self.last_fill_ns + waits.lag_ns for quoted in quoted_ns):
                return "taken"
            if self.is_open:
                return "held"
            if level == "held":
                return "close"
            if now_ns - self.since_ns < waits.hold_ns:
                return "none"
            self.is_open = True
            return "open"
        if not self.is_open:
            return "close"
        return self._dip(level, now_ns, waits)

    def _dip(self, level: Level, now_ns: int, waits: Waits) -> Step:
        is_new = self.below_ns is None
        if is_new or (level == "below" and not self.is_known and self._must_be_seen_gone):
            self.below_ns, self.is_known = now_ns, level == "below"
        elif level == "unknown":
            self.is_known = False
        assert self.below_ns is not None
        if now_ns - self.below_ns < waits.disarm_ns:
            return "dip" if is_new else "none"
        return "close" if self.is_known or not self._must_be_seen_gone else "none"

    @property
    def _must_be_seen_gone(self) -> bool:
        """Whether a book that is not live is no proof: something was bought, and the same gap may still be there."""
        return self.taken in ("under_way", "lost", "held")


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order of an execution of an open signal, or the execution itself where it has none (`market` is empty).

    Attributes:
        state: Of the execution.
        market: "venue:market_id"; `outcome` what is bought or sold of it.
        in_flight_e6: Contracts that may still be filled.
        filled_e6: Contracts that were; `last_fill_ns` when the last of them was, 0 without one.
    """

    signal_id: int
    state: ExecutionState
    market: str
    outcome: str
    is_buy: bool
    in_flight_e6: int
    filled_e6: int
    last_fill_ns: int


def taken_of(orders: Sequence[OwnOrder]) -> tuple[Taken, int]:
    """Return what the executions of one signal came to, and when their last fill was (0 without one)."""
    last = max((order.last_fill_ns for order in orders), default=0)
    if any(order.state in OPEN_STATES for order in orders):
        return "under_way", last
    bought = [order for order in orders if order.is_buy and order.filled_e6]
    if not bought:
        return "nothing", last
    # What escalated waits for a person: nothing is added to it.
    is_held = all(order.state in (ExecutionState.HEDGED, ExecutionState.SETTLED) for order in bought)
    return ("held" if is_held else "lost"), last


def unseen_e6(orders: Sequence[OwnOrder], market: str, outcome: str, shown_ns: int) -> int:
    """Return the contracts of offers that are ours, or about to be, and that the book still shows.

    Args:
        orders: All that are under way or were.
        market: "venue:market_id" of the book.
        outcome: Whose offers are looked at.
        shown_ns: Fills up to here are in the book as it is: when it last changed, less the lag of its feed.
    """
    return sum(
        order.in_flight_e6 + (order.filled_e6 if order.last_fill_ns >= shown_ns else 0)
        for order in orders
        if order.is_buy and (order.market, order.outcome) == (market, outcome)
    )


def without(levels: Levels, size_e6: int) -> Levels:
    """Return offers without the first `size_e6` contracts: those that are ours, or about to be, and still shown."""
    left: list[tuple[int, int]] = []
    for price, size in levels:
        ours = min(size, size_e6)
        size_e6 -= ours
        if size > ours:
            left.append((price, size - ours))
    return left
