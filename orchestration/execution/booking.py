"""Fills and entries of the ledger, written under the mode and environment that trade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from orchestration.execution.decide.ledger import Entry, FillFact, fill_entries, netting_target_e6, reversal_entries
from orchestration.execution.late_fills import reopen_failed
from streams.market.trading import NewFill, OrderRow
from streams.storage.database import Connection
from streams.storage.store import orders
from streams.storage.store.ledger import NewEntry, market_holdings, write_entries


class LedgerScope(Protocol):
    """Under what entries are written: the trading mode, and which exchanges these are."""

    @property
    def mode(self) -> str:
        """The trading mode."""

    @property
    def environment(self) -> str:
        """Which exchanges."""


def record_fill(connection: Connection, scope: LedgerScope, order: OrderRow, fill: NewFill) -> None:
    """Write a fill of an order, or its change of state, with the entries that follow from it."""
    before = orders.upsert_fill(connection, order, fill)
    fact = fill_fact(order, fill)
    if before is None and fill.state != "failed":
        entries = fill_entries(fact)
    elif before == "provisional" and fill.state == "failed":
        entries = reversal_entries(fact)
        reopen_failed(connection, order.execution_id)
    else:
        return
    book_entries(connection, scope, entries, fill.filled_at)
    _book_netting(connection, scope, fact, fill.filled_at)


def fill_fact(order: OrderRow, fill: NewFill) -> FillFact:
    """Return the ledger's view of a fill of an order."""
    return FillFact(
        fill_key=fill.venue_fill_id,
        venue=order.venue,
        market_id=order.market_id,
        outcome=order.outcome,
        action=order.action,
        contracts_e6=fill.contracts_e6,
        cash_e6=fill.cash_e6,
        fee_e6=fill.fee_e6,
        execution_id=order.execution_id,
        order_id=order.order_id,
    )


def book_entries(connection: Connection, scope: LedgerScope, entries: Sequence[Entry], at: datetime) -> None:
    """Write entries of the ledger that happened at a time; those that are there already stay."""
    rows = [
        NewEntry(
            key=entry.key,
            kind=entry.kind,
            venue=entry.venue.value,
            market_id=entry.market_id,
            outcome=entry.outcome,
            cash_e6=entry.cash_e6,
            contracts_e6=entry.contracts_e6,
            execution_id=entry.execution_id,
            order_id=entry.order_id,
            happened_at=at,
        )
        for entry in entries
    ]
    write_entries(connection, rows, scope.mode, scope.environment)


def _book_netting(connection: Connection, scope: LedgerScope, fact: FillFact, at: datetime) -> None:
    """Book what the venue pays early, or takes back, because YES and NO of one market match after a fill."""
    holdings = market_holdings(connection, scope.mode, fact.venue, fact.market_id)
    yes, no = (
        sum(holding.contracts_e6 for holding in holdings if holding.outcome == outcome) for outcome in ("yes", "no")
    )
    advance = sum(holding.cash_e6 for holding in holdings if holding.outcome is None)
    target = netting_target_e6(fact.venue, yes, no)
    if target != advance:
        key = f"netting:{fact.venue}:{fact.fill_key}:{fact.order_id}:{target}"
        entry = Entry(key, "adjustment", fact.venue, fact.market_id, None, target - advance)
        book_entries(connection, scope, [entry], at)
