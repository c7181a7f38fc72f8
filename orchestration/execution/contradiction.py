"""What a person said of an order against what its venue shows: the venue is right, and a difference is a break."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from orchestration.execution.booking import record_fill
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderReading
from streams.market.trading import OrderRow
from streams.market.units import SIZE_SCALE
from streams.storage.database import Connection
from streams.storage.store import orders
from streams.storage.store.accounting.switches import set_account
from streams.storage.store.alerts import raise_alert
from streams.storage.store.hedges.fences import Fence
from streams.storage.store.hedges.resolutions import Resolution, note_resolution

_PROGRAM = "reconciliation"


def meet(
    connection: Connection,
    context: TradingContext,
    held: Fence,
    order: OrderRow,
    reading: OrderReading,
    said: Resolution,
) -> bool:
    """Put what a venue shows in the place of what a person said; call in the transaction that records the reading.

    Returns:
        Whether the reading is to be recorded: one that may still grow to what was said is waited for.
    """
    shown_e6 = sum(fill.contracts_e6 for fill in reading.fills if fill.state != "failed")
    seen_e6 = sum(fill.contracts_e6 for fill in reading.fills)
    is_last = reading.is_final and seen_e6 >= (reading.filled_e6 or 0)
    may_be_so = shown_e6 <= said.resolved_e6 if is_last or said.resolved_e6 else False
    if not is_last and may_be_so:
        return False
    note_resolution(connection, held, order.order_id, None)
    for fill in orders.load_fills(connection, order.order_id):
        if fill.venue_fill_id == said.fill_name:
            nothing = replace(fill, contracts_e6=0, cash_e6=0, fee_e6=0, computed_fee_e6=0)
            record_fill(connection, context, order, nothing)
    if not is_last or shown_e6 != said.resolved_e6:
        _break(connection, context, order, shown_e6, said)
    return True


def _break(connection: Connection, context: TradingContext, order: OrderRow, shown_e6: int, said: Resolution) -> None:
    shown, was = (f"{Decimal(size) / SIZE_SCALE:f}" for size in (shown_e6, said.resolved_e6))
    message = (
        f"Order {order.order_id} on {order.market_key}: its venue shows {shown} contracts filled, a person said {was}."
        " The venue is right and is booked; the account only reduces. See docs/runbooks/escalated-trade.md."
    )
    detail = {"execution_id": order.execution_id, "order_id": order.order_id, "command_id": said.command_id}
    raise_alert(connection, "resolved_order", "critical", f"resolved_order:{order.order_id}", message, detail)
    why = f"order {order.order_id} was resolved as {was} and its venue shows {shown}"
    set_account(connection, context.mode, order.venue, "reduce", _PROGRAM, why, datetime.now(UTC))
