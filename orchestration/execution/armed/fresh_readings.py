"""The armed run keeps what the gate reads of the venues young, so that no hedge waits for it.

What is kept young is the state of both venues and accounts, and the markets that had a tradable signal lately: gaps
come back on the same markets. Whatever else is traded is asked for as its signal is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from orchestration.execution.gate.readings import refresh_cash, refresh_states
from orchestration.execution.trading_context import TradingContext
from streams.logs import get_logger
from streams.storage.database import Connection
from streams.storage.store.market_groups import load_market_infos
from streams.storage.store.signals import markets_with_signals_since

_EVERY_S = 5.0
_LATELY = timedelta(minutes=10)
_MOST_MARKETS = 24


@asynccontextmanager
async def kept_fresh(connection: Connection, context: TradingContext) -> AsyncIterator[None]:
    """Refresh readings that are half as old as allowed, every few seconds while the block runs."""
    keeping = asyncio.create_task(_keep(connection, context))
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _keep(connection: Connection, context: TradingContext) -> None:
    """Look for ever. A look that fails is made again: until then the gate refuses what it has no young reading for."""
    while True:
        try:
            await refresh_once(connection, context, datetime.now(UTC))
        except Exception as error:  # nobody waits for this task: what ends it would end all trading in silence
            get_logger().warning("readings of the venues were not refreshed", error=repr(error))
        await asyncio.sleep(_EVERY_S)


async def refresh_once(connection: Connection, context: TradingContext, now: datetime) -> None:
    """Refresh what is due now.

    Raises:
        StreamsError: If an account's cash could not be read; everything else is done.
    """
    keys = markets_with_signals_since(connection, now - _LATELY, _MOST_MARKETS)
    markets = load_market_infos(connection, keys)
    await refresh_states(connection, context, list(markets.values()), lambda: now)
    venues = sorted({market.venue for market in markets.values()} & set(context.gateways))
    await refresh_cash(connection, context, venues, lambda: now)
