"""What an account at a venue may show, by our books, and what follows where it shows something else. PURE.

Our books say one figure; what is provisional, unknown or on its way makes an interval of it. A venue's figure inside of
the interval is explained for a while; outside of it, on two readings that are newer than our last write, it is a break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from streams.market.identity import Outcome, Venue
from streams.market.trading import OrderRow
from streams.market.venue_traits import TRAITS

Position = tuple[str, Outcome]
"""A market and one of its outcomes. Where a venue nets YES and NO of a market, YES less NO stands under `yes`."""

CASH = "cash"
"""Name of the finding about an account's cash; that about a position is "position:MARKET:OUTCOME"."""
TOLERANCE_E6 = 10_000
"""A difference of less than a cent, or a hundredth of a contract, is one of rounding in what a venue shows."""
READS_OF_A_BREAK = 2
_MOST_PER_DOLLAR = 1_000
"""Contracts that a dollar buys at the lowest price there is."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low_e6` to `high_e6`, both included; in between stands `booked_e6`, what our books say."""

    low_e6: int
    booked_e6: int
    high_e6: int

    def holds(self, value_e6: int) -> bool:
        """Whether a venue's figure may be what our books mean."""
        return self.low_e6 - TOLERANCE_E6 < value_e6 < self.high_e6 + TOLERANCE_E6

    def beyond_e6(self, value_e6: int) -> int:
        """Return by how much a figure lies above the interval, or (below zero) below it; zero inside."""
        return value_e6 - min(max(value_e6, self.low_e6), self.high_e6)


