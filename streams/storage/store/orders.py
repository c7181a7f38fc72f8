"""Orders with the intents that decided them, and their fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.market.trading import (
    ABSENT,
    UNRESOLVED,
    BootTime,
    LevelTaken,
    NewFill,
    OrderRow,
    OrderState,
)
from streams.storage.database import Connection, fetch_all, fetch_int, fetch_one, read_clock
from streams.storage.store.hedges.fences import HELD, Fence

_SELECT = """SELECT o.order_id, i.execution_id, i.leg_no, i.purpose, o.venue, i.market_id, i.outcome, i.action,
    i.limit_price_e4, i.size_e6, i.spend_e6, i.reserved_e6, o.client_order_id, o.venue_order_id, o.state, o.reason,
    o.filled_e6, o.cash_e6, o.fee_e6, o.answered_e6, o.answered_cash_e6, o.answered_fee_e6, o.is_answered_final,
    o.seen_e6, o.prepared_at, o.sent_at, o.environment
    FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)"""


@dataclass(frozen=True, slots=True)
class NewIntent:
    """An order that was decided, with what identifies it at the venue; both rows are written together."""

    execution_id: int
    leg_no: int
    purpose: str
    venue: str
    market_id: str
    outcome: str
    action: str
    limit_price_e4: int
    size_e6: int
    spend_e6: int | None
    reserved_e6: int
    epoch: int
    environment: str
    decided_at: datetime
    expires_at: datetime
    client_order_id: str
    request: JsonDocument


def write_intent(connection: Connection, new: NewIntent) -> int:
    """Write an intent with its order in state `prepared`; call inside the acting transaction. Returns the order id."""
    now = read_clock(connection)
    intent = connection.execute(
        """INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action,
               limit_price_e4, size_e6, spend_e6, reserved_e6, epoch, environment, decided_at, expires_at, created_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING intent_id""",
        (
            new.execution_id,
            new.leg_no,
            new.purpose,
            new.venue,
            new.market_id,
            new.outcome,
            new.action,
            new.limit_price_e4,
            new.size_e6,
            new.spend_e6,
            new.reserved_e6,
            new.epoch,
            new.environment,
            new.decided_at,
            new.expires_at,
            now,
        ),
    ).fetchone()
    assert intent is not None
    order = connection.execute(
        """INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, environment, prepared_at)
           VALUES (%s, %s, %s, 'prepared', %s, %s, %s) RETURNING order_id""",
        (intent["intent_id"], new.venue, new.client_order_id, Jsonb(new.request), new.environment, now),
    ).fetchone()
    assert order is not None
    return int(order["order_id"])


def mark_sent(connection: Connection, order_id: int, at: datetime, since: BootTime) -> bool:
    """Note, before it happens, that the order leaves; an order without this mark was never sent.

    Args:
        connection: Where its row is.
        order_id: The order.
        at: The present moment.
        since: The same on the clock that nobody sets: from here on it is waited for.

    Returns:
        False, and the order must not leave, when its decision's life is over, another run has expired it meanwhile, or
        the execution was taken over from who wrote the intent.
    """
    cursor = connection.execute(
        """UPDATE trading.orders AS o SET state = 'sent', sent_at = %(at)s, watch_boot = %(boot)s,
               watch_since_ms = %(ms)s FROM trading.intents AS i JOIN trading.executions AS e USING (execution_id)
           WHERE i.intent_id = o.intent_id AND o.order_id = %(order)s AND o.state = 'prepared'
             AND i.expires_at > %(at)s AND e.epoch = i.epoch""",
        {"order": order_id, "at": at, "boot": since.boot, "ms": since.ms},
    )
    return cursor.rowcount == 1


def update_order(
    connection: Connection,
    held: Fence,
    order_id: int,
    state: OrderState,
    *,
    venue_order_id: str | None = None,
    reason: str = "",
) -> None:
    """Note what is known of an order of an execution that is held; its amounts follow from its fills that did not fail.

    Raises:
        LeaseLost: If somebody else works on the execution now; nothing is written.
    """
    cursor = connection.execute(
        f"""UPDATE trading.orders AS o SET state = %(state)s, venue_order_id = coalesce(%(venue_id)s, o.venue_order_id),
               reason = CASE WHEN %(reason)s = '' THEN o.reason ELSE %(reason)s END,
               is_seen = o.is_seen OR %(venue_id)s::text IS NOT NULL,
               answered_at = coalesce(o.answered_at, %(now)s),
               closed_at = CASE WHEN %(state)s IN ('sent', 'unknown', 'resting') THEN NULL
                   ELSE coalesce(o.closed_at, %(now)s) END,
               filled_e6 = f.contracts_e6, cash_e6 = f.cash_e6, fee_e6 = f.fee_e6, seen_e6 = f.seen_e6
           FROM (SELECT coalesce(sum(contracts_e6) FILTER (WHERE state <> 'failed'), 0)::bigint AS contracts_e6,
                     coalesce(sum(cash_e6) FILTER (WHERE state <> 'failed'), 0)::bigint AS cash_e6,
                     coalesce(sum(fee_e6) FILTER (WHERE state <> 'failed'), 0)::bigint AS fee_e6,
                     coalesce(sum(contracts_e6), 0)::bigint AS seen_e6
                 FROM trading.fills WHERE order_id = %(order)s) AS f, {HELD} AS held
           WHERE o.order_id = %(order)s""",
        {
            "state": state,
            "venue_id": venue_order_id,
            "reason": reason,
            "order": order_id,
            "now": read_clock(connection),
            **held.values,
        },
    )
    held.check(cursor.rowcount)


def mark_seen(connection: Connection, held: Fence, order_id: int) -> None:
    """Note that the venue has an order, though it has not told its own id of it.

    Raises:
        LeaseLost: If somebody else works on its execution now; nothing is written.
    """
    values = {"order": order_id, **held.values}
    cursor = connection.execute(
        f"UPDATE trading.orders SET is_seen = true FROM {HELD} AS held WHERE order_id = %(order)s", values
    )
    held.check(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class StatedAnswer:
    """What a venue's answer to an order says of it; amounts in 1e-6, what has filled at least."""

    venue_order_id: str | None
    is_final: bool
    filled_e6: int
    cash_e6: int
    fee_e6: int


