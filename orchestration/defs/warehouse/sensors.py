"""What starts the builds of the warehouse: the conditions of its assets."""

import dagster as dg

from orchestration.cadences import automation_sensor

VIEWS = dg.AssetSelection.groups("staging", "intermediate") | (
    dg.AssetSelection.groups("marts") & dg.AssetSelection.kind("view")
)
"""The models that hold no rows of their own, with their data tests."""

warehouse_automation_sensor = automation_sensor(
    "warehouse_automation_sensor",
    VIEWS,
    30,
    "Builds the views of the warehouse and runs their data tests every `warehouse_interval_s`.",
)
