"""Raises an alert when a recorder has gone silent, and clears it when it is back."""

import time

import dagster as dg

from orchestration.resources import PlatformResource
from orchestration.runtime.kept_runs.recorders import alert_on_silence

_LOOKING_SINCE = time.monotonic()


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def recorder_watch(platform: PlatformResource) -> dg.SkipReason:
    """Compare each shard's heartbeat with `recorder_stale_after_s`; a shard that was never recorded does not count."""
    settings = platform.settings()
    with platform.connect() as connection:
        ages = alert_on_silence(
            connection,
            settings.recorder_shards,
            settings.recorder_stale_after_s,
            time.monotonic() - _LOOKING_SINCE,
        )
    shown = "; ".join(f"shard {shard}: {age_s:.0f} s" for shard, age_s in ages.items())
    return dg.SkipReason(shown or "nothing has been recorded yet")
