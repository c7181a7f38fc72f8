"""What starts the builds of the warehouse: the conditions of its assets."""

import dagster as dg

from orchestration.tags import BATCH

VIEWS = dg.AssetSelection.groups("staging", "intermediate") | (
    dg.AssetSelection.groups("marts") & dg.AssetSelection.kind("view")
)
"""The models that hold no rows of their own, with their data tests."""

EVALUATED_EVERY_S = 30

warehouse_automation_sensor = dg.AutomationConditionSensorDefinition(
    "warehouse_automation_sensor",
    target=VIEWS,
    run_tags=BATCH,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=EVALUATED_EVERY_S,
    description="Builds the views of the warehouse and runs their data tests every `warehouse_interval_s`.",
)
