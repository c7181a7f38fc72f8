"""What our own orders have shown by market: how often they fill as planned, and what it costs where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class LegRecordRow:
    """Orders that opened a leg on one market, of hedges that have ended; amounts in 1e-6.

    Attributes:
        market: "venue:market_id".
        first_asked_e6 / first_filled_e6: Contracts of those that left before any other of their hedge was answered, and
            how many of them filled at their planned price.
        later_asked_e6 / later_filled_e6: The same of those that left after another leg had been bought.
        shortfall_e6: Dollars of the hedges' plans, as far as they were bought, less what their fills lock; negative
            where prices came better.
    """

    market: str
    first_asked_e6: int = 0
    first_filled_e6: int = 0
    later_asked_e6: int = 0
    later_filled_e6: int = 0
    shortfall_e6: int = 0


def leg_records(connection: Connection, mode: str, markets: Sequence[str], since: datetime) -> list[LegRecordRow]:
    """Return what the hedges on some markets that began after a moment have shown, a row for each market.

    Args:
        connection: To the warehouse.
        mode: Of the executions.
        markets: By "venue:market_id".
        since: Older executions say nothing about now.
    """
    return fetch_all(
        connection,
        LegRecordRow,
        """WITH asked AS (
               SELECT market, split_part(market, ':', 1) AS venue, substr(market, strpos(market, ':') + 1) AS market_id
               FROM unnest(%(markets)s::text[]) AS t (market)
           ), hedges AS (
               SELECT a.market, a.venue, a.market_id, x.execution_id, x.expected_pnl_e6, x.contracts_e6,
                   (x.detail ->> 'planned_profit_e6')::bigint AS planned_e6, x.detail -> 'plan' AS plan
               FROM asked AS a JOIN LATERAL (
                   SELECT DISTINCT i.execution_id FROM trading.intents AS i
                   WHERE i.venue = a.venue AND i.market_id = a.market_id
               ) AS mine ON true JOIN trading.executions AS x USING (execution_id)
               WHERE x.mode = %(mode)s AND x.started_at >= %(since)s AND x.flat_at IS NOT NULL
                 AND x.expected_pnl_e6 IS NOT NULL AND x.contracts_e6 > 0 AND x.detail ? 'planned_profit_e6'
           ), openings AS (
               SELECT h.market, i.size_e6 AS asked_e6,
                   CASE WHEN i.limit_price_e4 = (h.plan -> 'legs' -> i.leg_no ->> 'limit_price_e4')::int
                       THEN least(o.filled_e6, i.size_e6) ELSE 0 END AS filled_e6,
                   coalesce(jsonb_array_length(h.plan -> 'holds_ms'), 0) > 0 OR NOT EXISTS (
                       SELECT FROM trading.intents AS earlier WHERE earlier.execution_id = h.execution_id
                         AND earlier.intent_id < i.intent_id) AS is_first
               FROM hedges AS h JOIN trading.intents AS i USING (execution_id, venue, market_id)
               JOIN trading.orders AS o USING (intent_id)
               WHERE i.purpose = 'open' AND o.sent_at IS NOT NULL
           ), orders AS (
               SELECT market, sum(asked_e6) FILTER (WHERE is_first) AS first_asked_e6,
                   sum(filled_e6) FILTER (WHERE is_first) AS first_filled_e6,
                   sum(asked_e6) FILTER (WHERE NOT is_first) AS later_asked_e6,
                   sum(filled_e6) FILTER (WHERE NOT is_first) AS later_filled_e6
               FROM openings GROUP BY market
           ), shortfalls AS (
               SELECT h.market,
                   sum(round(h.planned_e6 * b.bought_e6 / h.contracts_e6::numeric) - h.expected_pnl_e6) AS shortfall_e6
               FROM hedges AS h CROSS JOIN LATERAL (
                   SELECT max(leg.bought_e6) AS bought_e6 FROM (
                       SELECT sum(o.filled_e6) AS bought_e6 FROM trading.intents AS i
                       JOIN trading.orders AS o USING (intent_id)
                       WHERE i.execution_id = h.execution_id AND i.action = 'buy'
                       GROUP BY i.venue, i.market_id, i.outcome
                   ) AS leg
               ) AS b
               WHERE b.bought_e6 > 0 GROUP BY h.market
           )
           SELECT a.market, coalesce(o.first_asked_e6, 0)::bigint AS first_asked_e6,
               coalesce(o.first_filled_e6, 0)::bigint AS first_filled_e6,
               coalesce(o.later_asked_e6, 0)::bigint AS later_asked_e6,
               coalesce(o.later_filled_e6, 0)::bigint AS later_filled_e6,
               coalesce(s.shortfall_e6, 0)::bigint AS shortfall_e6
           FROM asked AS a LEFT JOIN orders AS o USING (market) LEFT JOIN shortfalls AS s USING (market)
           ORDER BY a.market""",
        {"markets": list(markets), "mode": mode, "since": since},
    )
