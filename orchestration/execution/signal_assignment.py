"""Which signals go to which trading run, and which are refused before any run is started."""

from __future__ import annotations

from collections.abc import Collection

from orchestration.execution.decide.risk_checks import Reason, switch_reason
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.risk import current_switch
from streams.storage.store.signals import load_actionable


def pick_signals(
    connection: Connection, settings: Settings, under_way: Collection[int], free_runs: int, least_age_s: float = 0.0
) -> list[list[int]]:
    """Return batches of signal ids for new runs, at most `free_runs`; writes the refusals of all that may not trade.

    Signals of one group go to one run, one after the other: they need the same markets. Signals younger than
    `least_age_s` are left to runs that stay.
    """
    refuse_untradable(connection, settings.venues)
    switch = current_switch(connection)
    if switch != "run" or settings.trading_mode == "off":
        reason = switch_reason(switch) if switch != "run" else Reason.TRADING_OFF
        refuse_all(connection, reason, settings.venues)
        return []
    if free_runs <= 0:
        return []
    rows = load_actionable(
        connection,
        max(settings.execution_cooldown_s, 2.0),
        settings.execution_attempts,
        free_runs * settings.execution_batch,
        least_age_s,
    )
    by_group: dict[str, list[int]] = {}
    for row in rows:
        if row["signal_id"] not in under_way:
            by_group.setdefault(row["group_id"], []).append(row["signal_id"])
    return _batches(list(by_group.values()), free_runs, settings.execution_batch)


def _batches(groups: list[list[int]], runs: int, size: int) -> list[list[int]]:
    batches: list[list[int]] = [[] for _ in range(min(runs, len(groups)))]
    for number, group in enumerate(groups):
        batch = batches[number % len(batches)]
        batch.extend(group[: size - len(batch)])
    return [batch for batch in batches if batch]


def refuse_untradable(connection: Connection, environment: str) -> int:
    """Refuse, once each, the open signals whose set may not be traded, saying why."""
    cursor = connection.execute(
        """INSERT INTO trading.refusals (signal_id, reason, detail, environment)
           SELECT s.signal_id,
               CASE WHEN g.kind <> 'pair' THEN %(no)s WHEN p.state = 'lapsed' THEN %(lapsed)s
                    ELSE %(pair)s END,
               coalesce(nullif(g.reason, ''), p.state, g.kind), %(environment)s
           FROM trading.signals AS s JOIN trading.groups AS g USING (group_id)
           LEFT JOIN trading.pair_states AS p ON g.kind = 'pair'
               AND g.markets @> jsonb_build_array(
                   jsonb_build_object('venue', 'kalshi', 'market_id', p.kalshi_market_id),
                   jsonb_build_object('venue', 'polymarket', 'market_id', p.polymarket_market_id))
           WHERE s.closed_at IS NULL AND NOT s.is_tradable
             AND NOT EXISTS (SELECT 1 FROM trading.refusals AS r WHERE r.signal_id = s.signal_id)""",
        {
            "no": Reason.NOT_TRADABLE,
            "lapsed": Reason.LAPSED,
            "pair": Reason.PAIR_NOT_APPROVED,
            "environment": environment,
        },
    )
    return cursor.rowcount


def refuse_all(connection: Connection, reason: Reason, environment: str) -> int:
    """Refuse, once each, every open tradable signal that nothing was executed for."""
    cursor = connection.execute(
        """INSERT INTO trading.refusals (signal_id, reason, environment)
           SELECT s.signal_id, %(reason)s, %(environment)s FROM trading.signals AS s
           WHERE s.closed_at IS NULL AND s.is_tradable
             AND NOT EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.signal_id = s.signal_id)
             AND NOT EXISTS (SELECT 1 FROM trading.refusals AS r
                 WHERE r.signal_id = s.signal_id AND r.reason = %(reason)s)""",
        {"reason": reason, "environment": environment},
    )
    return cursor.rowcount
