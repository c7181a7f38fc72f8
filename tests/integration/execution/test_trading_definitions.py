from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from psycopg.types.json import Jsonb

import orchestration
from orchestration.defs.alerting.sensors import alert_sender
from orchestration.defs.signals.sensors import spread_sensor
from orchestration.defs.trading import jobs
from orchestration.defs.trading.checks import ledger_cash_equals_venue_cash, nothing_is_escalated
from orchestration.defs.trading.sensors import settlement_sensor
from orchestration.execution.settlement_cycle import why_due
from orchestration.execution.signal_assignment import pick_signals
from orchestration.execution.trading_context import TradingContext
from orchestration.resources import PlatformResource
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.commands import finish
from streams.storage.store.risk import current_switch, set_switch


@pytest.fixture
def platform(database: str, monkeypatch: pytest.MonkeyPatch) -> PlatformResource:
    monkeypatch.setenv("DATABASE_URL", database)
    return PlatformResource()


def seed_signal(connection: Connection, group: str, *, is_tradable: bool = True, kind: str = "ladder") -> int:
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment)
           VALUES (%s, %s, 't', %s, '[[]]', %s, 'sandbox') ON CONFLICT DO NOTHING""",
        (group, kind, Jsonb([{"venue": "kalshi", "market_id": f"KX{group}"}]), is_tradable),
    )
    row = connection.execute(
        """INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at, open_edge_usd,
               peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)
           VALUES (%s, 'set', 0, 'sandbox', %s, %s, 1, 1, 1, 1, 1, 1, 1, now()) RETURNING signal_id""",
        (group, is_tradable, datetime.now(UTC) - timedelta(seconds=1)),
    ).fetchone()
    assert row is not None
    connection.execute(
        """INSERT INTO trading.signal_legs (signal_id, leg_no, venue, market_id, outcome, limit_price_e4, size_e6)
           VALUES (%s, 0, 'kalshi', %s, 'yes', 5000, 1)""",
        (row["signal_id"], f"KX{group}"),
    )
    return int(row["signal_id"])


def reasons(connection: Connection) -> list[str]:
    return [row["reason"] for row in connection.execute("SELECT reason FROM trading.refusals ORDER BY refusal_id")]


def test_the_definitions_of_both_areas_load() -> None:
    root = Path(orchestration.__file__).parent
    for area in ("signals", "trading"):
        definitions = dg.load_from_defs_folder(path_within_project=root / "defs" / area)
        assert definitions.get_all_asset_specs() if hasattr(definitions, "get_all_asset_specs") else definitions


def test_the_spread_sensor_asks_for_a_run_with_the_signals_of_a_group(platform: PlatformResource) -> None:
    with platform.connect() as connection:
        first, second = seed_signal(connection, "a"), seed_signal(connection, "b")
    with dg.instance_for_test() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"platform": platform})
        result = spread_sensor(context)
        requests = [item for item in result if isinstance(item, dg.RunRequest)]
    asked = [request.run_config["ops"]["trade_signals"]["config"]["signal_ids"] for request in requests]
    assert sorted(asked) == [[first], [second]]
    assert all(request.run_key is None for request in requests)


@pytest.mark.parametrize(("state", "reason"), [("pause", "paused"), ("kill", "killed"), ("reduce", "reducing")])
def test_signals_are_refused_once_each_while_the_switch_is_not_run(database: str, state: str, reason: str) -> None:
    with connect(database) as connection:
        seed_signal(connection, "a")
        seed_signal(connection, "b", is_tradable=False, kind="event")
        set_switch(connection, state, "tester")  # type: ignore[arg-type]
        for _ in range(3):
            assert pick_signals(connection, Settings(venues="sandbox"), set(), 2) == []
        assert sorted(reasons(connection)) == sorted([reason, "not_tradable"])


def test_a_kill_waits_for_no_intent_and_the_next_one_reads_it(database: str) -> None:
    from streams.storage.store.risk import lock_acting

    with connect(database) as writer, connect(database) as person:
        person.execute("SET lock_timeout = '100ms'")
        with writer.transaction():
            lock_acting(writer)
            assert current_switch(writer) == "run"
            set_switch(person, "kill", "tester")
        with writer.transaction():
            lock_acting(writer)
            assert current_switch(writer) == "kill"


def test_a_trading_run_reports_what_it_did(platform: PlatformResource, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def nobody(settings: Settings, connection: Connection) -> AsyncIterator[TradingContext]:
        yield TradingContext(settings, "live", {})

    monkeypatch.setattr(jobs, "open_trading_context", nobody)
    with platform.connect() as connection:
        signal = seed_signal(connection, "a")
    with dg.instance_for_test() as instance:
        result = jobs.hedged_trade.execute_in_process(
            run_config={"ops": {"trade_signals": {"config": {"signal_ids": [signal]}}}},
            resources={"platform": platform},
            instance=instance,
        )
        assert result.success
        cycle_result = jobs.settle_trades.execute_in_process(resources={"platform": platform}, instance=instance)
        assert cycle_result.success
    with platform.connect() as connection:
        assert reasons(connection) == ["not_tradable"]  # its market has no terms


def test_settlement_is_asked_for_when_something_is_due(platform: PlatformResource) -> None:
    with dg.instance_for_test() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"platform": platform})
        asked = list(settlement_sensor(context))
        assert isinstance(asked[0], dg.RunRequest)
        assert asked[0].tags["crossbook/why"] == "balances"


def test_a_flatten_somebody_asked_for_starts_a_round_until_it_has_a_result(platform: PlatformResource) -> None:
    settings = platform.settings()
    with platform.connect() as connection:
        connection.execute(
            """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment)
               VALUES ('kalshi', 0, 0, 'sandbox')"""
        )
        assert why_due(connection, settings) == ""
        row = connection.execute(
            """INSERT INTO trading.commands (kind, subject, asked_by)
               VALUES ('flatten', '{"execution_id": 5}', 'mara') RETURNING command_id"""
        ).fetchone()
        assert row is not None
        assert why_due(connection, settings) == "flatten"
        finish(connection, row["command_id"], "refused: there is no such trade")
        assert why_due(connection, settings) == ""


def test_a_kill_opens_an_alarm_and_resuming_closes_it(platform: PlatformResource) -> None:
    opened = "SELECT count(*) AS n FROM trading.alerts WHERE dedup_key = 'kill' AND cleared_at IS NULL"
    with platform.connect() as connection:
        set_switch(connection, "kill", "tester")
        alert_sender(dg.build_sensor_context(resources={"platform": platform}))
        assert connection.execute(opened).fetchone() == {"n": 1}
        set_switch(connection, "run", "tester")
        alert_sender(dg.build_sensor_context(resources={"platform": platform}))
        assert connection.execute(opened).fetchone() == {"n": 0}


def test_a_ledger_that_differs_from_the_venue_fails_its_check(platform: PlatformResource) -> None:
    assert ledger_cash_equals_venue_cash(platform).passed
    assert nothing_is_escalated(platform).passed
    with platform.connect() as connection:
        connection.execute(
            """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, detail)
               VALUES ('kalshi', 1000000, 0, 'sandbox', '{"in_flight": 0}')"""
        )
    assert not ledger_cash_equals_venue_cash(platform).passed
