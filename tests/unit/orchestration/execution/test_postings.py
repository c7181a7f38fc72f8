"""Entries balance in every unit, and what they change of our account is read off their postings."""

from __future__ import annotations

import pytest

from orchestration.execution.decide.postings import (
    Account,
    Entry,
    Posting,
    Subject,
    balance_of,
    cash_of,
    check_balance,
    handed,
    moved,
    totals,
)
from streams.market.errors import InvalidAmount
from streams.market.identity import Venue

K, P = Venue.KALSHI, Venue.POLYMARKET
YES = Subject(K, "M", "yes", 7, 8, 2)


def entry(*postings: Posting) -> Entry:
    return Entry("key", "fill", K, "M", "yes", postings)


def test_dollars_move_from_one_account_to_another_and_only_cash_names_its_shard() -> None:
    assert moved(YES, "cash", "in_transit", 5) == (
        Posting("in_transit", K, 5, "M", None, 2),
        Posting("cash", K, -5, "M", None, 2),
    )
    assert moved(YES, "cash", "fees", -5) == (Posting("fees", K, -5, "M"), Posting("cash", K, 5, "M", None, 2))


def test_contracts_move_from_one_account_to_another_without_a_shard() -> None:
    assert handed(YES, "trading", "positions", 5) == (
        Posting("positions", K, 5, "M", "yes"),
        Posting("trading", K, -5, "M", "yes"),
    )


def test_dollars_and_the_contracts_of_each_outcome_are_units_of_their_own() -> None:
    units = [
        Posting("cash", K, 1, "M").unit,
        Posting("cash", P, 1).unit,
        Posting("positions", K, 1, "M", "yes").unit,
        Posting("positions", K, 1, None, "no").unit,
    ]
    assert units == [("usd",), ("usd",), (K, "M", "yes"), (K, "", "no")]
    assert [Posting("cash", K, 1).is_contracts, Posting("positions", K, 1, "M", "no").is_contracts] == [False, True]


@pytest.mark.parametrize(
    ("account", "cash", "contracts"),
    [
        ("cash", 3, 0),
        ("in_transit", 3, 0),
        ("provisional", 3, 5),
        ("positions", 0, 5),
        ("fees", 0, 0),
        ("trading", 0, 0),
    ],
)
def test_cash_and_contracts_are_ours_on_our_own_accounts_alone(account: Account, cash: int, contracts: int) -> None:
    found = entry(Posting(account, K, 3, "M"), Posting(account, K, 5, "M", "yes"), Posting("suspense", K, 9))
    assert (found.cash_e6, found.contracts_e6) == (cash, contracts)
    assert cash_of([found, found]) == 2 * cash


def test_an_entry_that_does_not_balance_or_has_no_postings_is_refused() -> None:
    check_balance(entry(*moved(YES, "cash", "fees", 5), *handed(YES, "trading", "positions", 7)))
    with pytest.raises(InvalidAmount, match="the entry key does not balance: 1 of usd are left"):
        check_balance(entry(Posting("cash", K, 3), Posting("fees", K, -2)))
    with pytest.raises(InvalidAmount, match="does not balance: 3 of kalshi:M:yes are left"):
        check_balance(entry(Posting("positions", K, 3, "M", "yes"), Posting("trading", K, -3, "M", "no")))
    with pytest.raises(InvalidAmount, match="the entry key has no postings"):
        check_balance(entry())
    with pytest.raises(InvalidAmount, match="does not balance"):
        YES.entry("key", "fill", [Posting("cash", K, 3)])


def test_postings_add_up_by_unit_and_by_account() -> None:
    postings = [Posting("cash", K, 3), Posting("cash", P, 4), Posting("cash", K, 9, "M", "yes"), Posting("fees", K, -5)]
    assert totals(postings) == {("usd",): 2, (K, "M", "yes"): 9}
    assert balance_of(postings, "cash") == 7
    assert balance_of(postings, "cash", [K, "M", "yes"]) == 9
    assert balance_of(postings, "gas") == 0


def test_an_entry_leaves_out_postings_without_an_amount_but_keeps_two_where_there_is_nothing_else() -> None:
    nothing, something = moved(YES, "cash", "fees", 0), moved(YES, "cash", "fees", 5)
    made = YES.entry("key", "fee", [*nothing, *something])
    assert made == Entry("key", "fee", K, "M", "yes", something, 7, 8)
    assert YES.entry("key", "fee", [*nothing, *nothing]).postings == nothing
