from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from psycopg.types.json import Jsonb

from orchestration.execution.edge_monitor.monitor import EdgeMonitor
from streams.market.book import Book
from streams.market.events import BookSnapshot, Quote
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection, connect
from tests.support.decisions import write_decision


def seed_ladder(connection: Connection) -> None:
    now = datetime.now(UTC)
    for market in ("KXA-50", "KXA-60"):
        row = connection.execute(
            """INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title, outcomes,
                   close_time, status, terms, payload, seen_at)
               VALUES ('kalshi', %s, 'v', 't', 'e', 'Above?', '["Yes", "No"]', %s, 'open', %s, '{}', %s)
               RETURNING version_id""",
            (market, now + timedelta(days=2), Jsonb({"fee_schedule": {"fee_type": "quadratic"}}), now),
        ).fetchone()
        assert row is not None
        connection.execute(
            """INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
               VALUES ('kalshi', %s, %s, 'open', %s, %s)""",
            (market, row["version_id"], now, now),
        )
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
           VALUES ('ladder', 'ladder', 'Above', %s, %s, true, 'sandbox', now())""",
        (
            Jsonb([{"venue": "kalshi", "market_id": market} for market in ("KXA-50", "KXA-60")]),
            Jsonb([[], ["kalshi:KXA-50"], ["kalshi:KXA-50", "kalshi:KXA-60"]]),
        ),
    )
    write_decision(connection, "ladder")


def quote(monitor: EdgeMonitor, market: str, bid: int, ask: int, *, is_live: bool = True) -> None:
    book = Book()
    book.replace(BookSnapshot(Venue.KALSHI, market, [(bid, 50_000_000)], [(ask, 50_000_000)]))
    now = time.time_ns()
    monitor.on_quote(Quote(Venue.KALSHI, market, now, bid, 50_000_000, ask, 50_000_000, is_live), book)


def wait_for(condition: Callable[[], object], monitor: EdgeMonitor) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        monitor.on_tick(time.time_ns())
        time.sleep(0.02)


def test_an_edge_opens_a_signal_and_a_stale_book_closes_it(database: str) -> None:
    settings = Settings(venues="sandbox", signal_min_duration_ms=50)
    with connect(database) as connection:
        seed_ladder(connection)
        monitor = EdgeMonitor(settings, database, 0)
        try:
            # YES of the lower strike at 0.50 and NO of the higher at 1 - 0.58
            quote(monitor, "KXA-50", 4_900, 5_000)
            quote(monitor, "KXA-60", 5_800, 5_900)
            wait_for(lambda: connection.execute("SELECT 1 AS x FROM trading.signals").fetchone(), monitor)
            signal = connection.execute("SELECT * FROM trading.signals").fetchone()
            assert signal is not None
            assert signal["leg_set"] == "kalshi:KXA-50:yes+kalshi:KXA-60:no"
            assert signal["is_tradable"]
            assert signal["contracts_e6"] == 50_000_000
            # a dollar less 0.92 and the fees of both legs
            assert signal["profit_e6"] == 50_000_000 - signal["cost_e6"] - signal["fee_e6"]
            assert signal["cost_e6"] == 46_000_000
            # two days, less the gap between the legs and the stress outcomes
            locked_per_day = Decimal(signal["profit_e6"]) / (signal["cost_e6"] + signal["fee_e6"]) / 2
            assert locked_per_day * 3 / 4 < signal["expected_per_day"] < locked_per_day
            quote(monitor, "KXA-60", 5_800, 5_900, is_live=False)
            closed = "SELECT close_reason FROM trading.signals WHERE closed_at IS NOT NULL"
            wait_for(lambda: connection.execute(closed).fetchone(), monitor)
            assert connection.execute(closed).fetchone() == {"close_reason": "stale"}
        finally:
            monitor.close()


def test_an_edge_that_vanishes_before_the_least_time_opens_nothing(database: str) -> None:
    settings = Settings(venues="sandbox", signal_min_duration_ms=60_000)
    with connect(database) as connection:
        seed_ladder(connection)
        monitor = EdgeMonitor(settings, database, 0)
        try:
            quote(monitor, "KXA-50", 4_900, 5_000)
            quote(monitor, "KXA-60", 5_800, 5_900)
            wait_for(lambda: monitor.walks > 2, monitor)
            quote(monitor, "KXA-60", 4_000, 5_900)
            monitor.on_tick(time.time_ns())
        finally:
            monitor.close()
        assert connection.execute("SELECT count(*) AS n FROM trading.signals").fetchone() == {"n": 0}


def test_a_gap_that_flickers_is_one_signal(database: str) -> None:
    """0.6 s there, 0.4 s gone, on a clock of the test's own."""
    with connect(database) as connection:
        seed_ladder(connection)
        monitor = EdgeMonitor(Settings(venues="sandbox"), database, 0)
        try:
            wait_for(lambda: monitor.watches, monitor)
            now_ns = time.time_ns()
            for step in range(600):
                is_there = step % 10 < 6
                quote(monitor, "KXA-50", 4_900, 5_000)
                quote(monitor, "KXA-60", 5_800 if is_there else 4_000, 5_900)
                monitor.on_tick(now_ns + step * 100_000_000)
        finally:
            monitor.close()
        assert connection.execute("SELECT count(*) AS n FROM trading.signals").fetchone() == {"n": 1}
