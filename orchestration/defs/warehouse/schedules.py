"""The regular build of the marts."""

import dagster as dg

from orchestration.automation.cadences import cadences
from orchestration.defs.warehouse.jobs import build_marts
from streams.settings import load_settings

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.schedule(
    job=build_marts,
    cron_schedule=cadences(load_settings())["marts"],
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def marts_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Build the marts, unless a build or the first pass is still on its way."""
    for job_name in ("build_marts", "first_pass"):
        if context.instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED), limit=1):
            return dg.SkipReason(f"{job_name} is still on its way")
    return dg.RunRequest()
