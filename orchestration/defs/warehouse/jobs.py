"""Jobs: the first pass over everything, and the regular build of the marts."""

import dagster as dg

from orchestration.cadences import BATCH
from orchestration.defs.warehouse.assets import warehouse

FIRST_PASS_KEYS = (
    "kalshi_listings",
    "polymarket_listings",
    "pair_candidates",
    "pair_verdicts",
    "pairs",
    "market_groups",
    "candle_history",
)

first_pass = dg.define_asset_job(
    "first_pass",
    # A key that only stands in a lineage, because no room defines it, cannot be run.
    selection=dg.AssetSelection.from_string(" or ".join(f'key:"{key}"' for key in FIRST_PASS_KEYS)).materializable()
    | dg.AssetSelection.assets(warehouse).materializable(),
    description="Discover both venues, find and judge pairs, form groups, load history, build the warehouse: once.",
    tags=BATCH,
    executor_def=dg.in_process_executor,
)

# Views do not change between builds, and a check costs Dagster more than the database: both wait for build_warehouse.
build_marts = dg.define_asset_job(
    "build_marts",
    selection=(dg.AssetSelection.assets(warehouse) & dg.AssetSelection.groups("marts")).without_checks(),
    description="Bring the marts up to date.",
    tags=BATCH,
    executor_def=dg.in_process_executor,
)

build_warehouse = dg.define_asset_job(
    "build_warehouse",
    selection=dg.AssetSelection.assets(warehouse),
    description="Build every model of the warehouse and run every data test.",
    tags=BATCH,
    executor_def=dg.in_process_executor,
)
