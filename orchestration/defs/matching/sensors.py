"""What starts the light refresh: the time since the last one, unless one still runs."""

import time

import dagster as dg

from orchestration.defs.matching.jobs import match_everything, refresh_pairs
from orchestration.resources import PlatformResource
from orchestration.runtime.unfinished_runs import is_running
from streams.storage.discovered.sweeps import has_swept

_CHAIN_JOBS = (refresh_pairs.name, match_everything.name, "first_pass")


@dg.sensor(job=refresh_pairs, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def pairs_refresh(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
    """Start the light refresh when its interval has passed since the cursor and no other discovery runs."""
    settings = platform.settings()
    is_sandbox = settings.venues == "sandbox"
    interval_s = settings.sandbox_discovery_interval_s if is_sandbox else settings.discovery_interval_s
    since_s = time.time() - float(context.cursor or 0)
    if since_s < interval_s:
        return dg.SkipReason(f"the last refresh started {since_s:.0f} s ago")
    for job_name in _CHAIN_JOBS:
        if is_running(context.instance, job_name):
            return dg.SkipReason(f"{job_name} still runs")
    with platform.connect() as connection:
        if not has_swept(connection):
            return dg.SkipReason("first_pass has not discovered anything yet")
    context.update_cursor(str(time.time()))
    return dg.RunRequest()
