"""Ends runs whose process did not survive: called before any sensor or daemon is on.

`python -m orchestration.runtime.orphaned_runs` does it for the instance of `DAGSTER_HOME` and prints the ended run ids.
"""

from __future__ import annotations

import sys

import dagster as dg

from orchestration.runtime.unfinished_runs import unfinished_runs
from orchestration.tags import RECORDER, SLOT_TAG, TRADE
from streams.outermost import run_guarded
from streams.settings import load_settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, connect, database_dsn
from streams.storage.store.leases import runs_with_live_leases

_SLOTS_OF_SENSORS = {RECORDER[SLOT_TAG], TRADE[SLOT_TAG]}


def end_orphaned_runs(instance: dg.DagsterInstance, connection: Connection | None = None) -> list[str]:
    """End each unfinished run that holds no live lease and return their ids.

    Leases are read on `connection`, default one to the warehouse of this process's settings.

    Runs of recorders and trades that still wait in the queue are ended too: their sensors ask again for what is needed.
    Other queued runs stay queued.
    """
    if connection is None:
        with connect(database_dsn(load_settings(), Login.BATCH)) as own:
            return end_orphaned_runs(instance, own)
    alive = runs_with_live_leases(connection)
    ended = []
    for run in [record.dagster_run for record in unfinished_runs(instance)]:
        is_queued = run.status == dg.DagsterRunStatus.QUEUED
        if run.run_id in alive or (is_queued and run.tags.get(SLOT_TAG) not in _SLOTS_OF_SENSORS):
            continue
        if is_queued or run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message="Ended at the next start: nothing was running it any more.")
        else:
            instance.report_run_failed(run, message="Ended at the next start: its process did not survive.")
        ended.append(run.run_id)
    return ended


def main() -> None:
    """End the orphaned runs of this instance; one run id a line."""
    with dg.DagsterInstance.get() as instance:
        for run_id in end_orphaned_runs(instance):
            print(run_id)


if __name__ == "__main__":
    sys.exit(run_guarded(main))
