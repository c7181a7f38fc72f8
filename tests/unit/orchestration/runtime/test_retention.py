"""Dagster's past is forgotten after its time; what the present needs is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.runtime.retention import Retention, forget_the_past


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@dg.asset
def price() -> int:
    return 1


@dg.asset_check(asset=price)
def is_positive() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def day() -> int:
    return 2


@dg.asset
def broken() -> int:
    raise ValueError("no price")


def run(instance: dg.DagsterInstance, *assets: dg.AssetsDefinition, partition: str | None = None) -> str:
    checks = [is_positive] if price in assets else []
    result = dg.materialize([*assets, *checks], instance=instance, partition_key=partition, raise_on_error=False)
    return result.run_id


def forget(instance: dg.DagsterInstance, *, succeeded: datetime, failed: datetime, runs_max: int = 2000) -> int:
    return forget_the_past(instance, Retention(succeeded, failed, succeeded, runs_max)).runs


def later(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def known(instance: dg.DagsterInstance) -> set[str]:
    return {found.run_id for found in instance.get_runs()}


def output_folders(instance: dg.DagsterInstance) -> set[str]:
    return {path.parent.name for path in Path(instance.storage_directory()).glob("*/compute_logs")}


def test_ended_runs_go_with_their_events_and_their_output(instance: dg.DagsterInstance) -> None:
    first, second = run(instance, price), run(instance, price)
    assert output_folders(instance) == {first, second}
    assert forget(instance, succeeded=later(1), failed=later(1)) == 1
    assert known(instance) == {second}
    assert instance.all_logs(first) == []
    assert output_folders(instance) == {second}


def test_nothing_goes_before_its_time(instance: dg.DagsterInstance) -> None:
    run(instance, price)
    run(instance, price)
    assert forget(instance, succeeded=later(-1), failed=later(-1)) == 0
    assert len(known(instance)) == 2


def test_the_last_run_of_each_asset_and_runs_of_partitions_are_kept(instance: dg.DagsterInstance) -> None:
    run(instance, price)
    last = run(instance, price)
    of_partitions = {run(instance, day, partition="a"), run(instance, day, partition="b")}
    forget(instance, succeeded=later(1), failed=later(1))
    assert known(instance) == {last, *of_partitions}
    event = instance.get_latest_materialization_event(price.key)
    assert event is not None
    assert event.run_id == last
    assert instance.get_materialized_partitions(day.key) == {"a", "b"}


def test_failed_runs_are_kept_longer(instance: dg.DagsterInstance) -> None:
    run(instance, broken)
    failed = run(instance, broken)
    run(instance, price)
    run(instance, price)
    assert forget(instance, succeeded=later(1), failed=later(-1)) == 1
    assert failed in known(instance)
    assert forget(instance, succeeded=later(1), failed=later(1)) == 1


def test_a_run_that_has_not_ended_is_kept(instance: dg.DagsterInstance) -> None:
    started = instance.create_run_for_job(dg.job(name="waits")(lambda: None), status=dg.DagsterRunStatus.STARTED)
    assert forget(instance, succeeded=later(1), failed=later(1)) == 0
    assert known(instance) == {started.run_id}


def test_one_call_does_bounded_work_and_the_next_goes_on(instance: dg.DagsterInstance) -> None:
    for _ in range(5):
        run(instance, price)
    counts = [forget(instance, succeeded=later(1), failed=later(1), runs_max=3) for _ in range(3)]
    assert counts == [3, 1, 0]


def test_pages_of_runs_that_are_kept_do_not_hide_the_older_ones(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.runtime.retention._PAGE", 2)
    for partition in ("a", "b", "a", "b"):
        run(instance, day, partition=partition)
    for _ in range(6):
        run(instance, price)
    assert forget(instance, succeeded=later(1), failed=later(1)) == 5
    assert len(known(instance)) == 5


def test_the_newest_result_of_a_check_is_kept(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        run(instance, price)
    retention = Retention(later(24 * 365), later(1), later(1))
    assert forget_the_past(instance, retention).check_results == 2
    key = dg.AssetCheckKey(price.key, "is_positive")
    assert len(instance.event_log_storage.get_asset_check_execution_history(key, limit=9)) == 1


def test_a_folder_that_is_no_runs_is_left_alone(instance: dg.DagsterInstance) -> None:
    run(instance, price)
    strange = Path(instance.storage_directory()) / "notes" / "compute_logs"
    strange.mkdir(parents=True)
    forget(instance, succeeded=later(1), failed=later(1))
    assert strange.exists()