def note_answer(connection: Connection, held: Fence, order_id: int, answer: StatedAnswer, at: datetime) -> None:
    """Write the venue's answer to an order that is on its way; its state stays until its fills are read.

    Raises:
        LeaseLost: If somebody else works on the execution now; nothing is written, and the order is read by who does.
    """
    cursor = connection.execute(
        f"""UPDATE trading.orders SET venue_order_id = coalesce(%(venue_id)s, venue_order_id),
               answered_at = coalesce(answered_at, %(at)s), is_answered_final = %(is_final)s,
               is_seen = is_seen OR %(venue_id)s::text IS NOT NULL,
               answered_e6 = %(filled)s, answered_cash_e6 = %(cash)s, answered_fee_e6 = %(fee)s
           FROM {HELD} AS held WHERE order_id = %(order)s""",
        {
            "venue_id": answer.venue_order_id,
            "at": at,
            "is_final": answer.is_final,
            "filled": answer.filled_e6,
            "cash": answer.cash_e6,
            "fee": answer.fee_e6,
            "order": order_id,
            **held.values,
        },
    )
    held.check(cursor.rowcount)


def filled_e6(connection: Connection, order_id: int) -> int:
    """Return how many contracts an order has filled; 0 where there is none."""
    return fetch_int(
        connection, "SELECT coalesce(max(filled_e6), 0) FROM trading.orders WHERE order_id = %s", (order_id,)
    )


def find_order(connection: Connection, order_id: int) -> OrderRow | None:
    """Return one order, None where there is none."""
    return fetch_one(connection, _order, f"{_SELECT} WHERE o.order_id = %s", (order_id,))


def load_named(connection: Connection, venue: Venue, client_order_id: str) -> OrderRow | None:
    """Return the order that we sent to a venue under an id; None if there is none."""
    return fetch_one(
        connection, _order, f"{_SELECT} WHERE o.venue = %s AND o.client_order_id = %s", (venue.value, client_order_id)
    )


