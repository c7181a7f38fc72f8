"""A stop that somebody gave to a schedule outlives the schedule: the sensor that took over its work keeps it."""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData

_SUCCESSORS = {
    "marts_schedule": "default_automation_condition_sensor",
    "warehouse_schedule": "warehouse_automation_sensor",
}


def carry_stops(instance: dg.DagsterInstance) -> list[str]:
    """Stop the successor of each schedule that is gone and was stopped; return the names of the stopped sensors.

    What was known of such a schedule is forgotten, so that a sensor that somebody starts again stays started.
    """
    stopped = []
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        successor = _SUCCESSORS.get(state.instigator_name)
        if successor is None:
            continue
        if state.status is InstigatorStatus.STOPPED:
            _stop(instance, state.origin._replace(instigator_name=successor))
            stopped.append(successor)
        instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)
    return stopped


def _stop(instance: dg.DagsterInstance, origin: RemoteInstigatorOrigin) -> None:
    known = instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())
    if known is not None:
        instance.update_instigator_state(known.with_status(InstigatorStatus.STOPPED))
        return
    data = SensorInstigatorData(sensor_type=SensorType.AUTOMATION)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED, data))
