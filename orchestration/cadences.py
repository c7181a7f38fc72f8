"""How often what runs: the one table from settings to cron, the condition of an asset, and what evaluates it."""

from __future__ import annotations

import warnings

import dagster as dg

from orchestration.tags import BATCH
from streams.settings import Settings

Condition = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]
"""When an asset is built, or a check made."""


def cron_every(seconds: int) -> str:
    """Return the cron line of an interval, in whole minutes and at least one; above 59 minutes, in whole hours."""
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"
    hours = max(1, round(minutes / 60))
    return "0 * * * *" if hours == 1 else f"0 */{min(hours, 23)} * * *"


def _between_minutes(cron: str) -> str:
    """Return the cron line moved three minutes off the full hour, so that it is not always behind another build."""
    first, rest = cron.split(" ", 1)
    if first.startswith("*/"):
        return f"3-59/{first[2:]} {rest}"
    return f"3 {rest}" if first == "0" else cron


def cadences(settings: Settings) -> dict[str, str]:
    """Return the cron line (UTC) of what runs by the clock at an interval or hour of the settings."""
    return {
        "full_sweep": f"15 {settings.full_sweep_hour_utc} * * *",
        "marts": cron_every(settings.marts_interval_s),
        "warehouse": _between_minutes(cron_every(settings.warehouse_interval_s)),
    }


def on_tick(cron: str) -> Condition:
    """Return the condition of what is due at every tick of a cron line (UTC) and has not been built since.

    It waits while a run has the asset, or anything the asset is made from, still to build; the tick is not lost. A tick
    between the same two evaluations as the end of a build, or its request, counts as handled by it: there should be
    several evaluations between two ticks.
    """
    passed: Condition = dg.AutomationCondition.cron_tick_passed(cron)
    return (
        passed.since_last_handled()
        & ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.any_deps_in_progress()
    )


def automation_sensor(
    name: str, target: dg.AssetSelection, every_s: int, description: str
) -> dg.AutomationConditionSensorDefinition:
    """Return a running sensor that looks every so many seconds what is due among `target` and starts it as batch runs.

    It is evaluated by the code server: evaluated by the daemon, a run for assets alone would bring all their checks.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.AutomationConditionSensorDefinition(
            name,
            target=target,
            run_tags=BATCH,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=every_s,
            description=description,
            use_user_code_server=True,
        )
