"""The warehouse: every dbt model as an asset, every data test as a check."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration.dbt.build import build_warehouse
from orchestration.dbt.translator import WarehouseTranslator
from orchestration.resources import PlatformResource
from orchestration.runtime.failures.retries import retried


def warehouse_assets(manifest: Mapping[str, Any], translator: WarehouseTranslator) -> dg.AssetsDefinition:
    """Return the models of a manifest as one definition, whose runs build those that are selected."""

    @dbt_assets(manifest=manifest, name="warehouse", dagster_dbt_translator=translator)
    @retried
    def warehouse(context: dg.AssetExecutionContext, platform: PlatformResource) -> Iterator[Any]:
        """Build the selected models of the dbt project."""
        yield from build_warehouse(context, platform, manifest, translator)

    return warehouse
