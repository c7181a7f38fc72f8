"""What must hold of a recording that goes well: few open gaps, no unusable input, little lag."""

import dagster as dg

from orchestration.resources import PlatformResource
from streams.storage.database import Row
from streams.storage.store.leases import recorder_pulse

_OPEN_GAP_LIMIT_S = 120
_LAG_LIMIT_MS = 5_000


def _one(platform: PlatformResource, query: str, *values: object) -> Row:
    with platform.connect() as connection:
        row = connection.execute(query, values).fetchone()
    assert row is not None
    return row


@dg.asset_check(asset=dg.AssetKey(["raw", "coverage"]), description="No gap has been open for two minutes.")
def no_long_open_gaps(platform: PlatformResource) -> dg.AssetCheckResult:
    """Count gaps that are still open and older than the limit, and all gaps of the last hour by cause."""
    row = _one(
        platform,
        """SELECT count(*) FILTER (WHERE ended_at IS NULL AND started_at < now() - make_interval(secs => %s)) AS open,
               count(*) FILTER (WHERE started_at > now() - interval '1 hour') AS last_hour
           FROM raw.coverage WHERE state = 'gap'""",
        _OPEN_GAP_LIMIT_S,
    )
    return dg.AssetCheckResult(
        passed=row["open"] == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"open_gaps": row["open"], "gaps_last_hour": row["last_hour"]},
    )


@dg.asset_check(asset=dg.AssetKey(["raw", "book_deltas"]), description="Everything received lately could be used.")
def no_dead_letters(platform: PlatformResource) -> dg.AssetCheckResult:
    """Count dead letters of the last day and show the latest reason."""
    row = _one(
        platform,
        """SELECT count(*) AS letters, (array_agg(reason ORDER BY dead_letter_id DESC))[1] AS reason
           FROM raw.dead_letters WHERE received_at > now() - interval '1 day'""",
    )
    return dg.AssetCheckResult(
        passed=row["letters"] == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"dead_letters": row["letters"], "latest_reason": row["reason"] or ""},
    )


@dg.asset_check(asset=dg.AssetKey(["raw", "quotes"]), description="Recorders are alive and their rows reach us soon.")
def recorders_keep_up(platform: PlatformResource) -> dg.AssetCheckResult:
    """Look at the commit lag and the heartbeat that recorders state in their leases."""
    with platform.connect() as connection:
        pulse = recorder_pulse(connection)
    return dg.AssetCheckResult(
        passed=pulse.recorders > 0 and pulse.lag_ms < _LAG_LIMIT_MS and pulse.age_s < 60,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"recorders": pulse.recorders, "commit_lag_ms": pulse.lag_ms, "heartbeat_age_s": pulse.age_s},
    )
