"""What should stand in the ledger for a market less what does: by cases, and for whatever order things come in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.execution.decide.ledger import ROUNDED_E6, payout_e6
from orchestration.execution.decide.market_account import (
    Lot,
    MarketAccount,
    Result,
    accrual_entries,
    after,
    missing_entries,
)
from orchestration.execution.decide.postings import Entry, balance_of, cash_of
from streams.market.identity import Outcome, Venue

ONE = 1_000_000
STEPS = {Venue.KALSHI: 10_000, Venue.POLYMARKET: 1}
VENUES = st.sampled_from(list(Venue))
VALUES = st.sampled_from([0, 10_000, 5_000, 3_333, 1])


@dataclass(frozen=True)
class Trade:
    """A fill, or one that failed: contracts of an outcome that a trade bought (above zero) or lost."""

    execution_id: int
    outcome: Outcome
    contracts_e6: int


TRADES = st.builds(
    Trade, st.integers(1, 3), st.sampled_from(["yes", "no"]), st.integers(-40 * ONE, 60 * ONE).filter(bool)
)
RESULTS = st.builds(Result, VALUES, st.none() | st.integers(0, 90 * ONE))


def traded(account: MarketAccount, trade: Trade) -> MarketAccount:
    """Book a fill: contracts come, or go where it failed."""
    lots = {(lot.execution_id, lot.outcome): lot for lot in account.lots}
    key = (trade.execution_id, trade.outcome)
    lot = lots.get(key, Lot(*key, 0))
    lots[key] = replace(lot, traded_e6=lot.traded_e6 + trade.contracts_e6)
    return replace(account, lots=tuple(lots.values()))


def lived(venue: Venue, events: Iterable[Trade | Result]) -> tuple[MarketAccount, list[Entry], Result | None]:
    """Let things happen in an order, booking after each what is missing; returns what stands there and all entries."""
    account, result = MarketAccount(venue, "M", payout_step_e6=STEPS[venue]), None
    booked: list[Entry] = []
    for number, event in enumerate(events):
        if isinstance(event, Trade):
            account = traded(account, event)
        else:
            result = event
        entries = missing_entries(account, result, f"fill-{number}")
        booked += entries
        account = after(account, entries)
    return account, booked, result


def standing(account: MarketAccount) -> tuple[object, ...]:
    """What stands there, without the count of entries that a way there has taken."""
    lots = {(lot.execution_id, lot.outcome): (lot.traded_e6, lot.settled_e6, lot.paid_e6) for lot in account.lots}
    return sorted(lots.items()), account.shared_e6


@given(VENUES, st.lists(TRADES | RESULTS, max_size=8))
def test_what_is_missing_is_booked_once_and_then_nothing_is(venue: Venue, events: Sequence[Trade | Result]) -> None:
    account, booked, result = lived(venue, events)
    assert missing_entries(account, result, "again") == []
    assert len({entry.key for entry in booked}) == len(booked)


@given(VENUES, st.lists(TRADES, max_size=6), st.lists(RESULTS, max_size=3), RESULTS, st.randoms(use_true_random=False))
def test_whatever_order_it_comes_in_the_same_stands_there_at_the_end(
    venue: Venue, trades: list[Trade], stale: list[Result], last: Result, source: object
) -> None:
    mixed: list[Trade | Result] = [*trades, *stale]
    source.shuffle(mixed)  # type: ignore[attr-defined]
    at_once, _, _ = lived(venue, [*trades, last])
    anyhow, _, _ = lived(venue, [*mixed, last])
    # The result that counts may come before the last fills, and the same answer twice.
    split = len(trades) // 2
    early, _, _ = lived(venue, [*trades[:split], *stale, last, last, *trades[split:], last])
    assert standing(at_once) == standing(anyhow) == standing(early)


@given(VENUES, st.lists(TRADES, max_size=6), RESULTS)
def test_nothing_is_held_at_the_end_and_the_cash_is_what_the_venue_has_paid(
    venue: Venue, trades: list[Trade], result: Result
) -> None:
    account, booked, _ = lived(venue, [*trades, result])
    assert all(lot.held_e6 == 0 for lot in account.lots)
    for lot in account.lots:
        assert lot.paid_e6 == payout_e6(lot.outcome, lot.traded_e6, result.settlement_e4)
    paid = account.due_e6(result.settlement_e4) if result.paid_e6 is None else result.paid_e6
    assert cash_of(booked) == account.early_e6 + paid


@given(VENUES, st.lists(TRADES, max_size=6), VALUES)
def test_what_is_left_where_the_venue_pays_as_computed_is_rounding(
    venue: Venue, trades: list[Trade], value: int
) -> None:
    account, _, _ = lived(venue, [*trades, Result(value)])
    assert -STEPS[venue] - len(account.lots) <= account.shared_e6 <= 2 * len(account.lots)


@given(VENUES, st.lists(TRADES, max_size=6), RESULTS, st.integers(1, 6))
def test_a_cycle_that_dies_between_two_entries_is_ended_by_the_next(
    venue: Venue, trades: list[Trade], result: Result, kept: int
) -> None:
    # Entries of one booking stand or fall together; a part of them standing is what a restored database may hold.
    whole, _, _ = lived(venue, [*trades, result])
    account, _, _ = lived(venue, trades)
    account = after(account, missing_entries(account, result)[:kept])
    assert standing(after(account, missing_entries(account, result))) == standing(whole)


@pytest.mark.parametrize("venue", list(Venue))
def test_a_fill_found_after_the_payout_is_paid_with_it(venue: Venue) -> None:
    account, first, _ = lived(venue, [Trade(1, "yes", 20 * ONE), Result(10_000, 50 * ONE)])
    assert [(entry.kind, entry.cash_e6) for entry in first if entry.kind != "accrual"] == [
        ("settlement", 20 * ONE),
        ("adjustment", 30 * ONE),
    ]
    assert account.suspense_e6 == -30 * ONE, "the venue has paid what nothing of ours explains"
    after_fill = traded(account, Trade(1, "yes", 30 * ONE))
    late = missing_entries(after_fill, Result(10_000, 50 * ONE))
    assert [(entry.kind, entry.cash_e6, entry.contracts_e6) for entry in late if entry.kind != "accrual"] == [
        ("settlement", 30 * ONE, -30 * ONE),
        ("adjustment", -30 * ONE, 0),
    ]
    assert after(after_fill, late).suspense_e6 == 0


@given(st.lists(TRADES, max_size=6), RESULTS)
def test_what_a_redemption_has_not_paid_yet_is_receivable(trades: list[Trade], result: Result) -> None:
    account, booked, _ = lived(Venue.POLYMARKET, [*trades, result])
    due = account.due_e6(result.settlement_e4)
    paid = due if result.paid_e6 is None else result.paid_e6
    stands = sum(balance_of(entry.postings, "receivable") for entry in booked)
    assert account.owed_e6 == due
    assert stands == (due - paid if due - paid >= -ROUNDED_E6 else 0)
    assert account.suspense_e6 == (due - paid if due - paid < -ROUNDED_E6 else 0)


def test_what_a_resolved_market_owes_stands_there_before_it_pays() -> None:
    account, _, _ = lived(Venue.POLYMARKET, [Trade(1, "yes", 20 * ONE)])
    owed = accrual_entries(account, Result(10_000))
    assert [(entry.kind, entry.cash_e6, entry.contracts_e6) for entry in owed] == [("accrual", 0, 0)]
    assert balance_of(owed[0].postings, "receivable") == 20 * ONE
    waiting = after(account, owed)
    assert accrual_entries(waiting, Result(10_000)) == []
    paid = missing_entries(waiting, Result(10_000, 20 * ONE))
    assert sum(balance_of(entry.postings, "receivable") for entry in paid) == -20 * ONE
    assert cash_of(paid) == 20 * ONE


def test_kalshi_owes_nothing_as_it_pays_by_itself() -> None:
    account, _, _ = lived(Venue.KALSHI, [Trade(1, "yes", 20 * ONE)])
    assert accrual_entries(account, Result(10_000)) == []


def test_a_corrected_result_moves_cash_from_one_trade_to_the_other() -> None:
    account, _, _ = lived(Venue.KALSHI, [Trade(1, "yes", 20 * ONE), Trade(2, "no", 5 * ONE), Result(10_000)])
    entries = missing_entries(account, Result(0))
    assert [(entry.execution_id, entry.cash_e6, entry.contracts_e6) for entry in entries] == [
        (1, -20 * ONE, 0),
        (2, 5 * ONE, 0),
    ]


def test_a_void_pays_each_side_its_part_and_takes_back_what_was_paid_early() -> None:
    account, booked, _ = lived(Venue.KALSHI, [Trade(1, "yes", 20 * ONE), Trade(2, "no", 5 * ONE), Result(5_000)])
    assert [(entry.kind, entry.cash_e6) for entry in booked] == [
        ("adjustment", 5 * ONE),
        ("settlement", 10 * ONE),
        ("settlement", 2_500_000),
        ("adjustment", -5 * ONE),
    ]
    assert account.shared_e6 == 0


def test_without_a_result_what_was_booked_by_one_stays() -> None:
    account, _, _ = lived(Venue.KALSHI, [Trade(1, "yes", 20 * ONE), Result(10_000)])
    assert missing_entries(account, None) == []
