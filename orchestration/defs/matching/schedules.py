"""When the full sweep runs: daily, at the hour of the setting."""

import dagster as dg

from orchestration.defs.matching.jobs import match_everything
from streams.settings import load_settings


@dg.schedule(job=match_everything, cron_schedule="15 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def full_sweep(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """The daily full sweep. The schedule looks every hour because the hour is a setting."""
    hour = load_settings().full_sweep_hour_utc
    if context.scheduled_execution_time.hour != hour:
        return dg.SkipReason(f"the full sweep runs at {hour:02}:15 UTC")
    return dg.RunRequest(run_key=f"full-sweep-{context.scheduled_execution_time:%Y%m%d}")
