"""The regular builds of the warehouse: marts often, everything with its data tests less often."""

import dagster as dg

from orchestration.cadences import cadences
from orchestration.defs.warehouse.jobs import build_marts, build_warehouse
from streams.settings import load_settings

_CADENCES = cadences(load_settings())
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def _request_unless_building(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    for job_name in ("build_marts", "build_warehouse", "first_pass"):
        if context.instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED), limit=1):
            return dg.SkipReason(f"{job_name} is still on its way")
    return dg.RunRequest()


@dg.schedule(job=build_marts, cron_schedule=_CADENCES["marts"], default_status=dg.DefaultScheduleStatus.RUNNING)
def marts_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Build the marts, unless a build or the first pass is still on its way."""
    return _request_unless_building(context)


@dg.schedule(job=build_warehouse, cron_schedule=_CADENCES["warehouse"], default_status=dg.DefaultScheduleStatus.RUNNING)
def warehouse_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Build everything and run the data tests, unless a build or the first pass is still on its way."""
    return _request_unless_building(context)
