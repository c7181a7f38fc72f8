"""From fills and settlements to ledger entries. PURE arithmetic on signed integers; the ledger is the only PnL.

The ledger keeps what each execution bought and sold as if it were alone. Kalshi nets YES and NO of one market and pays
the dollar of each matched couple at once, whoever bought them: that advance is an entry of its own (`netting_target`)
that is taken back as the couples settle, so that the sum of all cash entries is the venue's cash at every moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE
from streams.market.venue_traits import TRAITS

Kind = Literal["deposit", "fill", "fee", "rebate", "settlement", "reversal", "adjustment"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger to be: signed changes of cash (1e-6 dollar) and contracts (1e-6)."""

    key: str
    kind: Kind
    venue: Venue
    market_id: str | None
    outcome: Outcome | None
    cash_e6: int
    contracts_e6: int = 0
    execution_id: int | None = None
    order_id: int | None = None


@dataclass(frozen=True, slots=True)
class FillFact:
    """One executed piece of an order. `cash_e6` and `fee_e6` are at least 0; a negative fee is a rebate."""

    fill_key: str
    venue: Venue
    market_id: str
    outcome: Outcome
    action: Literal["buy", "sell"]
    contracts_e6: int
    cash_e6: int
    fee_e6: int
    execution_id: int
    order_id: int


def fill_entries(fill: FillFact) -> list[Entry]:
    """Return the entries of a fill: cash against contracts, and the fee."""
    sign = 1 if fill.action == "buy" else -1
    entries = [_entry(fill, "fill", "fill", -sign * fill.cash_e6, sign * fill.contracts_e6)]
    if fill.fee_e6:
        entries.append(_entry(fill, "fee", "fee" if fill.fee_e6 > 0 else "rebate", -fill.fee_e6, 0))
    return entries


def reversal_entries(fill: FillFact) -> list[Entry]:
    """Return the entries that undo a fill which never settled: what it moved comes back."""
    return [
        Entry(
            key=f"reversal:{entry.key}",
            kind="reversal",
            venue=entry.venue,
            market_id=entry.market_id,
            outcome=entry.outcome,
            cash_e6=-entry.cash_e6,
            contracts_e6=-entry.contracts_e6,
            execution_id=entry.execution_id,
            order_id=entry.order_id,
        )
        for entry in fill_entries(fill)
    ]


def _entry(fill: FillFact, name: str, kind: Kind, cash: int, contracts: int) -> Entry:
    return Entry(
        key=f"{name}:{fill.venue}:{fill.fill_key}:{fill.order_id}",
        kind=kind,
        venue=fill.venue,
        market_id=fill.market_id,
        outcome=fill.outcome,
        cash_e6=cash,
        contracts_e6=contracts,
        execution_id=fill.execution_id,
        order_id=fill.order_id,
    )


def netting_target_e6(venue: Venue, yes_e6: int, no_e6: int) -> int:
    """Return the cash a venue has paid early for matched YES and NO of one market: a dollar each where it does so."""
    return max(0, min(yes_e6, no_e6)) if TRAITS[venue].pays_matched_early else 0


def payout_e6(outcome: Outcome, contracts_e6: int, settlement_e4: int) -> int:
    """Return what contracts pay when one YES pays `settlement_e4`, rounded down."""
    pays = settlement_e4 if outcome == "yes" else PRICE_ONE_E4 - settlement_e4
    return pays * contracts_e6 // PRICE_SCALE


def cash_of(entries: Iterable[Entry]) -> int:
    """Return the sum of the entries' cash."""
    return sum(entry.cash_e6 for entry in entries)
