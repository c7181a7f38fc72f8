"""What the hedges of a market group hold."""

from __future__ import annotations

from streams.market.identity import Outcome
from streams.storage.database import Connection


def held_by_hedges(connection: Connection, mode: str, group_id: str) -> dict[tuple[str, Outcome], int]:
    """Return the contracts (1e-6) that the hedged executions of a group hold, by ("venue:market_id", outcome).

    Not those of executions that are worked on or escalated: what these hold is not theirs to keep.
    """
    rows = connection.execute(
        """SELECT l.venue || ':' || l.market_id AS market, l.outcome, sum(l.contracts_e6)::bigint AS contracts_e6
           FROM trading.executions AS e JOIN trading.ledger AS l ON l.execution_id = e.execution_id
           WHERE e.group_id = %s AND e.mode = %s AND e.state = 'HEDGED' AND e.settled_at IS NULL
             AND l.market_id IS NOT NULL AND l.outcome IS NOT NULL
           GROUP BY l.venue, l.market_id, l.outcome HAVING sum(l.contracts_e6) > 0""",
        (group_id, mode),
    ).fetchall()
    return {(row["market"], row["outcome"]): row["contracts_e6"] for row in rows}
