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
from orchestration.defs.signals import sensors
from orchestration.defs.signals.sensors import spread_sensor
from orchestration.defs.trading import jobs
from orchestration.defs.trading.checks import ledger_cash_equals_venue_cash, nothing_is_escalated
from orchestration.defs.trading.sensors import settlement_sensor
from orchestration.execution.armed.account_lease import account_name
from orchestration.execution.armed.untaken_signals import untaken_signals
from orchestration.execution.armed.version import trading_version
from orchestration.execution.settlement_cycle import why_due
from orchestration.execution.trading_context import TradingContext
from orchestration.resources import PlatformResource
from orchestration.tags import SIGNAL_TAG, STATE_TAG
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.commands import finish
from streams.storage.store.executions import note_event
from streams.storage.store.leases import acquire, heartbeat, process_holder, release
from streams.storage.store.risk import current_switch, set_switch


@pytest.fixture
def platform(database: str, monkeypatch: pytest.MonkeyPatch) -> PlatformResource:
    monkeypatch.setenv("DATABASE_URL", database)
    return PlatformResource()


def seed_signal(connection: Connection, group: str, *, is_tradable: bool = True, kind: str = "ladder") -> int:
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
           VALUES (%s, %s, 't', %s, '[[]]', %s, 'sandbox', now()) ON CONFLICT DO NOTHING""",
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


def tick(instance: dg.DagsterInstance, platform: PlatformResource, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, resources={"platform": platform}, cursor=cursor)
    result = spread_sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def asked(result: dg.SensorResult) -> list[str | None]:
    assert all(request.run_key is None for request in result.run_requests or [])
    return [request.job_name for request in result.run_requests or []]


def test_the_spread_sensor_arms_a_run_once(platform: PlatformResource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "_WAIT_S", 0.0)
    with dg.instance_for_test() as instance:
        first = tick(instance, platform)
        assert asked(first) == ["hedged_trade"]
        instance.create_run_for_job(jobs.hedged_trade)
        assert asked(tick(instance, platform)) == []  # it is on its way


def test_the_spread_sensor_replaces_an_armed_run_of_another_version(
    platform: PlatformResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_WAIT_S", 0.0)
    with dg.instance_for_test() as instance, platform.connect() as connection:
        run = instance.create_run_for_job(jobs.hedged_trade)
        wanted = trading_version(platform.settings())
        lease = acquire(connection, account_name("live"), process_holder(), run.run_id, 60.0)
        assert lease is not None
        heartbeat(connection, lease, {"version": wanted, "armed_s": 5})
        assert asked(tick(instance, platform)) == []
        heartbeat(connection, lease, {"version": "another", "armed_s": 5})
        assert asked(tick(instance, platform)) == ["hedged_trade"]


def test_a_hedge_that_was_left_in_the_middle_gets_a_settlement_cycle_at_once(
    platform: PlatformResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_WAIT_S", 0.0)
    with dg.instance_for_test() as instance, platform.connect() as connection:
        instance.create_run_for_job(jobs.hedged_trade)
        connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
                   contracts_e6, started_at, updated_at, detail)
               SELECT signal_id, 1, group_id, environment, 'live', 'OPENING', 1, 1, 1, now(), now(),
                   '{"plan": {"legs": [{"venue": "kalshi", "market_id": "KXg1"}]}}' FROM trading.signals
               WHERE signal_id = %s""",
            (seed_signal(connection, "g1"),),
        )
        lease = acquire(connection, "market:kalshi:KXg1", process_holder(), "run", 60.0)
        assert lease is not None
        assert "settle_trades" not in asked(tick(instance, platform, "9"))
        release(connection, lease)
        assert "settle_trades" in asked(tick(instance, platform, "9"))
        instance.create_run_for_job(jobs.settle_trades)
        assert "settle_trades" not in asked(tick(instance, platform, "9"))


