"""What Dagster says of its runs, checks, assets, sensors and schedules, for the watcher of alerts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from orchestration.alerting.facts import CheckResult, DagsterFacts, FailedRun, Instigator, MadeAsset
from orchestration.tags import SHARD_TAG
from streams.inert import one_line
from streams.redaction import redact_text

if TYPE_CHECKING:
    from dagster._core.scheduler.instigation import InstigatorState

WAREHOUSE = "warehouse"
"""Name of the definition of the dbt models: their data tests have alerts of their own."""
_FAILED_WITHIN = timedelta(days=1)
_RUNS_MAX = 300
_PAGES_MAX = 20
_LASTING = frozenset({"record_streams", "hedged_trade"})
"""Jobs whose runs last: one that has run for a minute is as good as one that succeeded."""
_STAYS_S = 60.0
_TICKS = 3
_WHY_MAX = 300
_PASSED = {AssetCheckExecutionRecordStatus.SUCCEEDED: True, AssetCheckExecutionRecordStatus.FAILED: False}
"""Whether a check passed, by what became of it; of another it is not known."""


def look_at_dagster(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> DagsterFacts:
    """Return what Dagster says now."""
    return DagsterFacts(
        failed_runs=list(_failed_runs(instance)),
        checks=_checks(instance, repository),
        assets=_assets(instance, repository),
        instigators=_instigators(instance, repository),
    )


# -- runs --------------------------------------------------------------------------------------------------------------


def _failed_runs(instance: dg.DagsterInstance) -> Iterator[FailedRun]:
    """The newest failed run of each work of the last day that no later run has made good."""
    since = datetime.now(UTC) - _FAILED_WITHIN
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    seen: set[str] = set()
    for record in _records(instance, failed):
        work = _work_of(record.dagster_run)
        if work not in seen and not _is_made_good(instance, record):
            yield FailedRun(
                work, record.dagster_run.run_id, _ended_at(record), _why(instance, record.dagster_run.run_id)
            )
        seen.add(work)


def _records(instance: dg.DagsterInstance, which: dg.RunsFilter) -> Iterator[dg.RunRecord]:
    """Runs, the newest first: one that fails again and again does not push another one out."""
    cursor = None
    for _ in range(_PAGES_MAX):
        page = instance.get_run_records(which, limit=_RUNS_MAX, cursor=cursor)
        yield from page
        if len(page) < _RUNS_MAX:
            return
        cursor = page[-1].dagster_run.run_id


def _work_of(run: dg.DagsterRun) -> str:
    if SHARD_TAG in run.tags:
        return f"{run.job_name} {run.tags[SHARD_TAG]}"
    if not run.job_name.startswith("__"):
        return run.job_name
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    checks = sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in run.asset_check_selection or ())
    named = assets or checks or [run.job_name]
    return f"{named[0]} and {len(named) - 1} more" if len(named) > 1 else named[0]


def _is_made_good(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    run, ended_at = record.dagster_run, _ended_at(record)
    if run.job_name.startswith("__") and run.asset_selection:
        made = {found.asset_entry.asset_key: found for found in instance.get_asset_records(list(run.asset_selection))}
        return all(_made_at(made.get(key)) > ended_at.timestamp() for key in run.asset_selection)
    if run.job_name.startswith("__") and run.asset_check_selection:
        checked = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(run.asset_check_selection))
        return all(_checked_at(checked.get(key)) > ended_at.timestamp() for key in run.asset_check_selection)
    tags = {SHARD_TAG: run.tags[SHARD_TAG]} if SHARD_TAG in run.tags else {}
    later = dg.RunsFilter(
        job_name=run.job_name,
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED],
        tags=tags,
        created_after=record.create_timestamp,
    )
    return any(
        found.dagster_run.status is dg.DagsterRunStatus.SUCCESS
        or (run.job_name in _LASTING and time.time() - (found.start_time or time.time()) > _STAYS_S)
        for found in instance.get_run_records(later, limit=20)
    )


def _checked_at(record: AssetCheckExecutionRecord | None) -> float:
    """When a check was evaluated last (Unix seconds); 0: never, or its last evaluation did not end."""
    if record is None or record.event is None or record.status not in _PASSED:
        return 0.0
    return record.event.timestamp  # not the row's own time: SQLite cuts that to whole seconds


def _ended_at(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """The error of the step that failed, else what was said of the run: that its process is gone, for example."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for record in instance.get_records_for_run(run_id, of_type=kinds, limit=10).records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        error = getattr(event.event_specific_data, "error", None)
        cause = error
        while cause is not None and cause.cause is not None:
            cause = cause.cause
        said = (cause.message if cause is not None else event.message) or ""
        if said.strip():
            return one_line(redact_text(said.strip().splitlines()[0]), _WHY_MAX).rstrip(".")
    return ""


