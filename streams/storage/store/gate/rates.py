"""How many orders and hedges there were lately."""

from __future__ import annotations

from datetime import datetime

from streams.storage.database import Connection, fetch_int


def count_orders_since(connection: Connection, since: datetime, mode: str) -> int:
    """Return how many orders of a mode were written since then, of the last thousands."""
    return fetch_int(
        connection,
        """SELECT count(*) FROM (
               SELECT o.prepared_at, i.execution_id FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
               ORDER BY o.order_id DESC LIMIT 5000
           ) AS last JOIN trading.executions AS e USING (execution_id) WHERE last.prepared_at > %s AND e.mode = %s""",
        (since, mode),
    )


def count_hedges_since(connection: Connection, since: datetime, mode: str, besides: int | None = None) -> int:
    """Return how many executions of a mode have held something back since then, besides that one."""
    return fetch_int(
        connection,
        """SELECT count(*) FROM (
               SELECT execution_id, mode, started_at FROM trading.executions ORDER BY execution_id DESC LIMIT 5000
           ) AS last
           WHERE started_at > %s AND mode = %s AND execution_id IS DISTINCT FROM %s
             AND EXISTS (SELECT FROM trading.reservations AS r WHERE r.execution_id = last.execution_id)""",
        (since, mode, besides),
    )
