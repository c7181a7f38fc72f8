"""Following orders: reads until the venue has said its last word, and what they bring written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from orchestration.execution.booking import record_fill
from orchestration.execution.late_fills import reopen_late
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderKey, OrderReading
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.trading import ABSENT, OrderRow, OrderState, Target
from streams.storage.database import Connection
from streams.storage.discovered.sweeps import keep_unreadable
from streams.storage.store import orders
from streams.storage.store.ledger import lock_market
from streams.storage.store.settlement import load_settlement

_CENT_E6 = 10_000


class OrderFollower:
    """Follows the orders of one execution on one connection; remembers how often a venue did not know an order."""

    def __init__(self, connection: Connection, context: TradingContext) -> None:
        self._connection = connection
        self._context = context
        self._absent: dict[int, int] = {}
        self._log = get_logger()

    async def resolve(self, rows: Sequence[OrderRow], targets: Mapping[str, Target]) -> None:
        """Read each of these orders once and write what is new; one that was never sent has expired."""
        for order in rows:
            if order.state == "prepared":
                orders.update_order(self._connection, order.order_id, "expired", reason="it was never sent")
                continue
            reading = await self._read(order, targets)
            if reading is not None:
                self.record(order, reading)

    async def recheck(self, rows: Sequence[OrderRow], targets: Mapping[str, Target]) -> None:
        """Read orders that were abandoned as never seen once more; one that has filled reopens its execution."""
        for order in rows:
            reading = await self._read(order, targets)
            if reading is not None and (reading.is_found or reading.fills):
                self.record(order, reading)
                self._log.warning("an abandoned order is there", order_id=order.order_id)

    async def _read(self, order: OrderRow, targets: Mapping[str, Target]) -> OrderReading | None:
        """Ask the venue for an order, cancelled first if it rests; None when it cannot be asked."""
        gateway = self._context.gateways[order.venue]
        key = order_key(order, targets[order.market_key])
        try:
            reading = await gateway.read(key)
            if reading.status == "resting":
                await gateway.cancel(key)
                reading = await gateway.read(key)
        except StreamsError as error:
            self._log.warning("an order could not be read", order_id=order.order_id, error=str(error))
            keep_unreadable(self._connection, order.venue, error)
            return None
        return reading

    def record(self, order: OrderRow, reading: OrderReading) -> None:
        """Write what a venue says about an order: fills, their ledger entries, the order's state."""
        if not reading.is_found and not reading.fills:
            self._record_absence(order)
            return
        with self._connection.transaction():
            lock_market(self._connection, order.venue, order.market_id)
            for fill in reading.fills:
                record_fill(self._connection, self._context, order, fill)
            seen = sum(fill.contracts_e6 for fill in reading.fills)
            stated = max(reading.filled_e6 or 0, order.answered_e6)
            is_final = reading.is_final and seen >= stated
            orders.update_order(
                self._connection,
                order.order_id,
                _final_state(order, reading) if is_final else _open_state(reading),
                venue_order_id=reading.venue_order_id,
                reason=reading.status if is_final and not seen else "",
            )
            if order.was_abandoned and orders.order_state(self._connection, order.order_id) != "canceled":
                paid = load_settlement(self._connection, self._context.mode, order.venue, order.market_id)
                reopen_late(self._connection, order.execution_id, is_paid=paid is not None)

    def _record_absence(self, order: OrderRow) -> None:
        """An order that the venue does not know, long after it was sent and asked for twice, never arrived.

        One that the venue has answered with its id has arrived, however long its reads do not show it.
        """
        order_id = order.order_id
        if order.venue_order_id is not None:
            return
        self._absent[order_id] = self._absent.get(order_id, 0) + 1
        is_old = datetime.now(UTC) - order.left_at > timedelta(seconds=self._context.settings.unknown_absent_after_s)
        if is_old and self._absent[order_id] > 1:
            orders.update_order(self._connection, order_id, "expired", reason=ABSENT)
        elif order.state != "unknown":
            orders.update_order(self._connection, order_id, "unknown", reason="the venue does not show it yet")


def order_key(order: OrderRow, target: Target) -> OrderKey:
    """Return how the venue knows an order."""
    return OrderKey(order.client_order_id, order.venue_order_id, target, order.outcome, order.action, order.left_at)


def _open_state(reading: OrderReading) -> OrderState:
    return "resting" if reading.status == "resting" else "unknown"


def _final_state(order: OrderRow, reading: OrderReading) -> OrderState:
    kept = [fill for fill in reading.fills if fill.state != "failed"]
    filled = sum(fill.contracts_e6 for fill in kept)
    if not filled:
        return "canceled"
    if order.spend_e6 is None:
        return "filled" if filled >= order.size_e6 else "partial"
    spent = sum(fill.cash_e6 for fill in kept)
    return "filled" if spent + 2 * _CENT_E6 >= order.spend_e6 else "partial"
