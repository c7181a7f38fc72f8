"""The line with a login for each kind of process: record, trade, views, pages, upkeep; none needs another's rights."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.api.main import create_app
from orchestration.dbt.live_views import stored_views
from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import compare_balances, ensure_deposits, settle
from orchestration.execution.settlement_cycle import run_cycle
from orchestration.execution.trade_signal import SignalTrader
from streams.market.identity import Venue
from streams.market.trading import ExecutionState
from streams.recorder.service import RecorderRun, record
from streams.settings import Settings
from streams.storage.access.logins import GROUPS, Login
from streams.storage.database import connect, database_dsn
from streams.storage.partitions import PARTITIONED_TABLES, drop_old_partitions, ensure_partitions
from streams.storage.schema import migrate
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.storage.store.executions import load_execution
from streams.storage.store.warehouse import keep_views
from tests.conftest import new_database
from tests.support.fake_venue import (
    KALSHI_MARKET,
    POLYMARKET_MARKET,
    fake_settings,
    make_context,
    seed_group,
    seed_signal,
    set_books,
)
from tests.support.kalshi_frames import KalshiFrames
from tests.support.logins import logins_of, settings_of
from tests.support.recorder_feed import LineServer, line_source, wanted


@pytest.fixture
def settings(postgres_dsn: str, tmp_path: Path) -> Iterator[Settings]:
    with new_database(postgres_dsn) as owner:
        with logins_of(owner, {login: f"l_{login}" for login in GROUPS}) as addresses:
            migrate(owner, "sandbox")
            yield settings_of(tmp_path, owner, addresses)


def test_a_recorder_writes_all_it_receives_as_the_recorder(settings: Settings) -> None:
    frames, asked = KalshiFrames(), asyncio.Event()

    def answer(_number: int, line: str) -> list[bytes]:
        asked.set()
        word, _, ids = line.partition(" ")
        if word == "unsubscribe":
            return []
        return [frames.snapshot(market, [("0.4000", "10.00")], [("0.6000", "5.00")]) for market in ids.split(",")]

    async def main() -> int:
        async with LineServer(answer) as server:
            stop = asyncio.Event()
            recorder = asyncio.create_task(
                record(
                    settings,
                    RecorderRun(0, 1, "run-1"),
                    [],
                    stop,
                    sources=[line_source(server.port)],
                    universe=lambda _connection: wanted("A"),
                )
            )
            subscribed = asyncio.create_task(asked.wait())
            await asyncio.wait([subscribed, recorder], timeout=90, return_when=asyncio.FIRST_COMPLETED)
            subscribed.cancel()
            stop.set()
            return (await recorder).rows

    assert asyncio.run(main()) > 0
    with connect(database_dsn(settings, Login.READER)) as connection:
        rows = connection.execute(
            """SELECT (SELECT count(*) FROM raw.book_snapshots) AS books, (SELECT count(*) FROM raw.quotes) AS quotes,
                   (SELECT count(*) FROM raw.connections WHERE ended_at IS NOT NULL) AS connections,
                   (SELECT count(*) FROM trading.leases WHERE released_at IS NOT NULL) AS leases"""
        ).fetchone()
    assert rows is not None
    assert min(rows.values()) >= 1, rows


def test_a_hedge_is_traded_settled_and_added_up_as_the_trading_run(settings: Settings) -> None:
    async def main() -> None:
        with connect(database_dsn(settings, Login.OWNER)) as owner:
            seed_group(owner)
            signal = seed_signal(owner, 1)
        with connect(database_dsn(settings, Login.TRADING)) as connection:
            context, venues = make_context(connection, {}, 1, fake_settings())
            await ensure_deposits(connection, context)
            set_books(venues, random.Random(5))
            outcome = await SignalTrader(connection, context, "run").trade(signal)
            assert outcome.state is ExecutionState.HEDGED, outcome
            assert outcome.execution_id is not None
            for _ in range(20):
                await reconcile(connection, context, "run")
            for market, venue in ((KALSHI_MARKET, Venue.KALSHI), (POLYMARKET_MARKET, Venue.POLYMARKET)):
                venues[venue].settle_market(market, 10_000)
            assert (await settle(connection, context)).executions == 1
            assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]
            await run_cycle(connection, context, "run")
            assert load_execution(connection, outcome.execution_id).state is ExecutionState.SETTLED

    asyncio.run(main())


def test_views_are_made_as_dbt_and_pages_are_read_as_the_interface(settings: Settings, live_views: Path) -> None:
    with connect(database_dsn(settings, Login.DBT)) as connection:
        assert keep_views(connection, stored_views(live_views)) > 20
        assert keep_views(connection, stored_views(live_views)) == 0

    async def ask() -> list[tuple[str, int]]:
        app = create_app(settings)
        token = (settings.home_dir / "api_token").read_text().strip()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            paths = ("markets", "pairs", "trades", "signals", "positions", "health")
            answers = [(path, (await client.get(f"/api/{path}")).status_code) for path in paths]
            written = await client.post(
                "/api/trading/pause", json={"who": "mara"}, headers={"Authorization": f"Bearer {token}"}
            )
        app.state.pool.close()
        return [*answers, ("pause", written.status_code)]

    answers = dict(asyncio.run(ask()))
    assert answers.pop("pause") == 201
    assert 200 in answers.values()
    assert {code for code in answers.values() if code >= 500} == set(), answers


def test_days_are_made_by_the_batch_and_dropped_by_the_owner(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    with connect(database_dsn(settings, Login.BATCH)) as connection:
        made = ensure_partitions(connection, today, days_ahead=4)
        assert len(made) == 2 * 5
        assert ensure_partitions(connection, today, days_ahead=4) == []
        assert raise_alert(connection, "k", "notice", "key", "message")
        clear_alert(connection, "key")
    with connect(database_dsn(settings, Login.OWNER)) as connection:
        dropped = drop_old_partitions(connection, today, -4)
        assert len(dropped) == len(PARTITIONED_TABLES) * 5, dropped
