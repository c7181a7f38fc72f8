"""How far the looking for orders of unknown fate has come, and what lists of their venues are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.market.identity import Venue
from streams.market.trading import ABSENT, UNRESOLVED, BootTime, OrderRow, OrderWatch, Siblings
from streams.storage.database import Connection, fetch_one
from streams.storage.store.hedges.fences import HELD, Fence

_SHOWN_FOR_S = 86_400
"""Orders this close to one that is looked for stand in the same lists as it does."""
_WATCH = """SELECT o.order_id, o.venue, o.watch_boot, o.watch_since_ms, o.watch_looked_ms, o.watch_cancelled_ms,
    o.absent_reads, o.is_seen FROM trading.orders AS o"""


@dataclass(frozen=True, slots=True)
class WatchedOrder:
    """An order that is looked for: of which execution, how far the looking has come, and whether it was given up."""

    execution_id: int
    is_given_up: bool
    watch: OrderWatch


def load_watch(connection: Connection, order_id: int) -> OrderWatch:
    """Return how far the looking for an order has come.

    Raises:
        LookupError: If there is no such order.
    """
    found = fetch_one(connection, _watch, f"{_WATCH} WHERE o.order_id = %s", (order_id,))
    if found is None:
        raise LookupError(f"there is no order {order_id}")
    return found


def load_watched(connection: Connection, mode: str) -> list[WatchedOrder]:
    """Return the orders of a mode that have left and are looked for.

    Their fate is not known, or they count as never seen, or as a person says.
    """
    rows = connection.execute(
        """SELECT i.execution_id, o.state = 'expired' OR o.resolved_by IS NOT NULL AS is_given_up, o.order_id, o.venue,
               o.watch_boot, o.watch_since_ms, o.watch_looked_ms, o.watch_cancelled_ms, o.absent_reads, o.is_seen
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           WHERE e.mode = %s AND (o.state = ANY(%s) OR (o.state = 'expired' AND o.reason = %s)
               OR o.resolved_by IS NOT NULL) ORDER BY o.order_id""",
        (mode, [state for state in UNRESOLVED if state != "prepared"], ABSENT),
    ).fetchall()
    return [WatchedOrder(row.pop("execution_id"), row.pop("is_given_up"), _watch(**row)) for row in rows]


def save_watch(connection: Connection, held: Fence, watch: OrderWatch) -> None:
    """Write how far the looking for an order has come; that it was seen is never taken back.

    Raises:
        LeaseLost: If somebody else works on its execution now; nothing is written.
    """
    cursor = connection.execute(
        f"""UPDATE trading.orders SET watch_boot = %(boot)s, watch_since_ms = %(since)s, watch_looked_ms = %(looked)s,
               watch_cancelled_ms = %(cancelled)s, absent_reads = %(absent)s, is_seen = is_seen OR %(seen)s
           FROM {HELD} AS held WHERE order_id = %(order)s""",
        {
            "boot": None if watch.since is None else watch.since.boot,
            "since": None if watch.since is None else watch.since.ms,
            "looked": None if watch.looked is None else watch.looked.ms,
            "cancelled": None if watch.cancelled is None else watch.cancelled.ms,
            "absent": watch.absent_reads,
            "seen": watch.is_seen,
            "order": watch.order_id,
            **held.values,
        },
    )
    held.check(cursor.rowcount)


def load_siblings(connection: Connection, order: OrderRow) -> Siblings:
    """Return the other orders that we sent on an order's market, by their venue's ids."""
    rows = connection.execute(
        """SELECT o.venue_order_id, abs(extract(epoch FROM o.sent_at - %s)) < %s AND o.filled_e6 > 0
               AND NOT o.state = ANY(%s) AS must_show
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           WHERE o.venue = %s AND i.market_id = %s AND o.venue_order_id IS NOT NULL AND o.order_id <> %s""",
        (order.left_at, _SHOWN_FOR_S, list(UNRESOLVED), order.venue.value, order.market_id, order.order_id),
    ).fetchall()
    known = frozenset(row["venue_order_id"] for row in rows)
    return Siblings(known, frozenset(row["venue_order_id"] for row in rows if row["must_show"]))


def _watch(
    *, venue: str, watch_boot: str | None, order_id: int, absent_reads: int, is_seen: bool, **ms: Any
) -> OrderWatch:
    def at(name: str) -> BootTime | None:
        return None if watch_boot is None or ms[name] is None else BootTime(watch_boot, ms[name])

    since, looked, cancelled = (at(f"watch_{name}_ms") for name in ("since", "looked", "cancelled"))
    return OrderWatch(order_id, Venue(venue), since, looked, absent_reads, is_seen, cancelled)
