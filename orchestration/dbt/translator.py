"""How a dbt resource appears in Dagster: key, group, owner, kinds, freshness.

Keys: a model is (its schema, its name), so that the mart `analytics/pairs` and the asset `pairs` are two things; a
source has the key its yaml states, which is the asset that writes the table. A table written by two assets names the
second in `also_written_by`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from orchestration.cadences import Condition

if TYPE_CHECKING:
    from dagster_dbt import DbtProject

MINUTE_MARTS = {"quotes_1m", "rolling_prices", "depth_1m", "volume_1m", "deltas_1m", "pair_spreads_1m"}
_FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=10))


class WarehouseTranslator(DagsterDbtTranslator):
    """The translation of this project; groups are the layers.

    Args:
        tables: When the tables of the marts are built, without their data tests.
        others: When everything else is built with its data tests, and the tests of those tables are run.
    """

    def __init__(self, *, tables: Condition | None = None, others: Condition | None = None) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True, enable_source_metadata=False)
        )
        self._tables = tables
        self._others = others

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the key the contract of the lineage gives to the resource."""
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the layer: staging, intermediate or marts."""
        fqn: list[str] = dbt_resource_props["fqn"]
        return fqn[1] if len(fqn) > 2 else None

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the model's description (its grain), without the SQL."""
        return str(dbt_resource_props.get("description") or "")

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> Condition | None:
        """Return when the model is built by the clock."""
        return self._tables if _is_mart_table(dbt_resource_props) else self._others

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """Return the check of a data test.

        One of a mart's table has a condition, so that no build brings it along. None is blocking: dbt itself leaves out
        what stands on a failed test, and all models are one step, which would only fail after everything was built.
        """
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        is_table = asset_spec.automation_condition is self._tables
        return spec._replace(blocking=False, automation_condition=self._others if is_table else None)

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Return the spec with owner, kinds, freshness and the second writers of its sources."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id.startswith("source."):
            return spec
        node = manifest["nodes"][unique_id]
        sources = [manifest["sources"][up] for up in node["depends_on"]["nodes"] if up.startswith("source.")]
        also = {
            dg.AssetKey(source["config"]["meta"]["dagster"]["also_written_by"])
            for source in sources
            if "also_written_by" in source["config"]["meta"].get("dagster", {})
        }
        materialized = node["config"]["materialized"]
        return spec.replace_attributes(
            owners=["team:warehouse"],
            kinds={"dbt", "postgres", "view" if materialized == "view" else "table"},
            deps=[*spec.deps, *(dg.AssetDep(key) for key in sorted(also - {dep.asset_key for dep in spec.deps}))],
            freshness_policy=_FRESH if node["name"] in MINUTE_MARTS else None,
        )


def _is_mart_table(node: Mapping[str, Any]) -> bool:
    return node["fqn"][1] == "marts" and not node["config"]["materialized"].endswith("view")
