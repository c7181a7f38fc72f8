"""Following orders: reads until the venue has said its last word, and what they bring written down.

What an order's absence is proven by stands in `decide.absence`; how far the proof has come stands in the order's row,
so that whoever follows it next goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestration.execution.booking import record_fill
from orchestration.execution.contradiction import meet
from orchestration.execution.decide import absence
from orchestration.execution.late_fills import OrderChange, follow_change
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderKey, OrderReading
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.trading import ABSENT, BootTime, OrderRow, OrderState, OrderWatch, Target
from streams.storage.database import Connection
from streams.storage.discovered.sweeps import keep_unreadable
from streams.storage.store import orders
from streams.storage.store.hedges import watches
from streams.storage.store.hedges.fences import Fence, as_it_stands, keep
from streams.storage.store.hedges.resolutions import find_resolution
from streams.storage.store.ledger import lock_market
from streams.storage.store.settlement import load_settlement

_CENT_E6 = 10_000


class OrderFollower:
    """Follows the orders of one execution on one connection.

    Args:
        connection: Where the rows are.
        context: Whose orders they are.
        held: What is written under; None for who has no lease: nothing is written where somebody takes over meanwhile.
    """

    def __init__(self, connection: Connection, context: TradingContext, held: Fence | None = None) -> None:
        self._connection = connection
        self._context = context
        self._held = held
        self._log = get_logger()

    def _fence(self, order: OrderRow) -> Fence:
        return self._held or as_it_stands(self._connection, order.execution_id)

    async def resolve(self, rows: Sequence[OrderRow], targets: Mapping[str, Target]) -> None:
        """Read each of these orders once and write what is new; one that was never sent has expired."""
        for order in rows:
            if order.state == "prepared":
                held = self._fence(order)
                orders.update_order(self._connection, held, order.order_id, "expired", reason="it was never sent")
                continue
            await self._look(order, targets[order.market_key])

    async def recheck(self, rows: Sequence[OrderRow], targets: Mapping[str, Target]) -> None:
        """Look once more for orders that count as never seen; one that is there after all reopens its execution."""
        for order in rows:
            await self._look(order, targets[order.market_key])

    async def _look(self, order: OrderRow, target: Target) -> None:
        """Ask the venue for an order and write what it says; what rests is cancelled."""
        held = self._fence(order)
        gateway, key = self._context.gateways[order.venue], order_key(order, target)
        now, after_s = self._context.boot_clock(), self._context.absent_after_s(order.venue)
        watch = absence.begun(watches.load_watch(self._connection, order.order_id), now)
        try:
            reading = await gateway.read(key)
            if not reading.is_found and not reading.fills and absence.may_prove(watch, now, after_s):
                reading = await gateway.search(key, watches.load_siblings(self._connection, order))
            if reading.status == "resting":
                # What is read right after this may come from before it: the next look ends nothing yet.
                watch = replace(watch, cancelled=now)
                watches.save_watch(self._connection, held, watch)
                await gateway.cancel(key)
        except StreamsError as error:
            self._log.warning("an order could not be read", order_id=order.order_id, error=str(error))
            keep_unreadable(self._connection, order.venue, error)
            self._note_look(held, replace(watch, looked=now), now)
            return
        if reading.is_found or reading.fills:
            watch = absence.shown(watch, now)
            is_early = absence.may_be_older_than_cancel(watch, now)
            with self._connection.transaction():
                watches.save_watch(self._connection, held, watch)
                self._record(held, order, replace(reading, is_final=False) if is_early else reading)
        else:
            self._record_absence(held, order, absence.not_shown(watch, now, after_s, reading.behind_s), now)

    def _note_look(self, held: Fence, watch: OrderWatch, now: BootTime) -> None:
        """Write how far the looking has come; more than once a second that is left out where nothing else changes."""
        stored = watches.load_watch(self._connection, watch.order_id)
        if replace(watch, looked=stored.looked) != stored or absence.due_in_s(stored, now) <= 0:
            watches.save_watch(self._connection, held, watch)

    def record(self, order: OrderRow, reading: OrderReading, *, by_person: bool = False) -> None:
        """Write what a venue says about an order that it shows: fills, their ledger entries, the order's state.

        Args:
            order: As it was before.
            reading: What is said of it.
            by_person: A person says it in the venue's place.

        Raises:
            LeaseLost: If somebody else works on its execution now; nothing is written.
        """
        self._record(self._fence(order), order, reading, by_person=by_person)

    def _record(self, held: Fence, order: OrderRow, reading: OrderReading, *, by_person: bool = False) -> None:
        if order.was_abandoned:
            self._log.warning("an abandoned order is there", order_id=order.order_id)
        with self._connection.transaction():
            keep(self._connection, held)
            lock_market(self._connection, order.venue, order.market_id)
            said = None if by_person else find_resolution(self._connection, order.order_id)
            if said is not None and not meet(self._connection, self._context, held, order, reading, said):
                return
            changed = [fill for fill in reading.fills if record_fill(self._connection, self._context, order, fill)]
            seen = sum(fill.contracts_e6 for fill in reading.fills)
            stated = max(reading.filled_e6 or 0, order.answered_e6)
            is_final = reading.is_final and seen >= stated
            orders.update_order(
                self._connection,
                held,
                order.order_id,
                _final_state(order, reading) if is_final else _open_state(reading),
                venue_order_id=reading.venue_order_id,
                reason=reading.status if is_final and not seen else "",
            )
            is_as_said = said is not None and orders.filled_e6(self._connection, order.order_id) == said.resolved_e6
            if changed and not is_as_said:
                paid = load_settlement(self._connection, self._context.mode, order.venue, order.market_id)
                change = OrderChange(order, changed, is_paid=paid is not None)
                follow_change(self._connection, held, change, self._context.moment())

    def _record_absence(self, held: Fence, order: OrderRow, watch: OrderWatch, now: BootTime) -> None:
        """Write that the venue does not show an order; once that is proven, it never arrived."""
        with self._connection.transaction():
            self._note_look(held, watch, now)
            if order.is_resolved:
                return
            if absence.is_absent(watch):
                orders.update_order(self._connection, held, order.order_id, "expired", reason=ABSENT)
            elif order.state != "unknown" and order.venue_order_id is None:
                reason = "the venue does not show it yet"
                orders.update_order(self._connection, held, order.order_id, "unknown", reason=reason)


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
