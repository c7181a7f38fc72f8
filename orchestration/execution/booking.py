"""Entries of the ledger, written under the mode and environment that trade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from orchestration.execution.decide.ledger import Entry, FillFact, fill_entries, reversal_entries
from orchestration.execution.decide.market_account import Lot, MarketAccount, Result, missing_entries
from orchestration.execution.late_fills import reopen_failed
from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.market.trading import NewFill, OrderRow
from streams.storage.database import Connection
from streams.storage.store import executions, orders
from streams.storage.store.ledger import NewEntry, market_sums, write_entries
from streams.storage.store.settlement import load_settlement, mark_due


class LedgerConflict(StreamsError):
    """An entry of that key stands in the ledger already: what was read of a market is not what stands there."""


class LedgerScope(Protocol):
    """Under what entries are written, and what its venues keep of what they pay."""

    @property
    def mode(self) -> str:
        """The trading mode."""

    @property
    def environment(self) -> str:
        """Which exchanges."""

    def payout_step_e6(self, venue: Venue) -> int:
        """Return the step to which a venue rounds down what it pays for a market; 1 where it pays exactly."""


def record_fill(connection: Connection, scope: LedgerScope, order: OrderRow, fill: NewFill) -> None:
    """Write a fill of an order, or its change of state, with what follows; the caller holds the market's lock."""
    before = orders.upsert_fill(connection, order, fill)
    fact = _fill_fact(order, fill)
    has_failed = fill.state == "failed"
    if before is None and not has_failed:
        entries = fill_entries(fact)
    elif before == "provisional" and has_failed:
        entries = reversal_entries(fact)
        reopen_failed(connection, order.execution_id)
    else:
        return
    book_entries(connection, scope, entries, fill.filled_at)
    _book_after_fill(connection, scope, fact, fill.filled_at, has_failed=has_failed)


def _fill_fact(order: OrderRow, fill: NewFill) -> FillFact:
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


def book_entries(connection: Connection, scope: LedgerScope, entries: Sequence[Entry], at: datetime) -> int:
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
    return write_entries(connection, rows, scope.mode, scope.environment)


def load_market_account(connection: Connection, scope: LedgerScope, venue: Venue, market_id: str) -> MarketAccount:
    """Return what stands in the ledger for one market; the caller holds the market's lock."""
    sums = market_sums(connection, scope.mode, venue, market_id)
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
        payout_step_e6=scope.payout_step_e6(venue),
    )


def book_missing(
    connection: Connection,
    scope: LedgerScope,
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
    if book_entries(connection, scope, entries, at) != len(entries):
        keys = [entry.key for entry in entries]
        raise LedgerConflict(f"one of these entries of {account.market_id} stands in the ledger already: {keys}")
    executions.realise_anew(connection, {entry.execution_id for entry in entries if entry.execution_id is not None})
    return entries


def _book_after_fill(
    connection: Connection, scope: LedgerScope, fact: FillFact, at: datetime, *, has_failed: bool
) -> None:
    """Book what a fill, or one that failed, changes for its market: what is paid early, or was paid at the result."""
    account = load_market_account(connection, scope, fact.venue, fact.market_id)
    paid = load_settlement(connection, scope.mode, fact.venue, fact.market_id)
    result = None if paid is None else Result(paid.settlement_e4, paid.paid_e6)
    if paid is not None and paid.settled_at is not None:
        at = max(at, paid.settled_at)
    cause = f"{fact.fill_key}:{fact.order_id}" + (":failed" if has_failed else "")
    book_missing(connection, scope, account, result, at, cause)
    if paid is not None and paid.paid_e6 is not None:
        mark_due(connection, scope.mode, fact.venue, fact.market_id)
