"""What the gate must know of the books a plan was decided on: kept beside the plan, read with it. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from orchestration.execution.decide.hedge_plan import Plan
from streams.market.book import Book
from streams.market.documents import JsonDocument
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4


@dataclass(frozen=True, slots=True)
class LegQuote:
    """A leg's book, in prices of its outcome.

    Attributes:
        ask_e4 / bid_e4: The best offer and the best bid; None where there is none.
        exit_e6: Contracts that the bids near the best one take.
        tick_e4: The step of prices as the book states it, None where it does not.
    """

    ask_e4: int | None
    bid_e4: int | None
    exit_e6: int
    tick_e4: int | None


@dataclass(frozen=True, slots=True)
class PlanQuotes:
    """The books of a plan's legs, in its order; read between `asked_at` and `read_at`."""

    asked_at: datetime
    read_at: datetime
    legs: tuple[LegQuote, ...]


def quotes_of(
    plan: Plan, books: Mapping[str, BookSnapshot], asked_at: datetime, read_at: datetime, exit_within_e4: int
) -> PlanQuotes:
    """Return what is kept of the books.

    Args:
        plan: What was decided on them.
        books: By "venue:market_id", none of them crossed.
        asked_at: When they were asked for, and `read_at` when the last of them was there.
        read_at: See there.
        exit_within_e4: Bids this far below the best one count as a way out.
    """
    return PlanQuotes(
        asked_at,
        read_at,
        tuple(_quote(books[leg.market_key], leg.outcome, exit_within_e4) for leg in plan.legs),
    )


def _quote(snapshot: BookSnapshot, outcome: Outcome, exit_within_e4: int) -> LegQuote:
    book = Book()
    book.replace(snapshot)
    # who sells an outcome into its bids buys the other one
    other = book.offers("no" if outcome == "yes" else "yes")
    bids = [(PRICE_ONE_E4 - price, size) for price, size in other]
    best = max((price for price, _ in bids), default=None)
    exit_e6 = sum(size for price, size in bids if best is not None and price >= best - exit_within_e4)
    return LegQuote(min((price for price, _ in book.offers(outcome)), default=None), best, exit_e6, snapshot.tick_e4)


def quotes_to_json(quotes: PlanQuotes) -> JsonDocument:
    """Return the quotes as they are kept in `trading.executions.detail` under `quotes`."""
    return {
        "asked_at": quotes.asked_at.isoformat(),
        "read_at": quotes.read_at.isoformat(),
        "legs": [asdict(leg) for leg in quotes.legs],
    }


def quotes_from_json(stored: JsonDocument | None) -> PlanQuotes | None:
    """Return the quotes that stand beside a plan; None where there are none, as with plans of former versions.

    Raises:
        KeyError, TypeError, ValueError: If they are damaged.
    """
    if stored is None:
        return None
    asked_at, read_at = (datetime.fromisoformat(stored[name]) for name in ("asked_at", "read_at"))
    return PlanQuotes(asked_at, read_at, tuple(LegQuote(**leg) for leg in stored["legs"]))
