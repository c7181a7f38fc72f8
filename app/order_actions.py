"""What people say became of an order that nobody could read, written as a command that the settlement cycle obeys."""

from __future__ import annotations

from decimal import Decimal

from app.act_rules import ActRefused, UnknownSubject, person_of, reason_of
from streams.market.trading import OrderRow
from streams.market.units import PRICE_SCALE, SIZE_SCALE
from streams.storage.database import Connection
from streams.storage.reader.watchdog import insist
from streams.storage.store.commands import write_command
from streams.storage.store.hedges.resolutions import pending_resolution
from streams.storage.store.orders import find_order

_MOST = Decimal(1_000_000_000)


def resolve_order(
    connection: Connection,
    order_id: int,
    *,
    filled: Decimal,
    price: Decimal | None = None,
    who: str,
    reason: str,
) -> int:
    """Say what became of an order of unknown fate; return the command's id.

    The settlement cycle books it. The order is looked for all the same, and a venue that shows another fate later
    makes a break. While a command about the order waits for its result, asking again returns that one's id.

    Args:
        connection: To the warehouse.
        order_id: The order.
        filled: Contracts that have filled in all; 0: it never arrived.
        price: At which price on average, of the outcome that was traded; None: at the order's limit.
        who: The person's name.
        reason: Where they saw it; it must say something.

    Raises:
        UnknownSubject: If there is no such order.
        ActRefused: If its fate is known, the numbers cannot be, or who and why cannot stand in a row.
    """
    person, why = person_of(who), reason_of(reason, ask="Say where you saw what became of the order.")
    order = None if order_id >= 2**63 else find_order(connection, order_id)
    if order is None:
        raise UnknownSubject(f"There is no order {order_id}.")
    if order.is_resolved:
        raise ActRefused(f"The fate of order {order_id} is known: it is {order.state}.")
    if order.sent_at is None:
        raise ActRefused(f"Order {order_id} was never sent; the settlement cycle ends it by itself.")
    subject = {
        "order_id": order_id,
        "filled": f"{_contracts(filled):f}",
        "price": f"{_price(order, price):f}",
        "reason": why,
    }

    def write(connection: Connection) -> int:
        waiting = pending_resolution(connection, order_id)
        return write_command(connection, "resolve", subject, person) if waiting is None else waiting

    return insist(connection, write)


def _contracts(filled: Decimal) -> Decimal:
    if not filled.is_finite() or not 0 <= filled <= _MOST or filled * SIZE_SCALE % 1:
        raise ActRefused("What has filled must be a number of contracts of at least 0 with at most 6 decimals.")
    return filled


def _price(order: OrderRow, price: Decimal | None) -> Decimal:
    if price is None:
        return Decimal(order.limit_price_e4) / PRICE_SCALE
    if not price.is_finite() or not 0 < price < 1 or price * PRICE_SCALE % 1:
        raise ActRefused("The price must lie between 0 and 1 dollar, with at most 4 decimals.")
    return price