# -- checks and assets -------------------------------------------------------------------------------------------------


def _checks(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> list[CheckResult]:
    keys = [key for key, maker in _makers(repository).items() if maker != WAREHOUSE]
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    results = []
    for key, record in records.items():
        name = f"{key.asset_key.to_user_string()}: {key.name}"
        event = record.event.dagster_event if record.event is not None else None
        is_error = True
        if event is not None and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            is_error = event.asset_check_evaluation_data.severity is dg.AssetCheckSeverity.ERROR
        results.append(CheckResult(name, _PASSED.get(record.status), is_error))
    return results


def _makers(repository: dg.RepositoryDefinition) -> dict[dg.AssetCheckKey, str]:
    """Return the name of the definition that evaluates each check: one of its own, or the assets' it belongs to."""
    own = {key: checks.node_def.name for key, checks in repository.asset_checks_defs_by_key.items()}
    of_assets = {
        spec.key: assets.node_def.name
        for assets in repository.assets_defs_by_key.values()
        for spec in assets.check_specs
    }
    return own | of_assets


def _assets(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> list[MadeAsset]:
    limits: dict[dg.AssetKey, float] = {}
    for node in repository.asset_graph.asset_nodes:
        if isinstance(node.freshness_policy, TimeWindowFreshnessPolicy):
            limits[node.key] = node.freshness_policy.fail_window.to_timedelta().total_seconds()
    records = {record.asset_entry.asset_key: record for record in instance.get_asset_records(list(limits))}
    now, found = time.time(), []
    for key, limit_s in limits.items():
        made_at = _made_at(records.get(key))
        found.append(
            MadeAsset(key.to_user_string(), key.path[0] == "analytics", now - made_at if made_at else None, limit_s)
        )
    return found


def _made_at(record: dg.AssetRecord | None) -> float:
    """When an asset was made last (Unix seconds); 0: never."""
    last = None if record is None else record.asset_entry.last_materialization
    return 0.0 if last is None else last.timestamp


# -- sensors and schedules ---------------------------------------------------------------------------------------------


def _instigators(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> list[Instigator]:
    must_run = {
        *(one.name for one in repository.sensor_defs if one.default_status is dg.DefaultSensorStatus.RUNNING),
        *(one.name for one in repository.schedule_defs if one.default_status is dg.DefaultScheduleStatus.RUNNING),
    }
    states = [state for state in instance.all_instigator_state() if state.instigator_name in must_run]
    errors = _errors(instance, states)
    return [
        Instigator(state.instigator_name, state.status is InstigatorStatus.STOPPED, errors.get(state.selector_id, ""))
        for state in states
    ]


def _errors(instance: dg.DagsterInstance, states: Sequence[InstigatorState]) -> dict[str, str]:
    """The error of each whose last ticks all failed, by selector."""
    storage = instance.schedule_storage
    if storage is None or not states:
        return {}
    errors = {}
    for selector, ticks in storage.get_batch_ticks([state.selector_id for state in states], limit=_TICKS).items():
        ended = [tick for tick in ticks if tick.status is not TickStatus.STARTED]
        if len(ended) >= _TICKS - 1 and all(tick.status is TickStatus.FAILURE for tick in ended):
            errors[selector] = _first_line(tick.error.message for tick in ended if tick.error is not None)
    return errors


def _first_line(messages: Iterable[str]) -> str:
    lines = (line for message in messages for line in message.splitlines())
    said = next((line.strip() for line in lines if line.strip()), "no error was kept")
    return one_line(redact_text(said), _WHY_MAX).rstrip(".")
