"""Every fact becomes balanced entries, and our account at the venue moves as it would have in single entry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.execution.decide.ledger import (
    Accrual,
    CashMove,
    ConfirmedFill,
    CorrectedFill,
    Fact,
    FailedFill,
    FillFact,
    ForeignCash,
    Payment,
    SharedPayment,
    Transfer,
    TransferEnd,
    entries_of,
    netting_target_e6,
    split_by_shard,
)
from orchestration.execution.decide.postings import (
    Entry,
    Posting,
    Subject,
    balance_of,
    cash_of,
    check_balance,
    totals,
)
from streams.market.errors import InvalidAmount
from streams.market.identity import Venue

ONE = 1_000_000
AMOUNTS = st.integers(0, 10**12)
SIGNED = st.integers(-(10**12), 10**12)
VENUES = st.sampled_from(list(Venue))
SHARDS = st.none() | st.integers(0, 3)
FILLS = st.builds(
    FillFact,
    fill_key=st.just("f"),
    venue=VENUES,
    market_id=st.just("M"),
    outcome=st.sampled_from(["yes", "no"]),
    action=st.sampled_from(["buy", "sell"]),
    contracts_e6=st.integers(1, 10**12),
    cash_e6=AMOUNTS,
    fee_e6=st.integers(-(10**6), 10**6),
    execution_id=st.just(1),
    order_id=st.just(2),
    is_provisional=st.booleans(),
    shard=SHARDS,
    computed_fee_e6=st.none() | st.integers(-(10**6), 10**6),
)
SUBJECTS = st.builds(
    Subject, VENUES, st.just("M"), st.sampled_from(["yes", "no"]), st.none() | st.integers(1, 3), shard=SHARDS
)
TRANSFERS = st.builds(Transfer, st.just("t"), VENUES, st.integers(0, 3), st.integers(0, 3), AMOUNTS)
FACTS: st.SearchStrategy[Fact] = st.one_of(
    FILLS,
    FILLS.map(lambda f: replace(f, execution_id=None, order_id=None)),
    st.builds(FailedFill, FILLS, st.booleans()),
    st.builds(ConfirmedFill, FILLS),
    st.tuples(FILLS, SIGNED, AMOUNTS).map(
        lambda x: CorrectedFill(x[0], replace(x[0], contracts_e6=abs(x[1]) + 1, cash_e6=x[2], revision=1))
    ),
    st.builds(
        CashMove,
        st.just("d"),
        st.sampled_from(["deposit", "withdrawal"]),
        VENUES,
        st.dictionaries(SHARDS, AMOUNTS, max_size=4),
        AMOUNTS,
    ),
    TRANSFERS,
    st.builds(TransferEnd, TRANSFERS, st.booleans()),
    st.builds(Payment, st.just("p"), SUBJECTS, SIGNED, SIGNED),
    st.builds(SharedPayment, st.just("s"), SUBJECTS, SIGNED, st.sampled_from(["advances", "rounding", "receivable"])),
    st.builds(Accrual, st.just("a"), SUBJECTS, st.just("trading"), st.just("receivable"), SIGNED),
    st.builds(ForeignCash, st.just("x"), VENUES, SIGNED),
    st.builds(ForeignCash, st.just("x"), VENUES, SIGNED, st.just("M"), st.sampled_from(["yes", "no"]), SIGNED),
)


def fill(action: str = "buy", fee: int = 17_500, **more: Any) -> FillFact:
    return FillFact("t1", Venue.KALSHI, "KX", "yes", action, ONE, 520_000, fee, 1, 2, **more)  # type: ignore[arg-type]


def postings_of(facts: Iterable[Fact]) -> list[Posting]:
    return [posting for fact in facts for entry in entries_of(fact) for posting in entry.postings]


@given(FACTS)
def test_every_set_of_postings_balances_in_dollars_and_per_outcome(fact: Fact) -> None:
    entries = entries_of(fact)
    assert entries
    for entry in entries:
        check_balance(entry)
        assert set(totals(entry.postings).values()) <= {0}
        assert len(entry.postings) >= 2
    assert len({entry.key for entry in entries}) == len(entries)


@given(FILLS)
def test_a_fill_moves_our_account_as_in_single_entry(fact: FillFact) -> None:
    sign = 1 if fact.action == "buy" else -1
    entries = entries_of(fact)
    assert cash_of(entries) == -sign * fact.cash_e6 - fact.fee_e6
    assert sum(entry.contracts_e6 for entry in entries) == sign * fact.contracts_e6
    fee = ["fee" if fact.fee_e6 > 0 else "rebate"] if fact.fee_e6 else []
    assert [entry.kind for entry in entries] == ["fill", *fee]


@given(FILLS)
def test_a_confirmation_moves_nothing_of_our_account_and_leaves_nothing_provisional(fact: FillFact) -> None:
    provisional = replace(fact, is_provisional=True)
    (confirmed,) = entries_of(ConfirmedFill(provisional))
    assert (confirmed.cash_e6, confirmed.contracts_e6) == (0, 0)
    both = postings_of([provisional, ConfirmedFill(provisional)])
    outcome = (fact.venue, "M", fact.outcome)
    assert balance_of(both, "provisional") == balance_of(both, "provisional", outcome) == 0
    at_once = postings_of([replace(fact, is_provisional=False)])
    for account in ("cash", "fees", "rebates", "trading", "rounding", "suspense"):
        assert balance_of(both, account) == balance_of(at_once, account)  # type: ignore[arg-type]
    assert balance_of(both, "positions", outcome) == balance_of(at_once, "positions", outcome)


@given(FILLS, st.booleans())
def test_a_fill_that_failed_leaves_nothing_on_any_account(fact: FillFact, was_confirmed: bool) -> None:
    facts: list[Fact] = [fact]
    if was_confirmed and fact.is_provisional:
        facts.append(ConfirmedFill(fact))
    left: dict[tuple[str, ...], int] = {}
    for posting in postings_of([*facts, FailedFill(fact, was_confirmed)]):
        key = (posting.account, *posting.unit)
        left[key] = left.get(key, 0) + posting.amount_e6
    assert set(left.values()) <= {0}


@given(FILLS, AMOUNTS)
def test_a_corrected_fill_stands_as_if_it_had_been_so_from_the_start(fact: FillFact, cash: int) -> None:
    after = replace(fact, cash_e6=cash, contracts_e6=fact.contracts_e6 + 1, revision=1)
    assert cash_of([*entries_of(fact), *entries_of(CorrectedFill(fact, after))]) == cash_of(entries_of(after))
    keys = [entry.key for one in (fact, CorrectedFill(fact, after)) for entry in entries_of(one)]
    assert len(set(keys)) == len(keys)


def test_a_purchase_moves_cash_against_contracts_and_books_its_fee_apart() -> None:
    entries = entries_of(fill())
    assert [(entry.kind, entry.cash_e6, entry.contracts_e6) for entry in entries] == [
        ("fill", -520_000, 1_000_000),
        ("fee", -17_500, 0),
    ]


def test_a_sale_brings_cash_and_a_rebate_is_not_a_fee() -> None:
    entries = entries_of(fill("sell", -100))
    assert [(entry.kind, entry.cash_e6) for entry in entries] == [("fill", 520_000), ("rebate", 100)]


def test_the_venues_fee_leaves_the_cash_and_what_we_did_not_compute_stands_on_suspense() -> None:
    postings = postings_of([fill(fee=37_500, computed_fee_e6=17_500)])
    assert balance_of(postings, "cash") == -557_500
    assert (balance_of(postings, "fees"), balance_of(postings, "suspense")) == (17_500, 20_000)


def test_what_a_venue_rounds_by_is_no_suspense() -> None:
    postings = postings_of([fill(fee=17_500, computed_fee_e6=17_420)])
    assert (balance_of(postings, "rounding"), balance_of(postings, "suspense")) == (80, 0)


def test_what_somebody_else_traded_stands_on_foreign() -> None:
    foreign = replace(fill("sell", 100), execution_id=None, order_id=None)
    postings = postings_of([foreign])
    assert balance_of(postings, "foreign") == -519_900
    assert balance_of(postings, "foreign", ("kalshi", "KX", "yes")) == ONE
    assert {entry.kind for entry in entries_of(foreign)} == {"foreign"}


def test_a_transfer_is_in_transit_until_it_arrives() -> None:
    transfer = Transfer("1", Venue.KALSHI, 0, 2, 5 * ONE)
    (left,) = entries_of(transfer)
    assert (balance_of(left.postings, "cash"), balance_of(left.postings, "in_transit")) == (-5 * ONE, 5 * ONE)
    both = postings_of([transfer, TransferEnd(transfer)])
    assert balance_of(both, "in_transit") == 0
    assert sum(p.amount_e6 for p in both if p.account == "cash" and p.shard == 2) == 5 * ONE


def test_cash_that_the_shards_do_not_add_up_to_is_kept_apart() -> None:
    assert split_by_shard(1_000_005, {0: 600_000, 2: 400_000}) == {0: 600_000, 2: 400_000, None: 5}
    assert split_by_shard(7, {None: 9}) == {None: 7}


def test_an_entry_that_does_not_balance_is_refused() -> None:
    lone = Posting("cash", Venue.KALSHI, 5)
    with pytest.raises(InvalidAmount, match="does not balance: 5 of usd"):
        check_balance(Entry("k", "deposit", Venue.KALSHI, None, None, (lone,)))
    with pytest.raises(InvalidAmount, match="no postings"):
        check_balance(Entry("k", "deposit", Venue.KALSHI, None, None, ()))
    other = replace(lone, amount_e6=-5, market_id="KX", outcome="yes")
    with pytest.raises(InvalidAmount, match="does not balance"):
        check_balance(Entry("k", "deposit", Venue.KALSHI, None, None, (lone, other)))


def test_polymarket_nets_nothing() -> None:
    assert netting_target_e6(Venue.POLYMARKET, 10, 10) == 0
