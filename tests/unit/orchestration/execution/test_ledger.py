from __future__ import annotations

from orchestration.execution.decide.ledger import (
    FillFact,
    cash_of,
    fill_entries,
    netting_target_e6,
    reversal_entries,
)
from streams.market.identity import Venue


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


def test_polymarket_nets_nothing() -> None:
    assert netting_target_e6(Venue.POLYMARKET, 10, 10) == 0