@dataclass(frozen=True, slots=True)
class OpenItem:
    """Something whose fate is open: by how much it may change the venue's figures from what our books say.

    Attributes:
        takes_e6 / brings_e6: Cash that it may take at most, and bring at most; both at least 0.
        contracts: By position, contracts that it may take at most and bring at most; both at least 0.
    """

    takes_e6: int = 0
    brings_e6: int = 0
    contracts: Mapping[Position, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProvisionalFill:
    """A fill that is booked and not confirmed: signed changes of cash and contracts; the venue may show it or not."""

    market_id: str
    outcome: Outcome
    cash_e6: int
    contracts_e6: int


@dataclass(frozen=True, slots=True)
class EndedMarket:
    """A market that is over and of which contracts stand in our books: it may have paid already."""

    market_id: str
    yes_e6: int
    no_e6: int


@dataclass(frozen=True, slots=True)
class AccountBooks:
    """What our books say of an account.

    Attributes:
        cash_e6: All of ours, what is provisional or in transit included.
        in_transit_e6: Of it, what is under way between exchange shards.
        receivable_e6: What resolved markets owe and have not paid.
        held: Contracts by market and outcome, as the ledger has them; provisional ones included.
    """

    venue: Venue
    cash_e6: int
    held: Mapping[Position, int]
    in_transit_e6: int = 0
    receivable_e6: int = 0
    provisional: Sequence[ProvisionalFill] = ()
    unresolved: Sequence[OrderRow] = ()
    ended: Sequence[EndedMarket] = ()


def open_items(books: AccountBooks) -> list[OpenItem]:
    """Return everything whose fate is open."""
    nets = TRAITS[books.venue].pays_matched_early
    return [
        OpenItem(takes_e6=max(0, books.in_transit_e6), brings_e6=max(0, books.receivable_e6)),
        *(_of_provisional(fill) for fill in books.provisional),
        *(_of_order(order, nets=nets) for order in books.unresolved),
        *(_of_ended(market, nets=nets) for market in books.ended),
    ]


def _span(change_e6: int) -> tuple[int, int]:
    """Return what may be missing of a change that is booked: (takes, brings)."""
    return max(0, change_e6), max(0, -change_e6)


def _of_provisional(fill: ProvisionalFill) -> OpenItem:
    takes, brings = _span(fill.cash_e6)
    return OpenItem(takes, brings, {(fill.market_id, fill.outcome): _span(fill.contracts_e6)})


def _of_order(order: OrderRow, *, nets: bool) -> OpenItem:
    """An order without a last word may have filled to its end, or not at all; its fills that were read are booked."""
    position, rest = (order.market_id, order.outcome), _rest_e6(order)
    if not rest:
        return OpenItem()
    if order.is_buy:
        # A purchase may complete a couple, whose dollar some venues pay at once.
        takes = max(0, order.reserved_e6 - order.cash_e6 - order.fee_e6)
        return OpenItem(takes, rest if nets else 0, {position: (0, rest)})
    # A sale brings a dollar for each contract at most; of what is not held it is a purchase of the other outcome.
    return OpenItem(max(0, order.reserved_e6) + (rest if nets else 0), rest, {position: (rest, 0)})


def _rest_e6(order: OrderRow) -> int:
    """Return the contracts that may have filled and are not booked; dollars buy more of them at a better price."""
    if order.is_resolved:
        return 0
    if order.is_answered_final:
        return order.unread_e6
    most = order.size_e6 if order.spend_e6 is None else max(order.size_e6, order.spend_e6 * _MOST_PER_DOLLAR)
    return max(0, most - order.filled_e6)


def _of_ended(market: EndedMarket, *, nets: bool) -> OpenItem:
    yes, no = market.yes_e6, market.no_e6
    early = max(0, min(yes, no)) if nets else 0
    pays = (yes - early, no - early)
    return OpenItem(
        takes_e6=max(0, *(-amount for amount in pays)),
        brings_e6=max(0, *pays),
        contracts={(market.market_id, "yes"): _span(yes), (market.market_id, "no"): _span(no)},
    )


def cash_interval(books: AccountBooks) -> Interval:
    """Return what the venue may show as the account's cash."""
    items = open_items(books)
    return Interval(
        books.cash_e6 - sum(item.takes_e6 for item in items),
        books.cash_e6,
        books.cash_e6 + sum(item.brings_e6 for item in items),
    )


def position_intervals(books: AccountBooks) -> dict[Position, Interval]:
    """Return what the venue may show as held, by position; netted where the venue nets."""
    nets = TRAITS[books.venue].pays_matched_early
    found: dict[Position, Interval] = {}

    def widen(position: Position, booked: int, takes: int, brings: int) -> None:
        market, outcome = position
        if nets and outcome == "no":
            position, booked, takes, brings = (market, "yes"), -booked, brings, takes
        before = found.get(position, Interval(0, 0, 0))
        found[position] = Interval(
            before.low_e6 + booked - takes, before.booked_e6 + booked, before.high_e6 + booked + brings
        )

    for position, contracts in books.held.items():
        widen(position, contracts, 0, 0)
    for item in open_items(books):
        for position, (takes, brings) in item.contracts.items():
            widen(position, 0, takes, brings)
    return found


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of an account: what our books allow, and what the venue shows."""

    what: str
    ours: Interval
    venue_e6: int

    @property
    def agrees(self) -> bool:
        """Whether the venue shows what our books say, whatever is open."""
        return abs(self.venue_e6 - self.ours.booked_e6) < TOLERANCE_E6

    @property
    def is_outside(self) -> bool:
        """Whether nothing that is open explains what the venue shows."""
        return not self.ours.holds(self.venue_e6)


def position_name(position: Position) -> str:
    """Return the name of the finding about a position."""
    return f"position:{position[0]}:{position[1]}"


def findings(
    books: AccountBooks, cash_e6: int, held: Mapping[Position, int], settled: Iterable[str] = ()
) -> list[Finding]:
    """Return each figure of an account beside what our books allow.

    Args:
        books: Ours.
        cash_e6: The venue's.
        held: What the venue shows as held, by position; netted where it nets.
        settled: Markets that are booked to their end: what a venue still shows of them is worth nothing.
    """
    intervals, over = position_intervals(books), set(settled)
    names = sorted({*intervals, *(position for position in held if position[0] not in over)})
    return [
        Finding(CASH, cash_interval(books), cash_e6),
        *(Finding(position_name(name), intervals.get(name, Interval(0, 0, 0)), held.get(name, 0)) for name in names),
    ]


State = Literal["watched", "open"]
Verdict = Literal["agrees", "explained", "unexplained", "outside", "break"]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a figure that does not agree.

    Attributes:
        since: When it was first seen to differ.
        outside_reads: Readings in a row, newer than our last write, that nothing explains.
        is_break: It was found to be a break; only a person ends that.
    """

    since: datetime
    outside_reads: int = 0
    is_break: bool = False


def follow(
    before: Watch | None,
    finding: Finding,
    *,
    began_at: datetime,
    last_write_at: datetime | None,
    unexplained_after: timedelta,
) -> tuple[Watch | None, Verdict]:
    """Return what is to be remembered of a figure after a reading, and what the reading says.

    Args:
        before: What was remembered; None: it agreed.
        finding: The reading.
        began_at: When the reading began.
        last_write_at: When we last changed anything of the account; what the venue shows may be older than that.
        unexplained_after: How long a difference inside of the interval is let be.
    """
    if finding.agrees:
        return (before, "break") if before is not None and before.is_break else (None, "agrees")
    watch = before or Watch(began_at)
    if watch.is_break:
        return watch, "break"
    if not finding.is_outside:
        watch = replace(watch, outside_reads=0)
        return watch, "unexplained" if began_at - watch.since >= unexplained_after else "explained"
    if last_write_at is None or began_at > last_write_at:
        watch = replace(watch, outside_reads=watch.outside_reads + 1)
    if watch.outside_reads >= READS_OF_A_BREAK:
        return replace(watch, is_break=True), "break"
    return watch, "outside"
