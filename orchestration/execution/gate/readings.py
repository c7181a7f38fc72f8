"""Asking the venues for what the gate reads, outside of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from orchestration.execution.trading_context import TradingContext
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store.gate.readings import load_readings, write_cash


async def refresh_cash(
    connection: Connection, context: TradingContext, venues: Collection[Venue], clock: Callable[[], datetime]
) -> None:
    """Read the cash of those accounts whose last reading is older than half of what the gate believes.

    Raises:
        StreamsError: If an account does not answer; its reading grows old.
    """
    now = clock()
    ages = timedelta(seconds=context.settings.cash_max_age_s / 2)
    known = load_readings(connection, context.mode)
    young = {reading.venue for reading in known if reading.kind == "cash" and now - reading.read_at < ages}
    due = [venue for venue in venues if venue.value not in young]
    pots = await asyncio.gather(*(context.gateways[venue].cash_by_shard() for venue in due))
    for venue, cash in zip(due, pots, strict=True):
        write_cash(connection, context.mode, venue.value, cash, now)
