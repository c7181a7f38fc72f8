"""What Kalshi lists of cash that moved without an order, as moves of our account. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestration.execution.venues.gateway import AccountMove, MoveKind, MoveState
from streams.venues.kalshi.types.portfolio import CashMovement, ShardTransfer, SubaccountTransfer

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def of_deposit(row: CashMovement, is_fee_inside: bool) -> AccountMove | None:
    """Return a deposit: what came is the amount, less the fee where the amount holds it."""
    amount = row.amount_e6 - row.fee_e6 if is_fee_inside else row.amount_e6
    return _movement(row, AccountMove(row.movement_id, "deposit", max(amount, 0), "done", row.happened_at or _NEVER))


def of_withdrawal(row: CashMovement, is_fee_inside: bool) -> AccountMove | None:
    """Return a withdrawal: what left is the amount, and the fee too where the amount does not hold it."""
    amount = row.amount_e6 if is_fee_inside else row.amount_e6 + row.fee_e6
    return _movement(row, AccountMove(row.movement_id, "withdrawal", amount, "done", row.happened_at or _NEVER))


def of_shards(row: ShardTransfer) -> AccountMove | None:
    """Return a transfer between exchange shards; a word that we do not know leaves it under way."""
    state: MoveState = "done" if row.status == "complete" else "under_way"
    at = row.created_at or _NEVER
    return AccountMove(row.transfer_id, "transfer", row.amount_e6, state, at, row.source, row.destination)


def of_subaccounts(row: SubaccountTransfer, own: int) -> AccountMove | None:
    """Return what came to our subaccount or left it; None for one between others."""
    if own not in (row.source, row.destination) or row.source == row.destination:
        return None
    kind: MoveKind = "withdrawal" if row.source == own else "deposit"
    return AccountMove(
        row.transfer_id,
        kind,
        row.amount_e6,
        "done",
        row.created_at or _NEVER,
        row.exchange_index,
        row.exchange_index,
    )


def _movement(row: CashMovement, move: AccountMove) -> AccountMove | None:
    """Return a movement in its state; None while cash has not changed by it."""
    if row.status == "applied":
        return move
    if row.status in ("failed", "returned"):
        return AccountMove(move.move_id, move.kind, move.amount_e6, "failed", move.at)
    return None
