"""When the checks of the trading tables run."""

from __future__ import annotations

import dagster as dg

from orchestration.defs.trading.checks import (
    ledger_cash_equals_venue_cash,
    no_execution_is_open_too_long,
    nothing_is_escalated,
)
from orchestration.tags import BATCH

check_trading = dg.define_asset_job(
    "check_trading",
    selection=dg.AssetSelection.checks(
        ledger_cash_equals_venue_cash, no_execution_is_open_too_long, nothing_is_escalated
    ),
    tags=BATCH,
    description="Check the trading tables.",
)

trading_checks = dg.ScheduleDefinition(
    name="trading_checks",
    job=check_trading,
    cron_schedule="*/5 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
