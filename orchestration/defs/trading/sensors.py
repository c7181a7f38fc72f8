"""Starts rounds of settlement and reconciliation when something is due."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.trading.jobs import settle_trades
from orchestration.execution.settlement_cycle import why_due
from orchestration.resources import PlatformResource
from orchestration.runtime.unfinished_runs import is_running
from orchestration.tags import WHY_TAG


@dg.sensor(job=settle_trades, minimum_interval_seconds=12, default_status=dg.DefaultSensorStatus.RUNNING)
def settlement_sensor(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Start `settle_trades` when an execution, an order, a fill, a person, a settlement or a balance asks for it."""
    settings = platform.settings()
    if settings.trading_mode == "off":
        yield dg.SkipReason("trading is off")
        return
    if is_running(context.instance, settle_trades.name):
        yield dg.SkipReason("a round is under way")
        return
    with platform.connect() as connection:
        why = why_due(connection, settings)
    if why:
        yield dg.RunRequest(tags={WHY_TAG: why})
    else:
        yield dg.SkipReason("nothing is due")
