"""What hedges hold back: written with an execution's first intent, gone when it has ended and all orders are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.market.identity import Venue
from streams.market.trading import OPEN_STATES, UNRESOLVED
from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class NewReservation:
    """What one leg of a hedge holds back; see `trading.reservations`."""

    leg_no: int
    venue: str
    shard: int | None
    market_id: str
    contracts_e6: int
    cash_e6: int
    spare_e6: int


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Cash (1e-6 dollar) that orders may still take from one pot, or have taken since it was read.

    `shard` is None where the venue has one pot, or where it is not known which one pays.
    """

    venue: str
    shard: int | None
    cash_e6: int


def write_reservations(connection: Connection, execution_id: int, legs: Sequence[NewReservation], at: datetime) -> None:
    """Hold back a whole hedge; call in the transaction that writes its first intent."""
    for leg in legs:
        connection.execute(
            """INSERT INTO trading.reservations (execution_id, leg_no, venue, shard, market_id, contracts_e6, cash_e6,
                   spare_e6, reserved_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            (
                execution_id,
                leg.leg_no,
                leg.venue,
                leg.shard,
                leg.market_id,
                leg.contracts_e6,
                leg.cash_e6,
                leg.spare_e6,
                at,
            ),
        )


def held_back(connection: Connection, mode: str) -> list[HeldBack]:
    """Return what open hedges and orders without a last word may still take, by pot; a spare counts in each pot."""
    return fetch_all(
        connection,
        HeldBack,
        """SELECT venue, shard, sum(reserved_e6 + spare_e6)::bigint AS cash_e6 FROM (
               SELECT execution_id, venue, shard, sum(reserved_e6) AS reserved_e6, max(spare_e6) AS spare_e6
               FROM trading.stakes WHERE mode = %s GROUP BY execution_id, venue, shard
           ) AS hedges GROUP BY venue, shard""",
        (mode,),
    )


def orders_held_back(connection: Connection, mode: str, besides: int | None = None) -> dict[Venue, int]:
    """Return the orders that open hedges besides one may still send, by venue: legs not begun, and one unwind each."""
    rows = connection.execute(
        """SELECT r.venue, count(*) FILTER (WHERE NOT EXISTS (
                   SELECT FROM trading.intents AS i WHERE i.execution_id = r.execution_id AND i.leg_no = r.leg_no
               )) + count(DISTINCT r.execution_id) AS orders
           FROM trading.reservations AS r JOIN trading.executions AS e USING (execution_id)
           WHERE e.mode = %(mode)s AND e.execution_id IS DISTINCT FROM %(besides)s AND (
               e.settled_at IS NULL AND e.state = ANY(%(open)s) OR e.execution_id IN (
                   SELECT i.execution_id FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                   WHERE o.state = ANY(%(unresolved)s)
               )
           ) GROUP BY r.venue""",
        {"mode": mode, "besides": besides, "open": list(OPEN_STATES), "unresolved": list(UNRESOLVED)},
    ).fetchall()
    return {Venue(row["venue"]): row["orders"] for row in rows}


def spent_since(connection: Connection, mode: str, venue: str, since: datetime) -> list[HeldBack]:
    """Return what orders have spent that a reading of cash from `since` may not know, by exchange shard.

    These are orders that had no last word then, and matches that are not confirmed. Sales bring nothing here.
    """
    return fetch_all(
        connection,
        HeldBack,
        """SELECT o.venue, r.shard, sum(greatest(0, o.cash_e6 + o.fee_e6))::bigint AS cash_e6
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           LEFT JOIN trading.reservations AS r ON r.execution_id = i.execution_id AND r.leg_no = i.leg_no
           WHERE o.order_id IN (
               SELECT order_id FROM trading.orders WHERE closed_at > %(since)s OR state = ANY(%(unresolved)s)
               UNION SELECT order_id FROM trading.fills WHERE state = 'provisional'
           ) AND i.action = 'buy' AND e.mode = %(mode)s AND o.venue = %(venue)s
           GROUP BY o.venue, r.shard""",
        {"since": since, "unresolved": list(UNRESOLVED), "mode": mode, "venue": venue},
    )