def test_each_hedge_gets_a_run_and_no_more_than_four_at_a_time(
    platform: PlatformResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_WAIT_S", 0.0)
    with dg.instance_for_test() as instance, platform.connect() as connection:
        cursor = tick(instance, platform).cursor
        signals = [seed_signal(connection, f"g{number}") for number in range(6)]
        for signal in signals:
            connection.execute(
                """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch,
                       edge_usd, contracts_e6, started_at, updated_at)
                   SELECT signal_id, 1, group_id, environment, 'live', 'OPENING', 1, 1, 1, now(), now()
                   FROM trading.signals
                   WHERE signal_id = %s""",
                (signal,),
            )
        first = tick(instance, platform, cursor)
        hedges = [request for request in first.run_requests or [] if request.job_name == "hedge"]
        assert [request.tags[SIGNAL_TAG] for request in hedges] == [str(signal) for signal in signals[:4]]
        assert {request.tags[STATE_TAG] for request in hedges} == {"OPENING"}
        for request in hedges:
            instance.create_run_for_job(jobs.hedge, run_config=request.run_config, tags=request.tags)
        assert "hedge" not in asked(tick(instance, platform, first.cursor))
        for run in instance.get_runs(dg.RunsFilter(job_name="hedge")):
            instance.report_run_canceled(run)
        later = tick(instance, platform, first.cursor)
        assert [r.tags[SIGNAL_TAG] for r in later.run_requests or [] if r.job_name == "hedge"] == [
            str(signal) for signal in signals[4:]
        ]


def test_a_signal_that_nobody_takes_gets_a_run_that_trades_it(
    platform: PlatformResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_WAIT_S", 0.0)
    with dg.instance_for_test() as instance, platform.connect() as connection:
        signal = seed_signal(connection, "a")
        age = "UPDATE trading.signals SET opened_at = %s"
        connection.execute(age, (datetime.now(UTC) + timedelta(minutes=1),))  # young, however slow the machine is
        assert "hedge" not in asked(tick(instance, platform))
        connection.execute(age, (datetime.now(UTC) - timedelta(seconds=2),))
        requests = [r for r in tick(instance, platform).run_requests or [] if r.job_name == "hedge"]
        assert [request.run_config["ops"]["follow_hedge"]["config"] for request in requests] == [{"signal_id": signal}]
        instance.create_run_for_job(jobs.hedge, run_config=requests[0].run_config, tags=requests[0].tags)
        assert "hedge" not in asked(tick(instance, platform))  # it has its run


@pytest.mark.parametrize(("state", "reason"), [("pause", "paused"), ("kill", "killed"), ("reduce", "reducing")])
def test_signals_are_refused_once_each_while_the_switch_is_not_run(database: str, state: str, reason: str) -> None:
    with connect(database) as connection:
        seed_signal(connection, "a")
        seed_signal(connection, "b", is_tradable=False, kind="event")
        set_switch(connection, state, "tester")  # type: ignore[arg-type]
        for _ in range(3):
            assert untaken_signals(connection, Settings(venues="sandbox"), 2, 0.0) == []
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


def run_hedge(platform: PlatformResource, instance: dg.DagsterInstance, **config: int) -> dg.ExecuteInProcessResult:
    return jobs.hedge.execute_in_process(
        run_config={"ops": {"follow_hedge": {"config": config}}},
        resources={"platform": platform},
        instance=instance,
        raise_on_error=False,
    )


def test_a_hedge_nobody_took_is_traded_by_its_run(platform: PlatformResource, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def nobody(settings: Settings, connection: Connection) -> AsyncIterator[TradingContext]:
        yield TradingContext(settings, "live", {})

    monkeypatch.setattr(jobs, "open_trading_context", nobody)
    with platform.connect() as connection:
        signal = seed_signal(connection, "a")
    with dg.instance_for_test() as instance:
        result = run_hedge(platform, instance, signal_id=signal)
        assert result.success
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.tags[STATE_TAG] == "refused"
        cycle_result = jobs.settle_trades.execute_in_process(resources={"platform": platform}, instance=instance)
        assert cycle_result.success
    with platform.connect() as connection:
        assert reasons(connection) == ["not_tradable"]  # its market has no terms


@pytest.mark.parametrize(("state", "is_green"), [("HEDGED", True), ("FLAT", True), ("ESCALATED", False)])
def test_a_run_ends_green_or_red_as_its_hedge_does(platform: PlatformResource, state: str, *, is_green: bool) -> None:
    with platform.connect() as connection:
        signal = seed_signal(connection, "a")
        row = connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
                   contracts_e6, expected_pnl_e6, detail, started_at, updated_at)
               VALUES (%s, 1, 'a', 'sandbox', 'live', %s, 1, 1, 1, 1580000, '{"planned_profit_e6": 1600000}',
               now(), now())
               RETURNING execution_id""",
            (signal, state),
        ).fetchone()
        assert row is not None
        note_event(connection, row["execution_id"], "the second leg is bought")
    with dg.instance_for_test() as instance:
        result = run_hedge(platform, instance, signal_id=signal, execution_id=row["execution_id"])
        assert result.success is is_green
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.tags[STATE_TAG] == state
        logged = [record.user_message for record in instance.all_logs(result.run_id)]
        assert any(message.endswith(f"{state}: the second leg is bought") for message in logged)
        made = instance.get_latest_materialization_event(dg.AssetKey(["trading", "executions"]))
        assert made is not None
        assert made.asset_materialization is not None
        metadata = made.asset_materialization.metadata
        assert [metadata[f"{name}_usd"].value for name in ("planned", "locked", "settled")] == [
            "1.600000", "1.580000", "not yet",
        ]  # fmt: skip


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
            """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, read_at)
               VALUES ('kalshi', 0, 0, 'sandbox', now())"""
        )
        assert why_due(connection, settings) == ""
        row = connection.execute(
            """INSERT INTO trading.commands (kind, subject, asked_by, asked_at)
               VALUES ('flatten', '{"execution_id": 5}', 'mara', now()) RETURNING command_id"""
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
            """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, detail, read_at)
               VALUES ('kalshi', 1000000, 0, 'sandbox', '{"in_flight": 0}', now())"""
        )
    assert not ledger_cash_equals_venue_cash(platform).passed
