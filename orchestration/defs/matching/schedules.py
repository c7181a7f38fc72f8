"""When the full sweep runs: daily, at the hour of the setting."""

import dagster as dg

from orchestration.cadences import cadences
from orchestration.defs.matching.jobs import match_everything
from streams.settings import load_settings


@dg.definitions
def full_sweep() -> dg.Definitions:
    """Return the schedule of the daily full sweep; a change of its hour takes effect at the next start."""
    schedule = dg.ScheduleDefinition(
        name="full_sweep",
        job=match_everything,
        cron_schedule=cadences(load_settings())["full_sweep"],
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(schedules=[schedule])
