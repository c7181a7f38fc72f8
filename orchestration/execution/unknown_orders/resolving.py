"""Ending the looking for an order because a person says what became of it: the consumer of the command `resolve`.

What they say is booked like what a venue says, under a name of its own. The order is looked for all the same, ever more
seldom. When its venue shows it, what the person said is taken back and the venue's own fills are booked; where the two
differ that is a break: an alarm, and the account only reduces until a person lets it open again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from orchestration.execution.decide.execution_detail import execution_detail
from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.late_fills import settle_down
from orchestration.execution.operator_commands import obey_each
from orchestration.execution.run_execution import targets_of
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderReading
from streams.market.fees import taker_fee_e6
from streams.market.trading import ABSENT, NewFill, OrderRow, Target
from streams.market.units import PRICE_SCALE, SIZE_SCALE, cash_e6_of
from streams.storage.database import Connection
from streams.storage.store import commands, executions, orders
from streams.storage.store.hedges.fences import Fence, take_over
from streams.storage.store.hedges.resolutions import Resolution, note_resolution
from streams.storage.store.leases import market_lease, release, release_dead


async def obey_resolutions(connection: Connection, context: TradingContext, run_id: str) -> int:
    """Take up every pending command and return how many have a result now.

    One whose markets another run works on stays pending for the next cycle.
    """
    trader = SignalTrader(connection, context, run_id)
    return await obey_each(connection, "resolve", lambda command: _resolve(connection, context, trader, command))


async def _resolve(
    connection: Connection, context: TradingContext, trader: SignalTrader, command: commands.CommandRow
) -> str:
    """Obey one command; returns what became of it, empty when it has to wait."""
    order = orders.find_order(connection, int(command.subject["order_id"]))
    if order is None:
        return "refused: there is no such order"
    execution = executions.load_execution(connection, order.execution_id)
    if execution.mode != context.mode:
        return f"refused: it was made in mode {execution.mode}, trading is in mode {context.mode}"
    plan = execution_detail(execution.detail).plan
    for key in plan.market_keys:
        release_dead(connection, market_lease(key))
    leases = trader.acquire(plan)
    if leases is None:
        return ""
    try:
        held = take_over(connection, order.execution_id, leases[0].epoch)
        target = targets_of(connection, plan).get(order.market_key)
        if target is None:
            return "refused: the terms of its market are not known"
        with connection.transaction():
            order = orders.find_order(connection, order.order_id) or order
            result = _write(connection, context, held, command, order, target)
            if not result.startswith("refused"):
                settle_down(connection, held)
            return result
    finally:
        for lease in leases:
            release(connection, lease)


def _write(
    connection: Connection,
    context: TradingContext,
    held: Fence,
    command: commands.CommandRow,
    order: OrderRow,
    target: Target,
) -> str:
    filled_e6 = int(Decimal(command.subject["filled"]) * SIZE_SCALE)
    if order.is_resolved:
        return f"refused: the order is {order.state} by now"
    if filled_e6 < max(order.filled_e6, order.answered_e6):
        return "refused: the venue itself says that more has filled"
    resolution = Resolution(filled_e6, command.command_id)
    note_resolution(connection, held, order.order_id, resolution)
    who, why = command.asked_by, str(command.subject.get("reason", ""))
    if filled_e6:
        fills = orders.load_fills(connection, order.order_id)
        if filled_e6 > order.filled_e6:
            price_e4 = int(Decimal(command.subject["price"]) * PRICE_SCALE)
            fills.append(_fill(order, target, resolution, filled_e6 - order.filled_e6, price_e4))
        reading = OrderReading(True, True, order.venue_order_id, filled_e6, tuple(fills), "resolved")
        OrderFollower(connection, context, held).record(order, reading, by_person=True)
        what = f"{Decimal(filled_e6) / SIZE_SCALE:f} contracts have filled"
    else:
        orders.update_order(connection, held, order.order_id, "expired", reason=ABSENT)
        what = "it never arrived"
    detail = {"order_id": order.order_id, "command_id": command.command_id, "by": who, "reason": why}
    executions.note_event(connection, order.execution_id, f"{who} says of order {order.order_id}: {what}", detail)
    return f"done: {what}"


def _fill(order: OrderRow, target: Target, resolution: Resolution, size_e6: int, price_e4: int) -> NewFill:
    """Return the fill that stands for what a person says: at their price, with the fee of one who takes."""
    fee = taker_fee_e6(price_e4, size_e6, target.schedule, is_buy=order.is_buy)
    cash = cash_e6_of(price_e4, size_e6, paying=order.is_buy)
    payload = {"resolved_by": resolution.command_id}
    made = NewFill(resolution.fill_name, size_e6, cash, fee, "confirmed", datetime.now(UTC), payload)
    return replace(made, computed_fee_e6=fee)
