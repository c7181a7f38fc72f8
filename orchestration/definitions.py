"""All definitions of the code location: what lies under `defs`, and what they share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import dagster as dg

from orchestration.cadences import automation_sensor
from orchestration.defs.warehouse.sensors import VIEWS
from orchestration.resources import PlatformResource
from streams.processes.loaded_memory import settle_loaded_memory

# Every event of a run is in the event log already; the console gets what somebody should look at.
_CONSOLE = dg.colored_console_logger.configured({"log_level": "WARNING"})


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of this process; built once, so that a forked run finds them ready."""
    return _load()


@cache
def _load() -> dg.Definitions:
    """Load every room's definitions; runs that name no executor stay in the process they were forked into.

    What is loaded stays for the life of the process, and the collector is told so: otherwise it looks for garbage among
    old objects only once they have become a quarter more than all this, which is megabytes.
    """
    automation = automation_sensor(
        "default_automation_condition_sensor",
        dg.AssetSelection.all() - VIEWS,
        15,
        "Builds the tables of the marts every `marts_interval_s`, and whatever else has a condition.",
    )
    loaded = dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
        dg.Definitions(
            sensors=[automation],
            resources={"platform": PlatformResource()},
            executor=dg.in_process_executor,
            loggers={"console": _CONSOLE},
        ),
    )
    settle_loaded_memory()
    return loaded
