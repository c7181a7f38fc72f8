"""A process that trades one signal and stops itself (SIGSTOP) between the legs; says what it has sent when it is woken.

`python -m tests.support.hanging_run DSN HOME PLACE`: PLACE is "before its intent" or "before the last look".
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderAnswer, OrderSpec, PreparedOrder
from streams.market.identity import Venue
from streams.storage.database import connect
from tests.support.fake_venue import FakeVenue, fake_settings, seed_signal, set_books


async def main(dsn: str, home: str, place: str) -> None:
    """Trade, stop in the middle, and print what left."""
    with connect(dsn) as connection:
        venues = {venue: FakeVenue(venue, connection, index, {}) for index, venue in enumerate(Venue)}
        # a decision lives long, so that nothing but the lease keeps the order back
        settings = fake_settings(home=Path(home)).model_copy(update={"decision_ttl_ms": 600_000})
        context = TradingContext(settings, "live", venues)
        await ensure_deposits(connection, context)
        set_books(venues, random.Random(5))
        for venue in venues.values():
            for levels in venue.asks.values():
                for level in levels:
                    level[1] = 100_000_000
        second = venues[Venue.KALSHI]
        prepare, send = second.prepare, second.send

        def prepared(spec: OrderSpec) -> PreparedOrder:
            if place == "before its intent":
                os.kill(os.getpid(), signal.SIGSTOP)
            return prepare(spec)

        async def sent(order: PreparedOrder) -> OrderAnswer:
            if place == "before the last look":
                os.kill(os.getpid(), signal.SIGSTOP)
            order.check()  # as the transport does when nothing but the bytes is left
            return await send(order)

        second.prepare, second.send = prepared, sent  # type: ignore[method-assign]
        result = await SignalTrader(connection, context, "hanging").trade(seed_signal(connection, 1))
        why = "" if result.refusal is None else result.refusal.detail
        counts = {"first": len(venues[Venue.POLYMARKET].sent), "second": len(second.sent)}
        print(json.dumps({**counts, "why": why}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
