"""Entries of the ledger, written under the mode and environment that trade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestration.execution.decide.ledger import Entry, FillFact, netting_target_e6
from orchestration.execution.trading_context import TradingContext
from streams.storage.database import Connection
from streams.storage.store.ledger import NewEntry, market_holdings, write_entries


def book_entries(connection: Connection, context: TradingContext, entries: Sequence[Entry], at: datetime) -> None:
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
    write_entries(connection, rows, context.mode, context.environment)


def book_netting(connection: Connection, context: TradingContext, fact: FillFact, at: datetime) -> None:
    """Book what the venue pays early, or takes back, because YES and NO of one market match after a fill."""
    holdings = market_holdings(connection, context.mode, fact.venue, fact.market_id)
    yes, no = (
        sum(holding.contracts_e6 for holding in holdings if holding.outcome == outcome) for outcome in ("yes", "no")
    )
    advance = sum(holding.cash_e6 for holding in holdings if holding.outcome is None)
    target = netting_target_e6(fact.venue, yes, no)
    if target != advance:
        key = f"netting:{fact.venue}:{fact.fill_key}:{fact.order_id}:{target}"
        entry = Entry(key, "adjustment", fact.venue, fact.market_id, None, target - advance)
        book_entries(connection, context, [entry], at)
