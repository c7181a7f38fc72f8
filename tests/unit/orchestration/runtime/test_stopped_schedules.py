"""A schedule that somebody stopped stays stopped when a condition takes over its work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData

from orchestration.runtime.stopped_schedules import carry_stops


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def remember(instance: dg.DagsterInstance, schedule: str, status: InstigatorStatus) -> None:
    location = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="crossbook")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), schedule)
    data = ScheduleInstigatorData("* * * * *")
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SCHEDULE, status, data))


def states(instance: dg.DagsterInstance) -> dict[str, str]:
    return {state.instigator_name: state.status.value for state in instance.all_instigator_state()}


def test_the_stop_of_a_schedule_that_is_gone_goes_to_its_successor_once(instance: dg.DagsterInstance) -> None:
    remember(instance, "marts_schedule", InstigatorStatus.STOPPED)
    remember(instance, "warehouse_schedule", InstigatorStatus.DECLARED_IN_CODE)
    remember(instance, "upkeep_schedule", InstigatorStatus.STOPPED)
    assert carry_stops(instance) == ["default_automation_condition_sensor"]
    assert states(instance) == {"default_automation_condition_sensor": "STOPPED", "upkeep_schedule": "STOPPED"}
    assert carry_stops(instance) == []


def test_the_sensor_that_was_known_before_is_stopped_as_well(instance: dg.DagsterInstance) -> None:
    remember(instance, "default_automation_condition_sensor", InstigatorStatus.DECLARED_IN_CODE)
    remember(instance, "marts_schedule", InstigatorStatus.STOPPED)
    carry_stops(instance)
    assert states(instance) == {"default_automation_condition_sensor": "STOPPED"}
