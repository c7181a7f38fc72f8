"""Jobs: the first pass over everything, and the builds of the warehouse that people ask for."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from orchestration.dbt.live_views import is_live
from orchestration.dbt.translator import model_keys, model_meta
from orchestration.tags import BATCH

FIRST_PASS_KEYS = (
    "kalshi_listings",
    "polymarket_listings",
    "pair_candidates",
    "pair_verdicts",
    "pairs",
    "market_groups",
    "candle_history",
)


def warehouse_jobs(warehouse: dg.AssetsDefinition, manifest: Mapping[str, Any]) -> dg.Definitions:
    """Return the jobs over the models of the warehouse."""
    in_first_pass = model_keys(manifest, lambda node: bool(model_meta(node).get("first_pass")))
    tables = model_keys(manifest, lambda node: not is_live(node))
    first_pass = dg.define_asset_job(
        "first_pass",
        # A key that only stands in a lineage, because no room defines it, cannot be run.
        selection=(
            dg.AssetSelection.from_string(" or ".join(f'key:"{key}"' for key in FIRST_PASS_KEYS)).materializable()
            | dg.AssetSelection.assets(*in_first_pass)
        ),
        description="Discover both venues, find and judge pairs, form groups, load history, build the warehouse: once.",
        tags=BATCH,
    )
    # A view is always up to date, and a check costs Dagster more than the database: both wait for the full one.
    build_marts = dg.define_asset_job(
        "build_marts",
        selection=dg.AssetSelection.assets(*tables).without_checks(),
        description="Bring the marts up to date.",
        tags=BATCH,
    )
    build_warehouse = dg.define_asset_job(
        "build_warehouse",
        selection=dg.AssetSelection.assets(warehouse),
        description="Build every model of the warehouse and run every data test.",
        tags=BATCH,
    )
    return dg.Definitions(jobs=[first_pass, build_marts, build_warehouse])
