"""Orders whose fate is not known, as people see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class UnknownOrder:
    """An order that has left and on which its venue has not said its last word; contracts and dollars."""

    order_id: int
    execution_id: int
    trade_state: str
    venue: str
    market_id: str
    outcome: str
    action: str
    contracts: Decimal
    limit_price: Decimal
    filled: Decimal
    state: str
    is_seen: bool
    sent_at: datetime
    reason: str


def load_unknown_orders(connection: Connection, mode: str) -> list[UnknownOrder]:
    """Return the orders of a trading mode of unknown fate, the oldest first, at most 200."""
    return fetch_all(
        connection,
        UnknownOrder,
        """SELECT o.order_id, i.execution_id, e.state AS trade_state, o.venue, i.market_id, i.outcome, i.action,
               i.size_e6 / 1e6 AS contracts, i.limit_price_e4 / 1e4 AS limit_price, o.filled_e6 / 1e6 AS filled,
               o.state, o.is_seen, o.sent_at, o.reason
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           WHERE e.mode = %s AND o.state IN ('sent', 'unknown', 'resting') AND o.sent_at IS NOT NULL
           ORDER BY o.order_id LIMIT 200""",
        (mode,),
    )
