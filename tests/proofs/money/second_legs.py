"""What the legs of a trade would have cost at other moments, on the recorded books. PURE.

For each leg but the first the books are asked at moments around the sending of the first order: where its price leaves
the plan's shows when the loss of completing arises, and what sending all legs at once would have saved.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from orchestration.execution.decide.hedge_plan import Plan, walk_levels
from streams.market.book import Book
from streams.market.events import Quote
from streams.market.identity import Outcome, market_key

OFFSETS_MS = (0, 50, 100, 200, 350, 500, 750, 1_000, 1_500, 2_500)
"""Milliseconds after the first order was sent."""


@dataclass(frozen=True, slots=True, order=True)
class Look:
    """A question to the books: what would this leg cost at this moment?"""

    at_ns: int
    execution_id: int
    leg_no: int
    offset_ms: int
    market: str
    outcome: Outcome
    size_e6: int
    planned_e6: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What it would have cost beyond the plan (1e-6 dollar, no fees); None where the book did not hold the size."""

    look: Look
    beyond_e6: int | None


def looks(execution_id: int, plan: Plan, first_sent_ns: int, size_e6: int) -> list[Look]:
    """Return the questions about one trade.

    Args:
        execution_id: The trade.
        plan: What was decided.
        first_sent_ns: When its first order was sent.
        size_e6: Contracts that its first leg bought.
    """
    return [
        Look(
            first_sent_ns + offset * 1_000_000,
            execution_id,
            leg.leg_no,
            offset,
            leg.market_key,
            leg.outcome,
            size_e6,
            round(Fraction(leg.cost_e6 * size_e6, plan.size_e6)),
        )
        for leg in plan.legs[1:]
        for offset in OFFSETS_MS
    ]


class LegPrices:
    """Answers looks while books are shown. Implements `tests.proofs.money.recording.Watcher`.

    A look is answered at the first tick at or after it, before the record that comes then: by the books as they were.
    """

    def __init__(self, asked: Sequence[Look]) -> None:
        self._asked = list(asked)
        heapq.heapify(self._asked)
        self._books: dict[str, Book] = {}
        self.answers: list[Answer] = []

    def on_quote(self, quote: Quote, book: Book) -> None:
        """Take a market's book in."""
        market = market_key(quote.venue, quote.market_id)
        if quote.is_live:
            self._books[market] = book
        else:
            self._books.pop(market, None)

    def on_tick(self, now_ns: int) -> None:
        """Answer what is due."""
        while self._asked and self._asked[0].at_ns <= now_ns:
            look = heapq.heappop(self._asked)
            self.answers.append(Answer(look, self._beyond(look)))

    def lose_books(self) -> None:
        """Forget all books."""
        self._books.clear()

    def close(self) -> None:
        """What was not due yet has no answer."""
        self.answers += [Answer(look, None) for look in self._asked]
        self._asked.clear()

    def _beyond(self, look: Look) -> int | None:
        book = self._books.get(look.market)
        if book is None or book.is_crossed:
            return None
        levels = book.offers(look.outcome)
        if sum(size for _, size in levels) < look.size_e6:
            return None
        return walk_levels(levels, look.size_e6)[1] - look.planned_e6


@dataclass(frozen=True, slots=True)
class AtOffset:
    """All trades at one offset: legs that could be bought at all, and what they would have cost beyond the plan."""

    offset_ms: int
    legs: int
    unbuyable: int
    dearer: int
    beyond_e6: int


def by_offset(answers: Sequence[Answer]) -> list[AtOffset]:
    """Return the sums per offset; only legs that have an answer at every offset count."""
    unanswered = {(a.look.execution_id, a.look.leg_no) for a in answers if a.beyond_e6 is None}
    whole = [a for a in answers if (a.look.execution_id, a.look.leg_no) not in unanswered]
    found = []
    for offset in OFFSETS_MS:
        here = [a.beyond_e6 or 0 for a in whole if a.look.offset_ms == offset]
        none = sum(a.look.offset_ms == offset and a.beyond_e6 is None for a in answers)
        found.append(AtOffset(offset, len(here), none, sum(beyond > 0 for beyond in here), sum(here)))
    return found
