"""What may be missing or on top of an account's figures, kind by kind and to the digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.execution.decide.account_check import (
    AccountBooks,
    EndedMarket,
    Finding,
    Interval,
    OpenItem,
    ProvisionalFill,
    Watch,
    cash_interval,
    findings,
    follow,
    open_items,
    position_intervals,
    position_name,
)
from streams.market.identity import Venue
from streams.market.trading import OrderRow

START = datetime(2026, 1, 1, tzinfo=UTC)
K, P = Venue.KALSHI, Venue.POLYMARKET
YES, NO = ("M", "yes"), ("M", "no")


def order(venue: Venue, action: str, **more: Any) -> OrderRow:
    """An order for 20 contracts of which nothing is known, with 9 dollars and some cents of fees held back."""
    given: dict[str, Any] = {
        "order_id": 1, "execution_id": 1, "leg_no": 0, "purpose": "open", "venue": venue, "market_id": "M",
        "outcome": "yes", "action": action, "limit_price_e4": 4_500, "size_e6": 20, "spend_e6": None,
        "reserved_e6": 9, "client_order_id": "c", "venue_order_id": None, "state": "unknown", "reason": "",
        "filled_e6": 0, "cash_e6": 0, "fee_e6": 0, "prepared_at": START, "sent_at": START, "environment": "sandbox",
        "answered_e6": 0, "answered_cash_e6": 0, "answered_fee_e6": 0, "is_answered_final": False, "seen_e6": 0,
    }  # fmt: skip
    return OrderRow(**(given | more))


def items(venue: Venue, **more: Any) -> list[OpenItem]:
    """What is open, without what is in transit or owed."""
    return open_items(AccountBooks(venue, 0, {}, **more))[1:]


@pytest.mark.parametrize(
    ("venue", "row", "expected"),
    [
        (P, order(P, "buy"), OpenItem(9, 0, {YES: (0, 20)})),
        # the purchase may complete couples, which Kalshi pays at once
        (K, order(K, "buy"), OpenItem(9, 20, {YES: (0, 20)})),
        (P, order(P, "buy", cash_e6=3, fee_e6=1, filled_e6=6), OpenItem(5, 0, {YES: (0, 14)})),
        (P, order(P, "buy", cash_e6=9, fee_e6=1, filled_e6=6), OpenItem(0, 0, {YES: (0, 14)})),
        (P, order(P, "sell", reserved_e6=2), OpenItem(2, 20, {YES: (20, 0)})),
        # a sale of what is not held is a purchase of the other outcome at Kalshi
        (K, order(K, "sell", reserved_e6=2), OpenItem(22, 20, {YES: (20, 0)})),
        (P, order(P, "sell", reserved_e6=-1), OpenItem(0, 20, {YES: (20, 0)})),
        (P, order(P, "buy", filled_e6=20), OpenItem()),
        (P, order(P, "buy", filled_e6=21), OpenItem()),
        (P, order(P, "buy", state="canceled"), OpenItem()),
        # at 0.001 a dollar buys a thousand; but never fewer than were ordered
        (P, order(P, "buy", spend_e6=9, filled_e6=1), OpenItem(9, 0, {YES: (0, 8_999)})),
        (P, order(P, "buy", size_e6=9_001, spend_e6=9), OpenItem(9, 0, {YES: (0, 9_001)})),
    ],
)
def test_an_order_without_a_last_word_may_have_filled_to_its_end_or_not_at_all(
    venue: Venue, row: OrderRow, expected: OpenItem
) -> None:
    assert items(venue, unresolved=[row]) == [expected]


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (ProvisionalFill("M", "yes", -9, 20), OpenItem(0, 9, {YES: (20, 0)})),
        (ProvisionalFill("M", "no", 9, -20), OpenItem(9, 0, {NO: (0, 20)})),
    ],
)
def test_a_fill_that_is_not_confirmed_may_be_missing_in_cash_and_contracts(
    fill: ProvisionalFill, expected: OpenItem
) -> None:
    assert items(P, provisional=[fill]) == [expected]


@pytest.mark.parametrize(
    ("venue", "market", "expected"),
    [
        (P, EndedMarket("M", 20, 5), OpenItem(0, 20, {YES: (20, 0), NO: (5, 0)})),
        (P, EndedMarket("M", 5, 20), OpenItem(0, 20, {YES: (5, 0), NO: (20, 0)})),
        (K, EndedMarket("M", 20, 5), OpenItem(0, 15, {YES: (20, 0), NO: (5, 0)})),
        (K, EndedMarket("M", -3, 5), OpenItem(3, 5, {YES: (0, 3), NO: (5, 0)})),
        (K, EndedMarket("M", 7, -4), OpenItem(4, 7, {YES: (7, 0), NO: (0, 4)})),
    ],
)
def test_a_market_that_is_over_may_have_paid_what_is_held_of_its_better_side(
    venue: Venue, market: EndedMarket, expected: OpenItem
) -> None:
    assert items(venue, ended=[market]) == [expected]


def test_what_is_in_transit_or_owed_counts_only_where_there_is_some() -> None:
    assert open_items(AccountBooks(P, 0, {}, in_transit_e6=7, receivable_e6=3)) == [OpenItem(7, 3)]
    assert open_items(AccountBooks(P, 0, {}, in_transit_e6=-7, receivable_e6=-3)) == [OpenItem(0, 0)]
    assert open_items(AccountBooks(P, 0, {})) == [OpenItem(0, 0, {})]


def test_cash_may_lack_all_that_takes_and_have_all_that_brings() -> None:
    books = AccountBooks(
        P, 100, {}, in_transit_e6=7, receivable_e6=3,
        provisional=[ProvisionalFill("M", "yes", -9, 20), ProvisionalFill("M", "yes", 4, -8)],
    )  # fmt: skip
    assert cash_interval(books) == Interval(100 - 7 - 4, 100, 100 + 3 + 9)


def test_positions_add_up_market_by_market_and_are_netted_where_the_venue_nets() -> None:
    open_fills = [
        ProvisionalFill("M", "yes", 0, 20),
        ProvisionalFill("M", "no", 0, 6),
        ProvisionalFill("M", "no", 0, -2),
    ]
    held: Any = {YES: 30, NO: 8, ("N", "no"): 1}
    assert position_intervals(AccountBooks(P, 0, held, provisional=open_fills)) == {
        YES: Interval(10, 30, 30),
        NO: Interval(2, 8, 10),
        ("N", "no"): Interval(1, 1, 1),
    }
    # a NO less is a YES more
    assert position_intervals(AccountBooks(K, 0, held, provisional=open_fills)) == {
        YES: Interval(22 - 20 - 2, 22, 22 + 6),
        ("N", "yes"): Interval(-1, -1, -1),
    }


def test_every_figure_of_either_side_is_a_finding_and_what_one_side_lacks_is_nothing() -> None:
    books = AccountBooks(P, 100, {YES: 30})
    nothing = Interval(0, 0, 0)
    assert findings(books, 99, {NO: 5, ("OLD", "yes"): 1}, {"OLD"}) == [
        Finding("cash", Interval(100, 100, 100), 99),
        Finding("position:M:no", nothing, 5),
        Finding("position:M:yes", Interval(30, 30, 30), 0),
    ]
    # what we hold of a market that is booked to its end is still compared
    assert findings(books, 100, {YES: 30}, {"M"})[1:] == [Finding("position:M:yes", Interval(30, 30, 30), 30)]
    assert position_name(NO) == "position:M:no"


@pytest.mark.parametrize(
    ("value", "agrees", "is_outside"),
    [
        (9_999, True, False),
        (-9_999, True, False),
        (10_000, False, False),
        (-10_000, False, False),
        (50_000 + 9_999, False, False),
        (50_000 + 10_000, False, True),
        (-30_000 - 9_999, False, False),
        (-30_000 - 10_000, False, True),
    ],
)
def test_a_cent_or_more_beside_the_books_differs_and_beside_the_interval_is_outside(
    value: int, agrees: bool, is_outside: bool
) -> None:
    found = Finding("cash", Interval(-30_000, 0, 50_000), value)
    assert (found.agrees, found.is_outside) == (agrees, is_outside)


@pytest.mark.parametrize(
    ("last_write_at", "reads"),
    [(None, 1), (START - timedelta(seconds=1), 1), (START, 0), (START + timedelta(seconds=1), 0)],
)
def test_only_a_reading_that_began_after_our_last_write_counts_towards_a_break(
    last_write_at: datetime | None, reads: int
) -> None:
    outside = Finding("cash", Interval(0, 0, 0), 10_000)
    found = follow(None, outside, began_at=START, last_write_at=last_write_at, unexplained_after=timedelta(seconds=120))
    assert found == (Watch(START, reads), "outside")


def test_a_difference_that_was_watched_and_agrees_again_is_forgotten() -> None:
    well = Finding("cash", Interval(0, 0, 0), 0)
    for before in (None, Watch(START, 1)):
        assert follow(before, well, began_at=START, last_write_at=None, unexplained_after=timedelta(seconds=120)) == (
            None,
            "agrees",
        )
