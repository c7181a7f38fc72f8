"""Entries of the ledger, written under the mode and environment that trade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestration.execution.decide.ledger import Entry, FillFact
from orchestration.execution.decide.market_account import Lot, MarketAccount, Result, missing_entries
from orchestration.execution.trading_context import TradingContext
from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store import executions
from streams.storage.store.ledger import NewEntry, market_sums, write_entries
from streams.storage.store.settlement import load_settlement, mark_due


class LedgerConflict(StreamsError):
    """An entry of that key stands in the ledger already: what was read of a market is not what stands there."""


def book_entries(connection: Connection, context: TradingContext, entries: Sequence[Entry], at: datetime) -> int:
    """Write entries of the ledger that happened at a time and return how many; those that are there already stay."""
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
    return write_entries(connection, rows, context.mode, context.environment)


def load_market_account(connection: Connection, context: TradingContext, venue: Venue, market_id: str) -> MarketAccount:
    """Return what stands in the ledger for one market; the caller holds the market's lock."""
    sums = market_sums(connection, context.mode, venue, market_id)
    shared = [row for row in sums if row.outcome is None]
    return MarketAccount(
        venue,
        market_id,
        tuple(
            Lot(row.execution_id, row.outcome, row.traded_e6, row.settled_e6, row.paid_e6, row.payouts)
            for row in sums
            if row.outcome is not None
        ),
        shared_e6=sum(row.paid_e6 for row in shared),
        shared_entries=sum(row.payouts for row in shared),
        is_ended=any(row.has_result for row in sums),
        payout_step_e6=context.payout_step_e6(venue),
    )


def book_missing(
    connection: Connection,
    context: TradingContext,
    account: MarketAccount,
    result: Result | None,
    at: datetime,
    cause: str = "",
) -> list[Entry]:
    """Book what should stand in the ledger for a market less what does, and return it; call under the market's lock.

    A trade that was realised before has brought what its entries bring now.

    Raises:
        LedgerConflict: If an entry of that key is there already.
    """
    entries = missing_entries(account, result, cause)
    if book_entries(connection, context, entries, at) != len(entries):
        keys = [entry.key for entry in entries]
        raise LedgerConflict(f"one of these entries of {account.market_id} stands in the ledger already: {keys}")
    executions.realise_anew(connection, {entry.execution_id for entry in entries if entry.execution_id is not None})
    return entries


def book_after_fill(
    connection: Connection, context: TradingContext, fact: FillFact, at: datetime, *, has_failed: bool = False
) -> None:
    """Book what a fill, or one that failed, changes for its market: what is paid early, or was paid at the result."""
    account = load_market_account(connection, context, fact.venue, fact.market_id)
    paid = load_settlement(connection, context.mode, fact.venue, fact.market_id)
    result = None if paid is None else Result(paid.settlement_e4, paid.paid_e6)
    if paid is not None and paid.settled_at is not None:
        at = max(at, paid.settled_at)
    cause = f"{fact.fill_key}:{fact.order_id}" + (":failed" if has_failed else "")
    book_missing(connection, context, account, result, at, cause)
    if paid is not None and paid.paid_e6 is not None:
        mark_due(connection, context.mode, fact.venue, fact.market_id)
