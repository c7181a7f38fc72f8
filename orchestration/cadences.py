"""How often what runs: the one table from settings to cron, and the slots of runs. Knows nothing of Dagster."""

from __future__ import annotations

from streams.settings import Settings

SLOT_TAG = "crossbook/slot"
BATCH = {SLOT_TAG: "batch"}
RECORDER = {SLOT_TAG: "recorder"}
TRADE = {SLOT_TAG: "trade"}


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
    """Return the cron line of each regular job of this profile."""
    return {
        "discovery": cron_every(settings.discovery_interval_s),
        "full_sweep": f"0 {settings.full_sweep_hour_utc} * * *",
        "marts": cron_every(settings.marts_interval_s),
        "warehouse": _between_minutes(cron_every(settings.warehouse_interval_s)),
    }
