"""What the time between the legs has cost us by market: how far hedges fell short of their plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class LegGapRow:
    """Hedges on one market that have ended and had bought something.

    Attributes:
        market: "venue:market_id".
        contracts_e6: Contracts that they bought of their most filled leg.
        shortfall_e6: Dollars of the plans, as far as they were bought, less what the fills lock; negative where prices
            came better.
    """

    market: str
    contracts_e6: int
    shortfall_e6: int


def measured_leg_gaps(connection: Connection, mode: str, markets: Sequence[str], since: datetime) -> list[LegGapRow]:
    """Return what the hedges on some markets that began after a moment fell short of their plans.

    Args:
        connection: To the warehouse.
        mode: Of the executions.
        markets: By "venue:market_id"; those without such hedges are absent from the answer.
        since: Older executions say nothing about now.
    """
    return fetch_all(
        connection,
        LegGapRow,
        """SELECT m.market, sum(b.bought_e6)::bigint AS contracts_e6,
               sum(round(e.planned_e6 * b.bought_e6 / e.contracts_e6) - e.expected_pnl_e6)::bigint AS shortfall_e6
           FROM unnest(%(markets)s::text[]) AS m (market)
           CROSS JOIN LATERAL (
               SELECT x.execution_id, x.expected_pnl_e6, x.contracts_e6::numeric AS contracts_e6,
                   (x.detail ->> 'planned_profit_e6')::bigint AS planned_e6
               FROM trading.executions AS x
               WHERE x.mode = %(mode)s AND x.started_at >= %(since)s AND x.flat_at IS NOT NULL
                 AND x.expected_pnl_e6 IS NOT NULL AND x.contracts_e6 > 0 AND x.detail ? 'planned_profit_e6'
                 AND x.execution_id IN (SELECT i.execution_id FROM trading.intents AS i
                     WHERE i.venue = split_part(m.market, ':', 1)
                       AND i.market_id = substr(m.market, strpos(m.market, ':') + 1))
           ) AS e
           CROSS JOIN LATERAL (
               SELECT max(leg.bought_e6) AS bought_e6 FROM (
                   SELECT sum(o.filled_e6) AS bought_e6 FROM trading.intents AS i
                   JOIN trading.orders AS o USING (intent_id)
                   WHERE i.execution_id = e.execution_id AND i.action = 'buy'
                   GROUP BY i.venue, i.market_id, i.outcome
               ) AS leg
           ) AS b
           WHERE b.bought_e6 > 0 GROUP BY m.market""",
        {"markets": list(markets), "mode": mode, "since": since},
    )
