"""When the maintenance of the database runs."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.maintenance.jobs import upkeep

# Hourly although partitions are daily: a missed run leaves three days, and segment files are many.
upkeep_schedule = dg.ScheduleDefinition(
    name="upkeep_schedule",
    job=upkeep,
    cron_schedule="10 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
