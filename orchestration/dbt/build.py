"""One dbt build inside a Dagster run: dbt's events become outputs and check results, marts get counts and a chart.

A data test that fails is a failed asset check, an open alert that marks the marts below it until it passes again, and
keeps tables below it from being built; views stand all the same. Only a model that could not be built fails the run.
Unit tests prove logic, not data, so they run with the tests and not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt.asset_utils import get_subset_selection_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from orchestration.dbt.failed_tests import mark_results
from orchestration.dbt.live_views import is_live
from orchestration.dbt.outages import build_through_outages, is_outage
from orchestration.dbt.project import invoke, target_dir
from orchestration.dbt.reports import chart_markdown, report_mart
from orchestration.dbt.translator import WarehouseTranslator, model_meta
from orchestration.resources import PlatformResource
from streams.market.errors import TransientError
from streams.storage.access.logins import Login
from streams.storage.database import Connection, database_dsn

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

_RESULT_EVENTS = {"LogModelResult", "LogTestResult"}


class WarehouseBuildFailed(dg.Failure):
    """At least one model could not be built."""


def build_warehouse(
    context: dg.AssetExecutionContext,
    platform: PlatformResource,
    manifest: Mapping[str, Any],
    translator: WarehouseTranslator,
) -> Iterator[Any]:
    """Build the selected models, then yield one output per model built and one check result per test run.

    Raises:
        WarehouseBuildFailed: If a model could not be built; what was built is yielded before.
    """
    from dbt_common.events.functions import msg_to_dict

    settings = platform.settings()
    selection, indirect = get_subset_selection_for_context(
        context=context,
        manifest=manifest,
        select="fqn:*",
        exclude=None,
        selector=None,
        dagster_dbt_translator=translator,
        current_dbt_indirect_selection_env=None,
    )
    finished: list[dict[str, Any]] = []

    def keep(event: Any) -> None:
        if event.info.name in _RESULT_EVENTS:
            finished.append(msg_to_dict(event))

    command = ["build", "--exclude-resource-type=unit_test", "--log-level=warn", *selection]
    if indirect is not None:
        command.append(f"--indirect-selection={indirect}")

    def build() -> dbtRunnerResult:
        finished.clear()
        return invoke(settings, database_dsn(settings, Login.DBT), command, on_event=[keep])

    result = build_through_outages(build)
    results = getattr(result.result, "results", [])
    platform.ride_out(lambda connection: mark_results(connection, manifest, results))
    for raw in finished:
        node = manifest["nodes"][raw["data"]["node_info"]["unique_id"]]
        for event in _events(raw, manifest, translator, context, target_dir(settings)):
            yield platform.ride_out(partial(_with_report, event, node))
    if result.exception is not None:
        raise WarehouseBuildFailed(f"dbt did not run: {result.exception}") from _cause([str(result.exception)])
    failed = [
        f"{node.node.name}: {node.message}"
        for node in getattr(result.result, "results", [])
        if str(node.status) == "error"
    ]
    if failed:
        raise WarehouseBuildFailed("; ".join(failed)[:4000]) from _cause(failed)


def _cause(failures: Sequence[str]) -> TransientError | None:
    """What led to failures that all pass by themselves; None where one of them stays."""
    return TransientError("the database was away") if all(map(is_outage, failures)) else None


def _events(
    raw: dict[str, Any],
    manifest: Mapping[str, Any],
    translator: WarehouseTranslator,
    context: dg.AssetExecutionContext,
    target: Path,
) -> Iterator[Any]:
    message = DbtCoreCliEventMessage(raw_event=raw, event_history_metadata={})
    yield from message.to_default_asset_events(manifest, translator, context, target)


def _with_report(event: Any, node: Mapping[str, Any], connection: Connection) -> Any:
    """Add row count and chart to the output of a mart that is a table."""
    if not isinstance(event, dg.Output) or node["schema"] != "analytics" or is_live(node):
        return event
    report = report_mart(connection, node["name"], model_meta(node).get("report_by"))
    metadata: dict[str, Any] = {"dagster/row_count": report.rows, "chart": dg.MetadataValue.md(chart_markdown(report))}
    return event.with_metadata({**event.metadata, **metadata})
