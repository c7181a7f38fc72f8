"""Which recorder runs to end and which to start: decisions on leases and runs, and the runs as Dagster has them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from orchestration.runtime.unfinished_runs import unfinished_runs
from orchestration.tags import SHARD_TAG
from streams.recorder.service import lease_name
from streams.storage.database import Connection
from streams.storage.store.alerts import clear_alert, clear_other_alerts, raise_alert
from streams.storage.store.leases import LeaseRow, find_lease, is_holder_dead

START_LIMIT_S = 60.0
"""A run that has not taken its shard's lease after this long never will."""

_FINISHING_S = 20.0


@dataclass(frozen=True, slots=True)
class LaunchedRun:
    """A run of `record_streams` that has not ended, as the orchestrator knows it."""

    run_id: str
    age_s: float


@dataclass(slots=True)
class Decision:
    """What to do about one shard."""

    start: bool
    reason: str
    dead_run_ids: list[str] = field(default_factory=list)


def decide(lease: LeaseRow | None, runs: Sequence[LaunchedRun]) -> Decision:
    """Decide about one shard from its lease's row (`find_lease`) and its runs in progress.

    At most one run is started for a shard: none while the lease lives, or while a young run is still on its way to it.
    A run whose lease died, or that never took it, is dead and must be ended first. A lease whose holder is late but
    seen to run has not died.
    """
    holder_dead = lease is not None and is_holder_dead(lease.holder)
    if lease is not None and lease.is_held:
        return Decision(start=False, reason=f"recorded by {lease.holder}")
    holder = lease.run_id if lease is not None else None
    is_finishing = (
        lease is not None and not holder_dead and lease.released_at is not None and lease.age_s < _FINISHING_S
    )
    dead = [
        run.run_id
        for run in runs
        if (run.run_id == holder and not is_finishing) or (run.run_id != holder and run.age_s > START_LIMIT_S)
    ]
    waiting = [run.run_id for run in runs if run.run_id not in dead]
    if waiting:
        return Decision(start=False, reason=f"run {waiting[0]} is starting or finishing", dead_run_ids=dead)
    return Decision(start=True, reason="no live recorder", dead_run_ids=dead)


def recorder_runs(instance: dg.DagsterInstance, job: str, shard: int) -> list[LaunchedRun]:
    """Return the runs of the recorder job that host a shard and have not ended."""
    now = time.time()
    records = unfinished_runs(instance, job, {SHARD_TAG: str(shard)})
    return [LaunchedRun(record.dagster_run.run_id, now - record.create_timestamp.timestamp()) for record in records]


def end_dead_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Tell Dagster that the process of a run is gone; a run that has ended meanwhile is left alone."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
    else:
        instance.report_run_failed(run, "The process of this recorder is gone: its lease is dead.")


def alert_on_silence(connection: Connection, shards: int, limit_s: float, watched_s: float) -> dict[int, float]:
    """Raise an alert for each shard whose recorder has been silent for longer than `limit_s`; clear it when it is back.

    Args:
        connection: To the warehouse.
        shards: How many are to be recorded.
        limit_s: Longest silence (seconds).
        watched_s: For how long this start has been looking: a recorder that ended as it was told to, as at the stop
            before, has that long to be started again.

    Returns:
        The seconds since each shard's last sign of life; a shard that was never recorded is missing.
    """
    ages = {}
    clear_other_alerts(connection, "stale_recorder", [f"stale_recorder:{shard}" for shard in range(shards)])
    for shard in range(shards):
        lease = find_lease(connection, lease_name(shard))
        if lease is None:
            continue
        key = f"stale_recorder:{shard}"
        ages[shard] = lease.age_s
        if lease.released_at is not None and watched_s <= limit_s:
            continue
        if lease.age_s > limit_s:
            message = f"The recorder of shard {shard} has given no sign of life for {lease.age_s:.0f} s."
            raise_alert(connection, "stale_recorder", "critical", key, message, {"shard": shard})
        elif lease.is_alive:
            clear_alert(connection, key)
    return ages