def load_by_venue_ids(connection: Connection, venue: Venue, venue_order_ids: Sequence[str]) -> dict[str, OrderRow]:
    """Return our orders among those that a venue names, by its ids; where it takes our id for its own, by that."""
    rows = fetch_all(
        connection,
        _order,
        f"""{_SELECT} WHERE o.venue = %(venue)s
            AND (o.venue_order_id = ANY(%(ids)s) OR o.client_order_id = ANY(%(ids)s))""",
        {"venue": venue.value, "ids": list(venue_order_ids)},
    )
    asked = set(venue_order_ids)
    return {name: row for row in rows for name in (row.venue_order_id, row.client_order_id) if name in asked}


def load_unresolved(connection: Connection, mode: str, venue: Venue) -> list[OrderRow]:
    """Return the orders of an account that have no last word, oldest first."""
    return fetch_all(
        connection,
        _order,
        f"""{_SELECT} JOIN trading.executions AS e USING (execution_id)
            WHERE o.state = ANY(%s) AND o.venue = %s AND e.mode = %s ORDER BY o.order_id""",
        (list(UNRESOLVED), venue.value, mode),
    )


def load_orders(connection: Connection, execution_id: int) -> list[OrderRow]:
    """Return the orders of an execution, in the order they were written."""
    return fetch_all(connection, _order, f"{_SELECT} WHERE i.execution_id = %s ORDER BY o.order_id", (execution_id,))


def load_to_follow(connection: Connection, execution_id: int) -> list[OrderRow]:
    """Return the orders of an execution whose fate is not final: unresolved themselves, or with provisional fills."""
    return fetch_all(
        connection,
        _order,
        f"""{_SELECT} WHERE i.execution_id = %s AND (o.state = ANY(%s) OR EXISTS (
            SELECT 1 FROM trading.fills AS f WHERE f.order_id = o.order_id AND f.state = 'provisional'))
        ORDER BY o.order_id""",
        (execution_id, list(UNRESOLVED)),
    )


def load_given_up(connection: Connection, execution_id: int) -> list[OrderRow]:
    """Return the orders of an execution that count as never seen by their venue, or as a person says."""
    return fetch_all(
        connection,
        _order,
        f"""{_SELECT} WHERE i.execution_id = %s
            AND (o.state = 'expired' AND o.reason = %s OR o.resolved_by IS NOT NULL) ORDER BY o.order_id""",
        (execution_id, ABSENT),
    )


def count_unresolved_on(connection: Connection, market_keys: Sequence[str], mode: str) -> int:
    """Return how many orders of a mode on any of these markets ("venue:market_id") have no last word."""
    return fetch_int(
        connection,
        """SELECT count(*) FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           WHERE o.state = ANY(%s) AND e.mode = %s AND (o.venue || ':' || i.market_id) = ANY(%s)""",
        (list(UNRESOLVED), mode, list(market_keys)),
    )


@dataclass(frozen=True, slots=True)
class OrderUnderWay:
    """An order whose fate is open: of which trade, where, and how far it came."""

    order_id: int
    execution_id: int
    venue: str
    market_id: str
    state: OrderState


def load_under_way(connection: Connection) -> list[OrderUnderWay]:
    """Return the orders that have no last word, oldest first."""
    return fetch_all(
        connection,
        OrderUnderWay,
        """SELECT o.order_id, i.execution_id, o.venue, i.market_id, o.state
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           WHERE o.state = ANY(%s) ORDER BY o.order_id""",
        (list(UNRESOLVED),),
    )


def count_unknown_orders(connection: Connection) -> int:
    """Return how many orders have an unknown outcome."""
    return fetch_int(connection, "SELECT count(*) FROM trading.orders WHERE state = 'unknown'")


# -- fills -------------------------------------------------------------------------------------------------------------


def load_fills(connection: Connection, order_id: int) -> list[NewFill]:
    """Return the fills of an order, in the order they were written."""
    return fetch_all(
        connection,
        NewFill,
        """SELECT venue_fill_id, contracts_e6, cash_e6, fee_e6, state, filled_at, payload
           FROM trading.fills WHERE order_id = %s ORDER BY fill_id""",
        (order_id,),
    )


