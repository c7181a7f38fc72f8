"""What must hold of a recording that goes well: few open gaps, no unusable input, little lag."""

import dagster as dg

from orchestration.resources import PlatformResource
from streams.storage.recording_status import dead_letters, recording_gaps
from streams.storage.store.leases import recorder_pulse

_OPEN_GAP_LIMIT_S = 120
_LAG_LIMIT_MS = 5_000
_HEARTBEAT_LIMIT_S = 60


@dg.asset_check(asset=dg.AssetKey(["raw", "coverage"]), description="No gap has been open for two minutes.")
def no_long_open_gaps(platform: PlatformResource) -> dg.AssetCheckResult:
    """Count gaps that are still open and older than the limit, and all gaps of the last hour."""
    gaps = platform.ride_out(lambda connection: recording_gaps(connection, _OPEN_GAP_LIMIT_S))
    return dg.AssetCheckResult(
        passed=gaps.open_too_long == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"open_gaps": gaps.open_too_long, "gaps_last_hour": gaps.last_hour},
    )


@dg.asset_check(asset=dg.AssetKey(["raw", "book_deltas"]), description="Everything received lately could be used.")
def no_dead_letters(platform: PlatformResource) -> dg.AssetCheckResult:
    """Count dead letters of the last day and show the latest reason."""
    letters = platform.ride_out(dead_letters)
    return dg.AssetCheckResult(
        passed=letters.count == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"dead_letters": letters.count, "latest_reason": letters.latest_reason},
    )


@dg.asset_check(asset=dg.AssetKey(["raw", "quotes"]), description="Recorders are alive and their rows reach us soon.")
def recorders_keep_up(platform: PlatformResource) -> dg.AssetCheckResult:
    """Look at the commit lag and the heartbeat that recorders state in their leases."""
    pulse = platform.ride_out(recorder_pulse)
    return dg.AssetCheckResult(
        passed=pulse.recorders > 0 and pulse.lag_ms < _LAG_LIMIT_MS and pulse.age_s < _HEARTBEAT_LIMIT_S,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"recorders": pulse.recorders, "commit_lag_ms": pulse.lag_ms, "heartbeat_age_s": pulse.age_s},
    )
