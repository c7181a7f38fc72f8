"""What orders on some markets are expected to do: what our own have shown, read together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from orchestration.execution.edge_monitor.priors import leg_priors
from orchestration.execution.gate.readings import venue_facts
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.round_trips import sampled_round_trips_ms
from orchestration.opportunities.leg_risk import LegOdds, leg_odds, match_ms
from streams.market.trading import Target
from streams.storage.database import Connection
from streams.storage.store.hedges.leg_records import leg_records

_MEASURED_OVER = timedelta(days=7)
"""Hedges that are older say nothing about what happens now."""


def read_leg_odds(
    connection: Connection, context: TradingContext, targets: Sequence[Target], now: datetime
) -> dict[str, LegOdds]:
    """Return what an order on each of these markets is expected to do, by "venue:market_id".

    Args:
        connection: To the warehouse.
        context: Whose orders they are.
        targets: The markets.
        now: The present; what is older than a week does not count.
    """
    priors, markets = leg_priors(context.settings), venue_facts(connection, context).markets
    venues = dict.fromkeys(target.venue for target in targets)
    ways = {venue: sampled_round_trips_ms(connection, venue) for venue in venues}
    records = leg_records(connection, context.mode, [target.key for target in targets], now - _MEASURED_OVER)
    by_market = {record.market: record for record in records}
    found: dict[str, LegOdds] = {}
    for target in targets:
        state = markets.get(target.key)
        delay_ms = None if state is None else state[1].delay_ms
        expected_ms = match_ms(ways[target.venue], delay_ms)
        found[target.key] = leg_odds(priors, by_market[target.key], expected_ms, delay_ms)
    return found
