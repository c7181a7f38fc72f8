"""The definitions of the warehouse, which depend on the manifest of the dbt project and on the settings' intervals."""

import dagster as dg

from orchestration.cadences import cadences, on_tick
from orchestration.dbt.project import load_manifest
from orchestration.dbt.translator import WarehouseTranslator
from orchestration.defs.warehouse.assets import warehouse_assets
from orchestration.defs.warehouse.checks import quotes_check
from orchestration.defs.warehouse.jobs import warehouse_jobs
from streams.settings import load_settings


@dg.definitions
def warehouse_definitions() -> dg.Definitions:
    """Return models, jobs and checks: tables of the marts built often, views and all data tests less often."""
    crons = cadences(load_settings())
    often, seldom = on_tick(crons["marts"]), on_tick(crons["warehouse"])
    manifest = load_manifest()
    assets = warehouse_assets(manifest, WarehouseTranslator(tables=often, others=seldom))
    return dg.Definitions.merge(
        dg.Definitions(assets=[assets], asset_checks=[quotes_check(seldom)]), warehouse_jobs(assets, manifest)
    )
