"""The recorder's Dagster objects on an ephemeral instance and a real database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from orchestration.defs.maintenance.jobs import upkeep
from orchestration.defs.maintenance.sensors import recorder_watch
from orchestration.defs.recording.assets import RECORDED_KEYS, recorded_tables
from orchestration.defs.recording.checks import no_dead_letters, no_long_open_gaps, recorders_keep_up
from orchestration.defs.recording.jobs import record_streams
from orchestration.defs.recording.sensors import recorder_reports, stream_supervisor
from orchestration.resources import PlatformResource
from orchestration.runtime.kept_runs.recorders import alert_on_silence
from orchestration.runtime.orphaned_runs import end_orphaned_runs
from orchestration.tags import SHARD_TAG
from streams.storage.database import connect
from streams.storage.partitions import drop_old_partitions, ensure_partitions, partition_names
from streams.storage.store.leases import acquire, process_holder, release

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def platform(database: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> PlatformResource:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    return PlatformResource()


def tick(instance: dg.DagsterInstance, platform: PlatformResource) -> list[dg.RunRequest]:
    context = dg.build_sensor_context(instance=instance, resources={"platform": platform})
    data = stream_supervisor.evaluate_tick(context)
    return list(data.run_requests or [])


def started_run(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    run = instance.create_run_for_job(record_streams, tags=tags)
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, record_streams.name), run_id=run.run_id
    )
    return run


def test_the_supervisor_starts_a_shard_without_run_key_and_never_two(
    instance: dg.DagsterInstance, platform: PlatformResource, database: str
) -> None:
    requests = tick(instance, platform)
    assert [(r.run_key, r.tags[SHARD_TAG]) for r in requests] == [(None, "0")]
    instance.create_run_for_job(record_streams, tags={SHARD_TAG: "0"})
    assert tick(instance, platform) == []
    with connect(database) as connection:
        assert acquire(connection, "shard:0", process_holder(), "someone", 60)
    assert tick(instance, platform) == []


def test_a_run_whose_lease_died_is_failed_and_another_requested(
    instance: dg.DagsterInstance, platform: PlatformResource, database: str
) -> None:
    run = started_run(instance, {SHARD_TAG: "0"})
    with connect(database) as connection:
        assert acquire(connection, "shard:0", "elsewhere:1:1.0", run.run_id, -1)
    assert len(tick(instance, platform)) == 1
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE


def test_closed_segments_are_reported_once(
    instance: dg.DagsterInstance, platform: PlatformResource, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO raw.segments (shard, run_id, path, opened_at, closed_at, frames, deltas)
               VALUES (0, 'r', '/a', now(), now(), 10, 7)"""
        )
    context = dg.build_sensor_context(instance=instance, resources={"platform": platform})
    result = recorder_reports(context)
    assert isinstance(result, dg.SensorResult)
    assert [event.asset_key for event in result.asset_events] == RECORDED_KEYS
    later = dg.build_sensor_context(instance=instance, cursor=result.cursor, resources={"platform": platform})
    assert isinstance(recorder_reports(later), dg.SkipReason)


def test_every_recorded_table_states_its_grain() -> None:
    assert all(spec.description and spec.group_name == "recording" for spec in recorded_tables)


