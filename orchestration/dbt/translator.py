"""How a dbt resource appears in Dagster: key, group, owner, kinds, and what its model says of itself.

Keys: a model is (its schema, its name), so that the mart `analytics/pairs` and the asset `pairs` are two things; a
source has the key its yaml states, which is the asset that writes the table. A table written by two assets names the
second in `also_written_by`. What a model may say of itself stands under `meta: {dagster: {...}}`: `freshness: 30m`,
after which time without a build it is late (a warning comes at a third of it); `report_by: column`, by which its rows
are counted in the chart of a build; `first_pass: true`, that the first pass builds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from orchestration.cadences import Condition
from orchestration.dbt.live_views import is_live

if TYPE_CHECKING:
    from dagster_dbt import DbtProject

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def model_meta(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a node of the manifest says under `meta: {dagster: {...}}`."""
    meta: dict[str, Any] = node["config"]["meta"].get("dagster", {})
    return meta


def model_keys(manifest: Mapping[str, Any], wanted: Callable[[Mapping[str, Any]], bool]) -> list[dg.AssetKey]:
    """Return the asset keys of the models for which `wanted` holds."""
    models = (node for node in manifest["nodes"].values() if node["resource_type"] == "model")
    return [asset_key(node) for node in models if wanted(node)]


def asset_key(node: Mapping[str, Any]) -> dg.AssetKey:
    """Return the key of a model: its schema and its name."""
    return dg.AssetKey([node["schema"], node["name"]])


def freshness_policy(node: Mapping[str, Any]) -> dg.FreshnessPolicy | None:
    """Return the policy that a model asks for by `freshness: 30m`, or None.

    Raises:
        ValueError: If it is not a whole number of s, m, h or d.
    """
    given = model_meta(node).get("freshness")
    if given is None:
        return None
    number, unit = str(given)[:-1], str(given)[-1:]
    if not number.isdecimal() or unit not in _UNITS:
        raise ValueError(f"freshness of {node['name']} is {given!r}; give it as 90s, 30m, 2h or 1d")
    window = timedelta(**{_UNITS[unit]: int(number)})
    return dg.FreshnessPolicy.time_window(fail_window=window, warn_window=window / 3)


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
        return asset_key(dbt_resource_props)

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
        return spec.replace_attributes(
            owners=["team:warehouse"],
            kinds={"dbt", "postgres", "view" if is_live(node) else "table"},
            deps=[*spec.deps, *(dg.AssetDep(key) for key in sorted(also - {dep.asset_key for dep in spec.deps}))],
            freshness_policy=freshness_policy(node),
        )


def _is_mart_table(node: Mapping[str, Any]) -> bool:
    return node["fqn"][1] == "marts" and not node["config"]["materialized"].endswith("view")
