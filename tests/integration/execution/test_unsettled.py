"""A market that is held and gets no final value is told of, and booked when a person states it."""

from __future__ import annotations

import asyncio
import random

from orchestration.execution.settlement import settle
from orchestration.execution.settlement_cycle import alarm_overdue
from orchestration.execution.trade_signal import SignalTrader
from streams.market.identity import Venue
from streams.storage.database import connect
from tests.support.fake_venue import (
    POLYMARKET_MARKET,
    fake_settings,
    make_context,
    rows,
    seed_group,
    seed_signal,
    set_books,
)

OPEN = (
    "SELECT dedup_key, message FROM trading.alerts WHERE kind = 'unsettled' AND cleared_at IS NULL ORDER BY dedup_key"
)


def test_a_held_market_without_a_final_value_is_named_until_it_is_booked(database: str) -> None:
    with connect(database) as connection:
        seed_group(connection)
        context, venues = make_context(connection, {}, 1, fake_settings())
        set_books(venues, random.Random(5))
        asyncio.run(SignalTrader(connection, context, "run").trade(seed_signal(connection, 1)))
        alarm_overdue(connection, context.mode)
        assert rows(connection, OPEN) == []

        connection.execute("UPDATE raw.market_versions SET close_time = now() - interval '25 hours'")
        connection.execute("UPDATE raw.market_state SET status = 'closed'")
        connection.execute("UPDATE raw.market_state SET settlement_e4 = 0, status = 'settled' WHERE venue = 'kalshi'")
        for _ in range(2):
            alarm_overdue(connection, context.mode)
        [alert] = rows(connection, OPEN)
        assert alert["dedup_key"] == f"unsettled:polymarket:{POLYMARKET_MARKET}"
        assert POLYMARKET_MARKET in alert["message"]

        connection.execute(
            "UPDATE raw.market_state SET status = 'settled', result = 'scalar', settlement_e4 = 3700"
            " WHERE venue = 'polymarket'"
        )
        venues[Venue.POLYMARKET].settled[POLYMARKET_MARKET] = 3700
        venues[Venue.POLYMARKET].paid[POLYMARKET_MARKET] = 0
        asyncio.run(settle(connection, context))
        held = "SELECT 1 FROM trading.positions WHERE venue = 'polymarket' AND contracts_e6 <> 0"
        assert rows(connection, held) == []
        alarm_overdue(connection, context.mode)
        assert rows(connection, OPEN) == []