def test_the_checks_tell_gaps_letters_and_silence(platform: PlatformResource, database: str) -> None:
    assert no_long_open_gaps(platform).passed
    assert no_dead_letters(platform).passed
    assert not recorders_keep_up(platform).passed
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO raw.coverage (shard, venue, market_id, state, cause, started_at, run_id)
               VALUES (0, 'kalshi', 'A', 'gap', 'silence', now() - interval '5 minutes', 'r')"""
        )
        connection.execute(
            "INSERT INTO raw.dead_letters (received_at, venue, source, reason, raw) VALUES (now(), 'k', 's', 'no', '')"
        )
    assert not no_long_open_gaps(platform).passed
    assert no_dead_letters(platform).metadata["latest_reason"].value == "no"


def test_a_silent_recorder_raises_one_alert_that_clears_when_it_is_back(
    platform: PlatformResource, database: str
) -> None:
    with connect(database) as connection:
        assert acquire(connection, "shard:0", "elsewhere:1:1.0", "r", 1)
        connection.execute("UPDATE trading.leases SET heartbeat_at = now() - interval '5 minutes'")
        connection.execute("UPDATE trading.leases SET expires_at = heartbeat_at")
        for _ in range(2):
            recorder_watch(dg.build_sensor_context(resources={"platform": platform}))
        alerts = connection.execute(
            "SELECT kind, cleared_at FROM trading.alerts WHERE kind = 'stale_recorder'"
        ).fetchall()
        assert [(row["kind"], row["cleared_at"]) for row in alerts] == [("stale_recorder", None)]
        assert acquire(connection, "shard:0", process_holder(), "s", 60)
        recorder_watch(dg.build_sensor_context(resources={"platform": platform}))
        row = connection.execute(
            "SELECT count(*) AS n FROM trading.alerts WHERE kind = 'stale_recorder' AND cleared_at IS NULL"
        ).fetchone()
        assert row is not None
        assert row["n"] == 0


@pytest.mark.parametrize(("watched_s", "alerts"), [(30.0, 0), (70.0, 1)])
def test_a_recorder_that_ended_as_told_is_silent_once_this_start_has_waited_for_it(
    database: str, watched_s: float, alerts: int
) -> None:
    with connect(database) as connection:
        lease = acquire(connection, "shard:0", "elsewhere:1:1.0", "r", 1)
        assert lease is not None
        release(connection, lease)
        connection.execute("UPDATE trading.leases SET heartbeat_at = now() - interval '8 hours'")
        alert_on_silence(connection, 1, 60.0, watched_s)
        row = connection.execute("SELECT count(*) AS n FROM trading.alerts").fetchone()
        assert row is not None
        assert row["n"] == alerts


def test_runs_without_a_live_lease_are_ended_at_the_start(instance: dg.DagsterInstance, database: str) -> None:
    dead = started_run(instance, {"crossbook/slot": "batch"})
    living = started_run(instance, {"crossbook/slot": "recorder"})
    with connect(database) as connection:
        assert acquire(connection, "shard:0", process_holder(), living.run_id, 60)
        assert end_orphaned_runs(instance, connection) == [dead.run_id]
        assert end_orphaned_runs(instance, connection) == []


def test_partitions_are_made_ahead_and_dropped_after_the_retention(platform: PlatformResource, database: str) -> None:
    today = datetime.now(UTC).date()
    with connect(database) as connection:
        old = ensure_partitions(connection, today - timedelta(days=40), days_ahead=0)
        assert len(old) == 5
        assert drop_old_partitions(connection, today, 30) == sorted(old)
    assert upkeep.execute_in_process(resources={"platform": platform}).success
    with connect(database) as connection:
        assert f"quotes_{today + timedelta(days=3):%Y%m%d}" in partition_names(connection)


def test_the_recorder_job_drains_when_its_run_is_terminated(database: str, tmp_path: Path) -> None:
    script = (
        "import dagster as dg\n"
        "from orchestration.defs.recording.jobs import record_streams\n"
        "from orchestration.resources import PlatformResource\n"
        "with dg.DagsterInstance.ephemeral() as instance:\n"
        "    record_streams.execute_in_process(instance=instance, resources={'platform': PlatformResource()})\n"
    )
    environment = {**os.environ, "DATABASE_URL": database, "CROSSBOOK_HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 150
        with connect(database) as connection:
            while not connection.execute("SELECT 1 FROM raw.segments WHERE committed_offset > 8").fetchone():
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
            process.terminate()
            _, errors = process.communicate(timeout=90)
            assert b"DagsterExecutionInterruptedError" in errors
            lease = connection.execute("SELECT released_at, run_id FROM trading.leases").fetchone()
            assert lease is not None
            assert lease["released_at"] is not None
            assert connection.execute("SELECT 1 FROM raw.segments WHERE closed_at IS NULL").fetchone() is None
    finally:
        process.kill()
