"""What must be true of the trading tables."""

import dagster as dg

from orchestration.resources import PlatformResource
from streams.storage.store.executions import count_escalated, count_open_longer_than
from streams.storage.store.settlement import balance_differences_e6

_LEDGER = ["trading", "ledger"]
_EXECUTIONS = ["trading", "executions"]
_CENT_E6 = 10_000


@dg.asset_check(asset=_LEDGER, description="The ledger's cash is the venues' cash, where nothing is in flight.")
def ledger_cash_equals_venue_cash(platform: PlatformResource) -> dg.AssetCheckResult:
    """Compare the last reading of each account that nothing in flight can explain."""
    differences = platform.ride_out(balance_differences_e6)
    return dg.AssetCheckResult(
        passed=all(abs(difference) < _CENT_E6 for difference in differences.values()),
        metadata={f"{venue} difference (1e-6 usd)": difference for venue, difference in differences.items()},
    )


@dg.asset_check(asset=_EXECUTIONS, description="No execution stays open longer than it may.")
def no_execution_is_open_too_long(platform: PlatformResource) -> dg.AssetCheckResult:
    """Count executions that are neither hedged, flat nor escalated long after their start."""
    limit_s = 4 * platform.settings().execution_max_s
    count = platform.ride_out(lambda connection: count_open_longer_than(connection, limit_s))
    return dg.AssetCheckResult(passed=count == 0, metadata={"executions": count})


@dg.asset_check(asset=_EXECUTIONS, description="No execution is ESCALATED and unsettled.")
def nothing_is_escalated(platform: PlatformResource) -> dg.AssetCheckResult:
    """Count escalated executions that still hold something."""
    count = platform.ride_out(count_escalated)
    return dg.AssetCheckResult(passed=count == 0, severity=dg.AssetCheckSeverity.ERROR, metadata={"executions": count})
