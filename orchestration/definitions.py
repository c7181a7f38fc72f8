"""All definitions of the code location: what lies under `defs`, and the resources they share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import dagster as dg

from orchestration.resources import PlatformResource

# Every event of a run is in the event log already; the console gets what somebody should look at.
_CONSOLE = dg.colored_console_logger.configured({"log_level": "WARNING"})


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of this process; built once, so that a forked run finds them ready."""
    return _load()


@cache
def _load() -> dg.Definitions:
    """Load every room's definitions; add the automation sensor, running, where an asset has a condition."""
    loaded = dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
        dg.Definitions(resources={"platform": PlatformResource()}, loggers={"console": _CONSOLE}),
    )
    if not any(spec.automation_condition is not None for spec in loaded.resolve_all_asset_specs()):
        return loaded
    automation = dg.AutomationConditionSensorDefinition(
        "default_automation_condition_sensor",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    return dg.Definitions.merge(loaded, dg.Definitions(sensors=[automation]))
