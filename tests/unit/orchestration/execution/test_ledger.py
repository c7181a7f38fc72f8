from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestration.execution.decide.ledger import (
    FillFact,
    Lot,
    cash_of,
    fill_entries,
    netting_target_e6,
    payout_e6,
    reversal_entries,
    settlement_entries,
)
from streams.market.identity import Outcome, Venue

sizes = st.integers(0, 10**9)


def fill(action: str = "buy", fee: int = 17_500) -> FillFact:
    return FillFact("t1", Venue.KALSHI, "KX", "yes", action, 10**6, 520_000, fee, 1, 2)  # type: ignore[arg-type]


def test_a_purchase_moves_cash_against_contracts_and_books_its_fee_apart() -> None:
    entries = fill_entries(fill())
    assert [(entry.kind, entry.cash_e6, entry.contracts_e6) for entry in entries] == [
        ("fill", -520_000, 1_000_000),
        ("fee", -17_500, 0),
    ]


def test_a_sale_brings_cash_and_a_rebate_is_not_a_fee() -> None:
    entries = fill_entries(fill("sell", -100))
    assert [(entry.kind, entry.cash_e6) for entry in entries] == [("fill", 520_000), ("rebate", 100)]


def test_a_reversal_undoes_everything_a_fill_moved() -> None:
    both = fill_entries(fill()) + reversal_entries(fill())
    assert cash_of(both) == 0
    assert sum(entry.contracts_e6 for entry in both) == 0
    assert len({entry.key for entry in both}) == 4


@given(yes=sizes, no=sizes, settlement=st.integers(0, 10_000))
def test_netting_and_settlement_pay_together_what_the_contracts_are_worth(yes: int, no: int, settlement: int) -> None:
    advance = netting_target_e6(Venue.KALSHI, yes, no)
    lots: list[tuple[Outcome, int]] = [("yes", yes), ("no", no)]
    net = payout_e6("yes", yes - advance, settlement) + payout_e6("no", no - advance, settlement)
    entries = settlement_entries(
        Venue.KALSHI,
        "KX",
        settlement,
        [Lot(number, outcome, size) for number, (outcome, size) in enumerate(lots)],
        advance_e6=advance,
        paid_e6=net,
    )
    # what the venue pays at the end is what the ledger books at the end, to the micro-dollar
    assert cash_of(entries) == net
    worth = sum(payout_e6(outcome, size, settlement) for outcome, size in lots)
    assert abs(net + advance - worth) <= 2
    assert sum(entry.contracts_e6 for entry in entries) == -(yes + no)


def test_polymarket_nets_nothing() -> None:
    assert netting_target_e6(Venue.POLYMARKET, 10, 10) == 0
