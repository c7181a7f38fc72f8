"""When the checks of the recording run."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.recording.assets import RECORDED_KEYS
from orchestration.tags import BATCH

recorder_checks = dg.define_asset_job(
    "recorder_checks",
    selection=dg.AssetSelection.checks_for_assets(*RECORDED_KEYS),
    tags=BATCH,
    description="Checks of the recorded tables.",
)

recorder_checks_schedule = dg.ScheduleDefinition(
    name="recorder_checks_schedule",
    job=recorder_checks,
    cron_schedule="*/15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
