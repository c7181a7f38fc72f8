"""What the gate costs: the transaction that judges a whole hedge, holds it back and writes its first intents.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}, in milliseconds. Hedges are traded one after
the other against fake venues that answer at once, on an embedded PostgreSQL that writes through to the disk as it does
in use. The baseline is the same with one pair in the warehouse; the figure, with a thousand, of which as many as are
traded are held. `whole_trade` is everything from a signal to its hedge, without the venues' own time.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any
from unittest.mock import patch

from orchestration.execution.sending.send_orders import OrderSender
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from streams.market.identity import Venue
from streams.market.trading import ExecutionState
from streams.settings import Settings
from streams.storage.database import Connection, connect
from tests.bench.bench_kill import database
from tests.support.fake_venue import fake_settings, make_context, markets_of, seed_group, seed_signal

TRADES, PAIRS = 100, 1_000


def quote(venues: Any, group: int) -> None:
    """Offer both markets of a group with six cents between them, deep enough for every order."""
    for venue, market in zip(Venue, markets_of(group), strict=True):
        yes, no = (4_400, 5_700) if venue is Venue.KALSHI else (5_200, 4_900)
        venues[venue].asks[market, "yes"] = [[yes, 500_000_000]]
        venues[venue].asks[market, "no"] = [[no, 500_000_000]]


async def trade(
    connection: Connection, settings: Settings, groups: Sequence[int], seed: int
) -> tuple[list[float], list[float]]:
    """Trade once on each group, order ids from a seed; return the milliseconds of the gate and of the whole trade."""
    gate, whole = [], []
    context, venues = make_context(connection, {}, seed, settings)
    await ensure_deposits(connection, context)
    write = OrderSender._write

    def timed(sender: OrderSender, *args: Any, is_first: bool) -> Any:
        began = time.perf_counter()
        try:
            return write(sender, *args, is_first=is_first)
        finally:
            if is_first:
                gate.append(1000 * (time.perf_counter() - began))

    trader = SignalTrader(connection, context, "bench")
    with patch.object(OrderSender, "_write", timed):
        for number, group in enumerate(groups):
            quote(venues, group)
            signal = seed_signal(connection, random.randrange(1 << 60), group=group)
            began = time.perf_counter()
            result = await trader.trade(signal)
            whole.append(1000 * (time.perf_counter() - began))
            if result.state is not ExecutionState.HEDGED:
                raise RuntimeError(f"trade {number} of group {group} ended as {result}")
    return gate, whole


def measure(dsn: str, settings: Settings, pairs: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of the gate and of the whole trade with so many pairs in the warehouse."""
    with connect(dsn) as connection:
        for number in range(1, pairs + 1):
            seed_group(connection, number=number)
        connection.execute("ANALYZE")
        groups = [1 + number % pairs for number in range(TRADES)]
        asyncio.run(trade(connection, settings, groups[:5], 1))
        return asyncio.run(trade(connection, settings, groups, 9))


def lines(name: str, values: list[float], others: list[float]) -> list[dict[str, object]]:
    """Return median, p95 and p99 of some durations beside those of one pair."""
    found: list[dict[str, object]] = []
    marks = quantiles(values, n=100, method="inclusive"), quantiles(others, n=100, method="inclusive")
    for suffix, value, other in (
        ("median", median(values), median(others)),
        ("p95", marks[0][94], marks[1][94]),
        ("p99", marks[0][98], marks[1][98]),
    ):
        found.append(
            {
                "name": f"{name}_{suffix}",
                "value": round(value, 1),
                "unit": "ms",
                "baseline": f"one pair ({len(values)} trades each)",
                "baseline_value": round(other, 1),
                "ratio": round(value / other, 2),
            }
        )
    return found


def main() -> None:
    """Measure and print."""
    limits = {"limit_total_usd": 10_000_000, "limit_venue_usd": 10_000_000, "limit_event_usd": 10_000_000}
    wide = {"limit_pair_usd": 10_000_000, "limit_market_usd": 10_000_000, "provisional_cap_usd": 10_000_000}
    wide |= {"stress_loss_usd": 10_000_000}
    rates = {"limit_orders_per_minute": 100_000, "limit_hedges_per_minute": 100_000}
    figures = {}
    for pairs in (1, PAIRS):
        with database() as (dsn, home):
            settings = fake_settings(home=home, legs_at_once=True, **limits, **wide, **rates)
            figures[pairs] = measure(dsn, settings, pairs)
    results = lines("gate_transaction", figures[PAIRS][0], figures[1][0])
    results += lines("whole_trade", figures[PAIRS][1], figures[1][1])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
