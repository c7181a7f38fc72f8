"""Raises an alert when a recorder has gone silent, and clears it when it is back."""

import dagster as dg

from orchestration.resources import PlatformResource
from streams.recorder.service import lease_name
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.storage.store.leases import find_lease


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def recorder_watch(platform: PlatformResource) -> dg.SkipReason:
    """Compare each shard's heartbeat with `recorder_stale_after_s`; a shard that was never recorded does not count."""
    settings = platform.settings()
    ages = []
    with platform.connect() as connection:
        for shard in range(settings.recorder_shards):
            lease = find_lease(connection, lease_name(shard))
            if lease is None:
                continue
            key = f"stale_recorder:{shard}"
            ages.append(f"shard {shard}: {lease.age_s:.0f} s")
            if lease.age_s > settings.recorder_stale_after_s:
                message = f"The recorder of shard {shard} has given no sign of life for {lease.age_s:.0f} s."
                raise_alert(connection, "stale_recorder", "critical", key, message, {"shard": shard})
            elif lease.is_alive:
                clear_alert(connection, key)
    return dg.SkipReason("; ".join(ages) or "nothing has been recorded yet")
