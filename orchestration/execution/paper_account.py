"""The account of paper orders, in the rows that trading keeps anyway: fills, ledger, orders. There is no second book.

One order at a time meets the account, whatever process it comes from, and its fills, their ledger entries and its
answer are written in that transaction: an order has arrived as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from orchestration.execution.booking import LedgerScope, book_facts, load_market_account, record_fill
from orchestration.execution.decide.ledger import CashMove
from orchestration.execution.venues.gateway import OrderReading, OrderSpec
from orchestration.execution.venues.paper import Matching
from orchestration.execution.venues.paper_matching import (
    LevelKey,
    PaperFill,
    PaperMatch,
    PaperReject,
    PaperState,
    gone_levels,
)
from streams.market.identity import Venue
from streams.market.trading import LevelTaken, NewFill, OrderRow
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection
from streams.storage.store import orders
from streams.storage.store.hedges.fences import as_it_stands, keep
from streams.storage.store.ledger import (
    deposits,
    ledger_cash_e6,
    lock_account,
    lock_market,
    shard_cash,
)


class PaperLedger:
    """The paper account of one venue.

    Args:
        connection: Where the rows are.
        venue: Whose.
        scope: Under what its entries are written.
        start_cash_e6: What was paid in; another amount than is booked pays in, or out, the difference.
        clock: What time it is.
    """

    def __init__(
        self,
        connection: Connection,
        venue: Venue,
        scope: LedgerScope,
        *,
        start_cash_e6: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._venue = venue
        self._scope = scope
        self._start_cash_e6 = start_cash_e6
        self._clock = clock
        self._is_funded = False

    def gone(self, market_id: str) -> Mapping[LevelKey, LevelTaken]:
        """Return what is gone of a market's levels, by the fills of all paper orders."""
        return gone_levels(orders.load_taken(self._connection, self._scope.mode, self._venue, market_id))

    def cash_by_shard(self) -> Mapping[int | None, int]:
        """Return the cash by exchange shard, each with an equal part of what was paid in."""
        self._fund()
        shards = TRAITS[self._venue].exchange_shards
        if not shards:
            return {None: ledger_cash_e6(self._connection, self._venue.value, self._scope.mode)}
        paid_in = deposits(self._connection, self._venue.value, self._scope.mode).cash_e6
        part, rest = divmod(paid_in, len(shards))
        cash: dict[int | None, int] = dict.fromkeys(shards, part)
        cash[shards[0]] += rest
        for moved in shard_cash(self._connection, self._venue.value, self._scope.mode):
            shard = shards[0] if moved.shard is None else moved.shard
            cash[shard] = cash.get(shard, 0) + moved.cash_e6
        return cash

    def fill(
        self, client_order_id: str, spec: OrderSpec, arrived_at: datetime, match: Matching
    ) -> PaperMatch | PaperReject | None:
        """Match an order under the account's lock and write what comes of it; None when it is not under way."""
        self._fund()
        with self._connection.transaction():
            lock_account(self._connection, self._venue.value, self._scope.mode)
            lock_market(self._connection, self._venue.value, spec.target.market_id)
            order = orders.load_named(self._connection, self._venue, client_order_id)
            if order is None or order.state != "sent" or order.venue_order_id is not None:
                return None
            # What stands for the venue holds no lease; who takes the execution over meanwhile comes before it or after.
            held = as_it_stands(self._connection, order.execution_id)
            keep(self._connection, held)
            result = match(self._state(order, spec))
            if isinstance(result, PaperMatch):
                for number, fill in enumerate(result.fills):
                    record_fill(
                        self._connection, self._scope, order, _new_fill(client_order_id, number, fill, arrived_at)
                    )
                orders.update_order(
                    self._connection, held, order.order_id, "sent", venue_order_id=client_order_id, reason=result.why
                )
            return result

    def reading(self, client_order_id: str) -> OrderReading:
        """Return what became of an order; it is not found before it has arrived."""
        order = orders.load_named(self._connection, self._venue, client_order_id)
        if order is None or order.venue_order_id is None:
            return OrderReading(is_found=False)
        return OrderReading(
            is_found=True,
            is_final=True,
            venue_order_id=order.venue_order_id,
            fills=tuple(orders.load_fills(self._connection, order.order_id)),
            status=order.reason or "paper",
        )

    def _state(self, order: OrderRow, spec: OrderSpec) -> PaperState:
        market_id, shard = spec.target.market_id, spec.target.terms.exchange_index
        cash = self.cash_by_shard()
        shards = TRAITS[self._venue].exchange_shards
        pot = None if not shards else shards[0] if shard is None else shard
        lots = load_market_account(self._connection, self._scope, self._venue, market_id).lots
        return PaperState(
            cash_e6=cash.get(pot, 0),
            yes_e6=sum(lot.held_e6 for lot in lots if lot.outcome == "yes"),
            no_e6=sum(lot.held_e6 for lot in lots if lot.outcome == "no"),
            gone=self.gone(market_id),
            follows_fill=orders.has_fills(self._connection, order.execution_id),
        )

    def _fund(self) -> None:
        """Book what is paid in before the account is used for the first time, and the difference when it changes."""
        if self._is_funded:
            return
        with self._connection.transaction():
            lock_account(self._connection, self._venue.value, self._scope.mode)
            booked = deposits(self._connection, self._venue.value, self._scope.mode)
            if booked.cash_e6 != self._start_cash_e6:
                key = f"deposit:{self._venue}:{booked.number + 1 if booked.number else 'first'}"
                move = CashMove(key, "deposit", self._venue, {None: self._start_cash_e6 - booked.cash_e6})
                book_facts(self._connection, self._scope, [move], self._clock())
        self._is_funded = True


def _new_fill(client_order_id: str, number: int, fill: PaperFill, at: datetime) -> NewFill:
    return NewFill(
        venue_fill_id=f"{client_order_id}:{number}",
        contracts_e6=fill.contracts_e6,
        cash_e6=fill.cash_e6,
        fee_e6=fill.fee_e6,
        state="confirmed",
        filled_at=at,
        payload={
            "paper": True,
            "price_e4": fill.price_e4,
            "side": fill.level.side,
            "level_e4": fill.level.price_e4,
            "shown_e6": fill.level.shown_e6,
        },
    )
