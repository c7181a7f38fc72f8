"""From seconds to cron."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from orchestration.cadences import cadences, cron_every, on_tick
from streams.settings import load_settings


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [(5, "* * * * *"), (60, "* * * * *"), (120, "*/2 * * * *"), (3600, "0 * * * *"), (7200, "0 */2 * * *")],
)
def test_an_interval_becomes_whole_minutes_or_hours(seconds: int, cron: str) -> None:
    assert cron_every(seconds) == cron


def test_the_full_build_keeps_off_the_full_hour() -> None:
    assert cadences(load_settings(warehouse_interval_s=600))["warehouse"] == "3-59/10 * * * *"
    assert cadences(load_settings(warehouse_interval_s=3600))["warehouse"] == "3 * * * *"
    assert cadences(load_settings(full_sweep_hour_utc=7))["full_sweep"] == "15 7 * * *"


@dg.asset
def source() -> None: ...


@dg.asset(deps=[source], automation_condition=on_tick("*/5 * * * *"))
def built() -> None: ...


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


DEFINITIONS = dg.Definitions(assets=[source, built], jobs=[dg.define_asset_job("both", "*")])


class Clock:
    """Evaluates the condition of `built` at moments after noon, as the automation sensor would."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._cursor: Any = None

    def is_due(self, minutes: float) -> bool:
        found = dg.evaluate_automation_conditions(
            DEFINITIONS,
            self._instance,
            asset_selection=dg.AssetSelection.assets(built),
            evaluation_time=NOON + timedelta(minutes=minutes),
            cursor=self._cursor,
        )
        self._cursor = found.cursor
        return found.total_requested == 1


def started_run(instance: dg.DagsterInstance, key: str) -> dg.DagsterRun:
    job = DEFINITIONS.resolve_job_def("both")
    return instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset({dg.AssetKey(key)})
    )


def test_an_asset_is_due_once_at_every_tick_that_has_passed(instance: dg.DagsterInstance) -> None:
    clock = Clock(instance)
    assert [clock.is_due(minutes) for minutes in (1, 4, 5.2, 5.7, 9, 10.1, 10.6, 31, 31.5)] == [
        False, False, True, False, False, True, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["built", "source"])
def test_a_tick_waits_for_a_run_that_builds_the_asset_or_what_it_is_made_from(
    instance: dg.DagsterInstance, key: str
) -> None:
    clock = Clock(instance)
    assert not clock.is_due(1)
    run = started_run(instance, key)
    assert not clock.is_due(6)
    instance.report_run_failed(run)
    assert clock.is_due(6.5)


def test_a_build_that_somebody_asked_for_counts_for_the_tick(instance: dg.DagsterInstance) -> None:
    clock = Clock(instance)
    assert not clock.is_due(1)
    run = started_run(instance, "built")
    assert not clock.is_due(6)
    instance.report_runless_asset_event(dg.AssetMaterialization("built"))
    instance.report_run_canceled(run)
    assert not clock.is_due(6.5)
    assert clock.is_due(10.5)
