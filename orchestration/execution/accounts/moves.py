"""Books what a venue lists of cash that moved without an order: deposits, withdrawals, transfers between shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from orchestration.execution.booking import book_facts
from orchestration.execution.decide.ledger import CashMove, Fact, Transfer, TransferEnd
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import AccountMove, Gateway
from streams.logs import get_logger
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store.accounting import breaks
from streams.storage.store.ledger import has_entry


async def book_moves(
    connection: Connection, context: TradingContext, gateway: Gateway, opened_at: datetime, now: datetime
) -> int:
    """Book the moves of an account that are not booked yet, each once, and return how many there were.

    What moved before the account's cash was first booked is in it; what moved before a break that a person has let be
    is in what was booked then.

    Args:
        connection: Outside of a transaction.
        context: Under whose mode the entries stand.
        gateway: Of the account.
        opened_at: When its cash was first booked.
        now: When it is booked.

    Raises:
        StreamsError: If the venue's lists could not be read.
    """
    let_be = breaks.cash_let_be_at(connection, context.mode, gateway.venue)
    since = opened_at if let_be is None else max(opened_at, let_be)
    booked = 0
    for move in await gateway.moves_since(since):
        facts = list(facts_of(gateway.venue, move, lambda key: has_entry(connection, key, context.mode)))
        if facts:
            book_facts(connection, context, facts, move.at if move.at <= now else now)
            booked += 1
            get_logger().info("cash has moved", venue=gateway.venue.value, kind=move.kind, move=move.move_id)
    return booked


def facts_of(venue: Venue, move: AccountMove, is_booked: Callable[[str], bool]) -> Iterator[Fact]:
    """Return what is to be booked of a move now, given the keys of the entries that stand."""
    if move.kind == "transfer":
        yield from _transfer_facts(venue, move, is_booked)
        return
    key = f"move:{venue}:{move.kind}:{move.move_id}"
    shards = {move.target: move.amount_e6}
    if move.state == "done" and not is_booked(key):
        yield CashMove(key, move.kind, venue, shards)
    elif move.state == "failed" and is_booked(key) and not is_booked(f"{key}:back"):
        sign = -1 if move.kind == "deposit" else 1
        yield CashMove(f"{key}:back", "deposit", venue, {move.target: sign * move.amount_e6})


def _transfer_facts(venue: Venue, move: AccountMove, is_booked: Callable[[str], bool]) -> Iterator[Fact]:
    if move.source is None or move.target is None:
        return
    transfer = Transfer(move.move_id, venue, move.source, move.target, move.amount_e6)
    has_left = is_booked(f"transfer:{venue}:{move.move_id}")
    if not has_left and move.state != "failed":
        yield transfer
    has_ended = is_booked(f"transfer-end:{venue}:{move.move_id}")
    if not has_ended and (move.state == "done" or (move.state == "failed" and has_left)):
        yield TransferEnd(transfer, is_back=move.state == "failed")
