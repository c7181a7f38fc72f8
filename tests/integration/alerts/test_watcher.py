"""Each kind raised by breaking the thing itself, told at a local server, and over by itself when it is mended."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import SerializableErrorInfo

from app.queries.alerts import load_inbox
from orchestration.alerting.sender import send_alerts
from orchestration.definitions import defs
from orchestration.defs.alerting import sensors
from orchestration.defs.alerting.sensors import alert_watcher
from orchestration.resources import PlatformResource
from orchestration.runtime.failures import alert_facts, retries
from orchestration.runtime.failures.alert_facts import WAREHOUSE
from orchestration.runtime.orphaned_runs import end_orphaned_runs
from streams.alerting.courier import Rests
from streams.market.errors import TransientError
from streams.settings import load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerting.delivery import load_look_ages_s
from tests.support.alert_channels import local_channel, refused_port

SWEEPS = """INSERT INTO raw.discovery_sweeps (venue, kind, started_at, ended_at)
    VALUES ('kalshi', 'full', now(), now()), ('polymarket', 'full', now(), now())"""
HOUR = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1))


class Broken:
    """What the definitions below do; a test breaks and mends it."""

    fails = False
    check_passes = True


@dg.op
def work() -> None:
    """Fail, or not."""
    if Broken.fails:
        raise ValueError("the thing is broken")


@dg.job
def some_work() -> None:
    """One op."""
    work()


@dg.asset(freshness_policy=HOUR)
def thing() -> None:
    """An asset that must be fresh."""
    if Broken.fails:
        raise ValueError("the asset is broken")


@dg.asset(key=["analytics", "figures"], freshness_policy=HOUR)
def figures() -> None:
    """A mart that must be fresh."""


@dg.asset_check(asset=thing)
def is_good() -> dg.AssetCheckResult:
    """Pass, or not."""
    return dg.AssetCheckResult(passed=Broken.check_passes)


LISTED, MODEL = dg.AssetKey("listed"), dg.AssetKey("model")


@dg.multi_asset(specs=[dg.AssetSpec(LISTED)], check_specs=[dg.AssetCheckSpec("is_whole", asset=LISTED)])
def listings() -> Iterator[dg.MaterializeResult]:
    """An asset that evaluates a check of its own while it is made."""
    result = dg.AssetCheckResult(passed=Broken.check_passes, check_name="is_whole")
    yield dg.MaterializeResult(LISTED, check_results=[result])


@dg.multi_asset(
    name=WAREHOUSE, specs=[dg.AssetSpec(MODEL)], check_specs=[dg.AssetCheckSpec("not_null_minute", asset=MODEL)]
)
def models() -> Iterator[dg.MaterializeResult]:
    """A model of the warehouse with a data test."""
    result = dg.AssetCheckResult(passed=Broken.check_passes, check_name="not_null_minute")
    yield dg.MaterializeResult(MODEL, check_results=[result])


@dg.sensor(job=some_work, default_status=dg.DefaultSensorStatus.RUNNING)
def must_run() -> dg.SkipReason:
    """Do nothing."""
    return dg.SkipReason("nothing")


@dg.sensor(job=some_work)
def need_not_run() -> dg.SkipReason:
    """Do nothing."""
    return dg.SkipReason("nothing")


DEFINITIONS = dg.Definitions(
    assets=[thing, figures, listings, models],
    asset_checks=[is_good],
    jobs=[some_work],
    sensors=[must_run, need_not_run],
)


@pytest.fixture(autouse=True)
def well() -> None:
    Broken.fails, Broken.check_passes = False, True


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@pytest.fixture
def platform(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformResource:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.setattr(sensors, "_LOOKING_SINCE", time.monotonic() - 1e6)
    with connect(database) as connection:
        connection.execute(SWEEPS)
    return PlatformResource()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def watch(instance: dg.DagsterInstance, platform: PlatformResource, definitions: dg.Definitions = DEFINITIONS) -> None:
    context = dg.build_sensor_context(
        instance=instance, repository_def=definitions.get_repository_def(), resources={"platform": platform}
    )
    alert_watcher(context)


def told(connection: Connection, tmp_path: Path) -> list[str]:
    """What arrives at a channel when the sender has its turn."""
    with local_channel() as local:
        send_alerts(connection, load_settings(home=tmp_path, alert_webhook_url=local.webhook), Rests())
    return [f"{received['kind']}: {received['message']}" for received in local.received]


def open_kinds(connection: Connection) -> list[str]:
    return [alert.kind for alert in load_inbox(connection)]


def test_the_definitions_of_the_project_are_looked_at(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        watch(instance, platform, defs())
    assert "watcher" in load_look_ages_s(connection)


def test_a_check_that_its_asset_evaluates_is_told_and_a_data_test_of_the_warehouse_is_not(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    Broken.check_passes = False
    dg.materialize([listings, models], instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == ["check_failed"]
    (message,) = told(connection, tmp_path)
    assert message == "check_failed: The check listed: is_whole does not pass."
    Broken.check_passes = True
    dg.materialize([listings], instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == []


def test_a_job_that_fails_is_told_until_a_later_run_succeeds(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    Broken.fails = True
    some_work.execute_in_process(instance=instance, raise_on_error=False)
    some_work.execute_in_process(instance=instance, raise_on_error=False)
    for _ in range(3):
        watch(instance, platform)
    (message,) = told(connection, tmp_path)
    assert message.startswith("run_failed: some_work: run ")
    assert "ValueError: the thing is broken" in message
    Broken.fails = False
    some_work.execute_in_process(instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == []


def test_a_step_that_is_begun_anew_is_told_once_and_after_the_last_try(
    instance: dg.DagsterInstance,
    platform: PlatformResource,
    connection: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "WAITS_S", (0.0, 0.0, 0.0))
    told_before: list[int] = []

    @dg.op
    @retries.retried
    def meets_a_venue_that_is_away() -> None:
        watch(instance, platform)
        told_before.append(len(load_inbox(connection)))
        raise TransientError("no connection")

    @dg.job
    def some_discovery() -> None:
        meets_a_venue_that_is_away()

    some_discovery.execute_in_process(instance=instance, raise_on_error=False)
    assert told_before == [0, 0, 0, 0]
    watch(instance, platform)
    watch(instance, platform)
    (message,) = told(connection, tmp_path)
    assert message.startswith("run_failed: some_discovery: run ")
    assert "TransientError: no connection" in message


def test_a_run_whose_process_is_gone_is_told(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    run = instance.create_run_for_job(some_work)
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, some_work.name), run_id=run.run_id
    )
    watch(instance, platform)
    assert open_kinds(connection) == []
    end_orphaned_runs(instance, connection)
    watch(instance, platform)
    (message,) = told(connection, tmp_path)
    assert "its process did not survive" in message


def test_an_asset_run_is_made_good_by_its_assets_being_made(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    Broken.fails = True
    everything = DEFINITIONS.resolve_implicit_global_asset_job_def()
    everything.execute_in_process(instance=instance, asset_selection=[thing.key], raise_on_error=False)
    watch(instance, platform)
    (message,) = told(connection, tmp_path)
    assert message.startswith("run_failed: thing: run ")
    Broken.fails = False
    dg.materialize([figures], instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == ["run_failed"], "another asset was made"
    dg.materialize([thing], instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == []


def test_a_check_that_fails_is_told_until_it_passes(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    Broken.check_passes = False
    dg.materialize([thing, is_good], instance=instance, raise_on_error=False)
    watch(instance, platform)
    assert told(connection, tmp_path) == ["check_failed: The check thing: is_good does not pass."]
    Broken.check_passes = True
    dg.materialize([thing, is_good], instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == []


def test_a_run_of_checks_alone_is_made_good_by_these_checks_alone(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection
) -> None:
    everything = DEFINITIONS.resolve_implicit_global_asset_job_def()
    checks = everything.get_subset(asset_selection=set(), asset_check_selection={is_good.check_key})
    run = dg.DagsterRun(
        job_name=everything.name,
        run_id="01234567-89ab-cdef-0123-456789abcdef",
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset(),
        asset_check_selection=frozenset({is_good.check_key}),
    )
    instance.report_run_failed(instance.add_run(run))
    watch(instance, platform)
    (alert,) = load_inbox(connection)
    assert alert.message.startswith("thing: is_good: run 01234567 ")
    everything.execute_in_process(instance=instance, asset_selection=[figures.key])
    watch(instance, platform)
    assert open_kinds(connection) == ["run_failed"], "an asset was made, and nothing was checked"
    checks.execute_in_process(instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == []


def test_work_that_fails_again_and_again_pushes_no_other_out(
    instance: dg.DagsterInstance,
    platform: PlatformResource,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alert_facts, "_RUNS_MAX", 2)
    Broken.fails = True
    some_work.execute_in_process(instance=instance, raise_on_error=False)
    for _ in range(4):
        everything = DEFINITIONS.resolve_implicit_global_asset_job_def()
        everything.execute_in_process(instance=instance, asset_selection=[thing.key], raise_on_error=False)
    watch(instance, platform)
    assert sorted(alert.subject for alert in load_inbox(connection)) == ["run_failed:some_work", "run_failed:thing"]


def test_what_is_not_made_in_time_is_told_until_it_is_made(
    instance: dg.DagsterInstance,
    platform: PlatformResource,
    connection: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dg.materialize([thing, figures], instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == []
    later = time.time() + 3700
    monkeypatch.setattr(alert_facts.time, "time", lambda: later)
    watch(instance, platform)
    assert sorted(told(connection, tmp_path)) == [
        "stale_asset: thing was made last 62 minutes ago; it should be every 60 minutes.",
        "stale_mart: analytics/figures was made last 62 minutes ago; it should be every 60 minutes.",
    ]
    monkeypatch.undo()
    monkeypatch.setenv("DATABASE_URL", platform_address(connection))
    dg.materialize([thing, figures], instance=instance)
    watch(instance, platform)
    assert open_kinds(connection) == []


def platform_address(connection: Connection) -> str:
    return connection.info.dsn + f" password={connection.info.password}"


def _state(instance: dg.DagsterInstance, sensor: str, status: InstigatorStatus) -> InstigatorState:
    location = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="crossbook")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), sensor)
    state = InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData())
    known = instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())
    if known is None:
        instance.add_instigator_state(state)
    else:
        instance.update_instigator_state(known.with_status(status))
    return state


def test_a_sensor_that_must_run_and_is_stopped_is_told_until_it_runs(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    _state(instance, "must_run", InstigatorStatus.STOPPED)
    _state(instance, "need_not_run", InstigatorStatus.STOPPED)
    watch(instance, platform)
    assert told(connection, tmp_path) == ["sensor_stopped: must_run is stopped, and must run."]
    _state(instance, "must_run", InstigatorStatus.RUNNING)
    watch(instance, platform)
    assert open_kinds(connection) == []


def test_a_sensor_that_fails_each_time_is_told_and_one_that_failed_once_is_not(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    state = _state(instance, "must_run", InstigatorStatus.RUNNING)

    def tick(status: TickStatus, at: float) -> None:
        error = SerializableErrorInfo("KeyError: 'x'\n", [], "KeyError") if status is TickStatus.FAILURE else None
        instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name="must_run",
                instigator_type=InstigatorType.SENSOR,
                status=status,
                timestamp=at,
                error=error,
                selector_id=state.selector_id,
            )
        )

    tick(TickStatus.SKIPPED, 1.0)
    tick(TickStatus.FAILURE, 2.0)
    watch(instance, platform)
    assert open_kinds(connection) == []
    tick(TickStatus.FAILURE, 3.0)
    tick(TickStatus.FAILURE, 4.0)
    watch(instance, platform)
    assert told(connection, tmp_path) == ["sensor_failed: must_run fails each time it is evaluated: KeyError: 'x'."]
    tick(TickStatus.SKIPPED, 5.0)
    watch(instance, platform)
    assert open_kinds(connection) == []


# -- what the tables say -----------------------------------------------------------------------------------------------

RECORDER = """INSERT INTO trading.leases (name, holder, run_id, epoch, acquired_at, heartbeat_at, expires_at)
    VALUES ('shard:0', 'h', 'r', 1, now() - interval '1 hour', now(), now() + interval '1 hour')"""
COVERED = """INSERT INTO raw.coverage (shard, venue, market_id, state, cause, started_at, run_id)
    VALUES (0, 'kalshi', 'KX', 'covered', '', now() - interval '1 hour', 'r')"""
QUOTE = """INSERT INTO raw.quotes (received_at, venue, market_id, state)
    VALUES (now() - interval '{}', 'kalshi', 'KX', 'live')"""
SWEPT = "UPDATE raw.discovery_sweeps SET ended_at = now() - interval '{}' WHERE venue = 'kalshi'"
LETTERS = """INSERT INTO raw.dead_letters (received_at, venue, source, reason, raw)
    SELECT now(), 'kalshi', 'socket', 'no JSON', 'x' FROM generate_series(1, 20)"""
SEGMENT = """INSERT INTO raw.segments (shard, run_id, path, opened_at, frames, venue_frames)
    VALUES (0, 'r', '{0}', now(), {0}, '{{"kalshi": {0}, "polymarket": 1000000}}')"""
BALANCE = """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, detail, read_at)
    VALUES ('kalshi', {}, 5000000, 'sandbox', '{{"in_flight": 0}}', now())"""
UNTOLD = """INSERT INTO trading.alerts (kind, severity, dedup_key, message, state, raised_at)
    VALUES ('kill', 'critical', 'kill', 'Killed.', 'failed', now() - interval '11 minutes')"""


@pytest.mark.parametrize(
    ("broken", "kind", "mended"),
    [
        ([QUOTE.format("3 minutes"), RECORDER, COVERED], "silent_venue", [QUOTE.format("1 second")]),
        ([SWEPT.format("11 minutes")], "discovery_behind", [SWEPT.format("1 second")]),
        ([SEGMENT.format(1000), LETTERS], "dead_letters", [SEGMENT.format(9000)]),
        ([BALANCE.format(5010000), BALANCE.format(5020000)], "ledger", [BALANCE.format(5000000)] * 2),
        ([UNTOLD], "undelivered", ["UPDATE trading.alerts SET state = 'sent' WHERE kind = 'kill'"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_tables_say_is_told_and_is_over_when_they_say_otherwise(
    platform: PlatformResource,
    instance: dg.DagsterInstance,
    connection: Connection,
    tmp_path: Path,
    broken: list[str],
    kind: str,
    mended: list[str],
) -> None:
    for statement in broken[:-1]:
        connection.execute(statement)
        watch(instance, platform)
    assert kind not in open_kinds(connection)
    connection.execute(broken[-1])
    watch(instance, platform)
    watch(instance, platform)
    assert [message.split(":")[0] for message in told(connection, tmp_path) if not message.startswith("kill")] == [kind]
    for statement in mended:
        connection.execute(statement)
    watch(instance, platform)
    assert kind not in open_kinds(connection)


def test_an_error_that_holds_a_secret_is_told_without_it(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, tmp_path: Path
) -> None:
    load_settings(home=tmp_path, alert_webhook_url=f"http://127.0.0.1:{refused_port()}/sesame-opens-it")

    @dg.op
    def says() -> None:
        raise ValueError("cannot reach http://h/sesame-opens-it")

    @dg.job
    def some_work_that_says() -> None:
        says()

    some_work_that_says.execute_in_process(instance=instance, raise_on_error=False)
    watch(instance, platform)
    (alert,) = load_inbox(connection)
    assert "cannot reach" in alert.message
    assert "sesame" not in alert.message
