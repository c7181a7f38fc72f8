"""Raises an alert when a recorder, or the armed trading run, has gone silent, and clears it when it is back."""

import time

import dagster as dg

from orchestration.resources import PlatformResource
from orchestration.runtime.kept_runs.recorders import alert_on_silence
from orchestration.runtime.kept_runs.trader import alert_on_unarmed

_LOOKING_SINCE = time.monotonic()


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def recorder_watch(platform: PlatformResource) -> dg.SkipReason:
    """Compare each shard's heartbeat, and that of the armed trading run, with how long it may be silent.

    A shard that was never recorded does not count.
    """
    settings = platform.settings()
    watched_s = time.monotonic() - _LOOKING_SINCE
    with platform.connect() as connection:
        ages = alert_on_silence(connection, settings.recorder_shards, settings.recorder_stale_after_s, watched_s)
        armed_s = alert_on_unarmed(connection, settings, watched_s)
    shown = [f"shard {shard}: {age_s:.0f} s" for shard, age_s in ages.items()]
    shown += [] if armed_s is None else [f"armed run: {armed_s:.0f} s"]
    return dg.SkipReason("; ".join(shown) or "nothing has been recorded yet")
