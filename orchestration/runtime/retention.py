"""What Dagster keeps of the past: ended runs with their events and output files, check results, evaluations.

Dagster itself forgets only ticks (`retention` in dagster.yaml). Whatever the present still needs is kept, however old:
the run that last made an asset or was last planned to, runs of partitions, the newest result of each check.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import dagster as dg
import sqlalchemy
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

_PARTITION_TAG = "dagster/partition"
_PAGE = 200
_SUCCEEDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED]
_FAILED = [dg.DagsterRunStatus.FAILURE]


@dataclass(frozen=True, slots=True)
class Retention:
    """From when on what is kept; everything before it may go. `runs_max` bounds the work of one call."""

    succeeded_since: datetime
    failed_since: datetime
    evaluations_since: datetime
    runs_max: int = 2000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many of each went: runs, folders of their output, results of checks."""

    runs: int
    output_folders: int
    check_results: int


def forget_the_past(instance: dg.DagsterInstance, retention: Retention) -> Forgotten:
    """Delete what is older than the retention allows; safe to call from two processes, and again after a kill."""
    runs = list(islice(_old_runs(instance, retention), retention.runs_max))
    for run_id in runs:
        instance.delete_run(run_id)
    if instance.schedule_storage is not None:
        instance.schedule_storage.purge_asset_evaluations(before=retention.evaluations_since.timestamp())
    return Forgotten(len(runs), _delete_output(instance), _delete_check_results(instance, retention.succeeded_since))


def _old_runs(instance: dg.DagsterInstance, retention: Retention) -> Iterator[str]:
    """Yield the ids of runs that may go, the oldest of each kind first; delete none before the last is known."""
    needed = _needed_runs(instance)
    for statuses, since in ((_SUCCEEDED, retention.succeeded_since), (_FAILED, retention.failed_since)):
        filters, cursor = dg.RunsFilter(statuses=statuses, updated_before=since), None
        while page := instance.get_run_records(filters, limit=_PAGE, cursor=cursor, ascending=True):
            runs = [record.dagster_run for record in page]
            yield from (run.run_id for run in runs if run.run_id not in needed and _PARTITION_TAG not in run.tags)
            cursor = runs[-1].run_id


def _needed_runs(instance: dg.DagsterInstance) -> set[str]:
    needed: set[str] = set()
    for record in instance.get_asset_records():
        entry = record.asset_entry
        needed |= {entry.last_run_id or "", entry.last_planned_materialization_run_id or ""}
        for event in (entry.last_materialization_record, entry.last_observation_record):
            needed.add(event.run_id if event else "")
    return needed


def _delete_check_results(instance: dg.DagsterInstance, since: datetime) -> int:
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    table = AssetCheckExecutionsTable
    newest = sqlalchemy.select(sqlalchemy.func.max(table.c.id)).group_by(table.c.asset_key, table.c.check_name)
    is_old = table.c.create_timestamp < since.replace(tzinfo=None)
    with storage.index_connection() as connection:
        return int(connection.execute(table.delete().where(is_old, table.c.id.not_in(newest))).rowcount)


def _delete_output(instance: dg.DagsterInstance) -> int:
    """Delete the output of runs that are no longer known; a folder that is not a run's is left alone."""
    deleted = 0
    for folder in _output_folders(instance):
        if not instance.has_run(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
            deleted += 1
    return deleted


def _output_folders(instance: dg.DagsterInstance) -> list[Path]:
    storage = Path(instance.storage_directory())
    return [path.parent for path in storage.glob("*-*-*-*-*/compute_logs")] if storage.is_dir() else []
