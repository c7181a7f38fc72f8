"""Entries of the ledger, written under the mode and environment that trade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from orchestration.execution.decide.ledger import (
    ConfirmedFill,
    CorrectedFill,
    Fact,
    FailedFill,
    FillFact,
    entries_of,
)
from orchestration.execution.decide.market_account import (
    Lot,
    MarketAccount,
    Result,
    accrual_entries,
    missing_entries,
)
from orchestration.execution.decide.postings import Entry
from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.market.trading import NewFill, OrderRow
from streams.storage.database import Connection
from streams.storage.store import executions
from streams.storage.store.hedges.fills import StoredFill, upsert_fill
from streams.storage.store.ledger import (
    NewEntry,
    NewPosting,
    market_accrued,
    market_shard,
    market_sums,
    write_entries,
)
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


def record_fill(connection: Connection, scope: LedgerScope, order: OrderRow, fill: NewFill) -> bool:
    """Write a fill of an order, its change of state or of its amounts; return whether it has moved anything.

    The caller holds the market's lock. What the venue has said last counts: a fill that it restates is taken back and
    booked anew.
    """
    before = upsert_fill(connection, order, fill)
    after = _fill_fact(connection, order, fill, 0 if before is None else before.revision)
    if before is None:
        _book_change(connection, scope, after, [] if fill.state == "failed" else [after], fill.filled_at)
        return fill.state != "failed"
    was = _restated_from(after, before)
    if fill.state == "failed" and before.state == "provisional":
        _book_change(connection, scope, was, [FailedFill(was)], fill.filled_at, has_failed=True)
        return True
    if before.state != "failed" and before.is_restated_by(fill):
        after = replace(after, revision=before.revision + 1)
        confirmed = [ConfirmedFill(was)] if before.state == "provisional" and fill.state == "confirmed" else []
        settled = replace(was, is_provisional=was.is_provisional and not confirmed)
        _book_change(connection, scope, after, [*confirmed, CorrectedFill(settled, after)], fill.filled_at)
        return True
    if fill.state == "confirmed" and before.state == "provisional":
        book_facts(connection, scope, [ConfirmedFill(was)], fill.filled_at)
    return False


def record_foreign(
    connection: Connection, scope: LedgerScope, fact: FillFact, at: datetime, *, has_failed: bool = False
) -> None:
    """Book a fill that somebody else traded on the account, or that it failed, with what follows.

    The caller holds the market's lock.
    """
    fact = replace(fact, shard=market_shard(connection, fact.venue, fact.market_id))
    changes: list[Fact] = [FailedFill(fact)] if has_failed else [fact]
    _book_change(connection, scope, fact, changes, at, has_failed=has_failed)


def _fill_fact(connection: Connection, order: OrderRow, fill: NewFill, revision: int) -> FillFact:
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
        is_provisional=fill.state == "provisional",
        shard=market_shard(connection, order.venue, order.market_id),
        computed_fee_e6=fill.computed_fee_e6,
        revision=revision,
    )


def _restated_from(fact: FillFact, before: StoredFill) -> FillFact:
    """Return a fill as it stands in the ledger."""
    return replace(
        fact,
        contracts_e6=before.contracts_e6,
        cash_e6=before.cash_e6,
        fee_e6=before.fee_e6,
        computed_fee_e6=before.computed_fee_e6,
        is_provisional=before.state == "provisional",
    )


def book_entries(connection: Connection, scope: LedgerScope, entries: Sequence[Entry], at: datetime) -> int:
    """Write entries of the ledger that happened at a time and return how many; those that are there already stay."""
    return write_entries(connection, [_row(entry, at) for entry in entries], scope.mode, scope.environment)


def book_facts(connection: Connection, scope: LedgerScope, facts: Sequence[Fact], at: datetime) -> int:
    """Write the entries of facts that happened at a time and return how many; those that are there already stay."""
    return book_entries(connection, scope, [entry for fact in facts for entry in entries_of(fact)], at)


def _row(entry: Entry, at: datetime) -> NewEntry:
    return NewEntry(
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
        postings=[
            NewPosting(p.account, p.venue.value, p.amount_e6, p.market_id, p.outcome, p.shard) for p in entry.postings
        ],
    )


def load_market_account(connection: Connection, scope: LedgerScope, venue: Venue, market_id: str) -> MarketAccount:
    """Return what stands in the ledger for one market; the caller holds the market's lock."""
    sums = market_sums(connection, scope.mode, venue, market_id)
    shared = [row for row in sums if row.outcome is None]
    accrued = market_accrued(connection, scope.mode, venue, market_id)
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
        owed_e6=accrued.owed_e6,
        suspense_e6=accrued.suspense_e6,
        accruals=accrued.entries,
        shard=market_shard(connection, venue, market_id),
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


def book_owed(
    connection: Connection, scope: LedgerScope, account: MarketAccount, result: Result, at: datetime
) -> list[Entry]:
    """Book what a resolved market owes before it has paid, and return it; call under the market's lock."""
    entries = accrual_entries(account, result)
    book_entries(connection, scope, entries, at)
    return entries


def _book_change(
    connection: Connection,
    scope: LedgerScope,
    fact: FillFact,
    changes: Sequence[Fact],
    at: datetime,
    *,
    has_failed: bool = False,
) -> None:
    """Book a fill's facts and what they change for its market: what is paid early, or was paid at the result."""
    if not changes:
        return
    book_facts(connection, scope, changes, at)
    account = load_market_account(connection, scope, fact.venue, fact.market_id)
    paid = load_settlement(connection, scope.mode, fact.venue, fact.market_id)
    result = None if paid is None else Result(paid.settlement_e4, paid.paid_e6)
    if paid is not None and paid.settled_at is not None:
        at = max(at, paid.settled_at)
    cause = f"{fact.fill_key}:{fact.order_id}" + (f"#{fact.revision}" if fact.revision else "")
    cause += ":failed" if has_failed else ""
    book_missing(connection, scope, account, result, at, cause)
    if paid is not None and paid.paid_e6 is not None:
        mark_due(connection, scope.mode, fact.venue, fact.market_id)