def has_fills(connection: Connection, execution_id: int) -> bool:
    """Whether any order of an execution has filled."""
    row = connection.execute(
        """SELECT 1 AS x FROM trading.intents AS i JOIN trading.orders AS o USING (intent_id)
           JOIN trading.fills AS f USING (order_id)
           WHERE i.execution_id = %s AND f.state <> 'failed' LIMIT 1""",
        (execution_id,),
    ).fetchone()
    return row is not None


def load_taken(connection: Connection, mode: str, venue: Venue, market_id: str) -> list[LevelTaken]:
    """Return what simulated fills took of a market's levels, oldest first.

    A level whose recorded changes show another size since is a new one, even where it shows the same size again; what
    is received within a second of a fill may have happened before it and does not count.
    """
    return fetch_all(
        connection,
        LevelTaken,
        """SELECT t.side, t.price_e4, t.shown_e6, t.taken_e6 FROM (
               SELECT f.fill_id, f.filled_at, f.payload ->> 'side' AS side, (f.payload ->> 'level_e4')::int AS price_e4,
                   (f.payload ->> 'shown_e6')::bigint AS shown_e6, f.contracts_e6 AS taken_e6
               FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
               JOIN trading.intents AS i USING (intent_id) JOIN trading.executions AS e USING (execution_id)
               WHERE f.venue = %(venue)s AND f.market_id = %(market_id)s AND f.state <> 'failed'
                 AND f.payload ? 'shown_e6' AND e.mode = %(mode)s
           ) AS t
           WHERE NOT EXISTS (
               SELECT FROM raw.book_deltas_v1 AS d
               WHERE d.venue = %(venue)s AND d.market_id = %(market_id)s AND d.side = t.side
                 AND d.price_e4 = t.price_e4 AND d.size_after_e6 <> t.shown_e6
                 AND d.received_at > t.filled_at + interval '1 second')
           ORDER BY t.fill_id""",
        {"venue": venue.value, "market_id": market_id, "mode": mode},
    )


def round_trips_ms(connection: Connection, venue: Venue, limit: int) -> list[int]:
    """Return how long the last orders that really left took to be answered, in milliseconds.

    What their markets hold orders back, as these were read last, is taken off. An answer that took a second or more
    was given by a read or a market's delay.
    """
    rows = connection.execute(
        """SELECT greatest(o.ms - coalesce((SELECT max((r.detail ->> 'delay_ms')::int)
                   FROM trading.venue_readings AS r
                   WHERE r.venue = o.venue AND r.kind = 'market' AND r.subject = o.market_id), 0), 0)::int AS ms
           FROM (SELECT o.order_id, o.venue, i.market_id,
                     (extract(epoch FROM o.answered_at - o.sent_at) * 1000)::int AS ms
                 FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                 WHERE o.venue = %s AND o.answered_at > o.sent_at
                   AND o.answered_at < o.sent_at + interval '1 second' AND NOT o.request ? 'paper'
                 ORDER BY o.order_id DESC LIMIT %s) AS o
           ORDER BY o.order_id DESC""",
        (venue.value, limit),
    ).fetchall()
    return [row["ms"] for row in rows]


def unconfirmed_bought_e6(connection: Connection, execution_id: int) -> dict[int, int]:
    """Return contracts by leg number that an execution has bought and that are not confirmed yet."""
    rows = connection.execute(
        """SELECT i.leg_no, sum(f.contracts_e6)::bigint AS contracts_e6 FROM trading.fills AS f
           JOIN trading.orders AS o USING (order_id) JOIN trading.intents AS i USING (intent_id)
           WHERE i.execution_id = %s AND f.state = 'provisional' AND f.action = 'buy' AND i.purpose <> 'complement'
           GROUP BY i.leg_no""",
        (execution_id,),
    ).fetchall()
    return {row["leg_no"]: row["contracts_e6"] for row in rows}


def _order(*, venue: str, **columns: Any) -> OrderRow:
    return OrderRow(venue=Venue(venue), **columns)
