"""Checks of the marts that no dbt test can make, because they look past the models at the recording."""

import dagster as dg

from orchestration.cadences import Condition
from orchestration.resources import PlatformResource

_NEWEST = """SELECT (SELECT max(minute) FROM analytics.quotes_1m WHERE source = 'recorded') AS in_mart,
    (SELECT max(received_at) FROM raw.quotes_v1 WHERE received_at < date_trunc('minute', now()) - interval '10 minutes')
        AS recorded"""
_QUOTES = dg.AssetKey(["analytics", "quotes_1m"])


def quotes_check(
    condition: Condition,
) -> dg.AssetChecksDefinition:
    """Return the check of the recorded quotes, made when the condition says so."""

    @dg.asset_check(
        asset=_QUOTES,
        description="The newest recorded minute is as new as the newest recorded quote.",
        automation_condition=condition,
    )
    def quotes_reach_the_recording(platform: PlatformResource) -> dg.AssetCheckResult:
        """Compare the newest recorded minute of the mart with the newest quote of a closed minute."""
        row = platform.ride_out(lambda connection: connection.execute(_NEWEST).fetchone())
        in_mart, recorded = (row["in_mart"], row["recorded"]) if row else (None, None)
        reached = recorded is None or (in_mart is not None and in_mart >= recorded.replace(second=0, microsecond=0))
        return dg.AssetCheckResult(
            passed=reached,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"newest_minute": str(in_mart), "newest_quote_older_than_10_minutes": str(recorded)},
        )

    return quotes_reach_the_recording
