"""The warehouse: every dbt model as an asset, every data test as a check."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration.dbt.build import build_warehouse
from orchestration.dbt.project import load_manifest
from orchestration.dbt.translator import WarehouseTranslator
from orchestration.resources import PlatformResource

_MANIFEST = load_manifest()
_TRANSLATOR = WarehouseTranslator()


@dbt_assets(manifest=_MANIFEST, name="warehouse", dagster_dbt_translator=_TRANSLATOR)
def warehouse(context: dg.AssetExecutionContext, platform: PlatformResource) -> Iterator[Any]:
    """Build the selected models of the dbt project."""
    yield from build_warehouse(context, platform, _MANIFEST, _TRANSLATOR)
