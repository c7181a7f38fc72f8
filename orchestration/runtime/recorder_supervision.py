"""Which recorder runs to end and which to start: pure decisions on leases and runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.storage.store.leases import LeaseRow, is_holder_dead

START_LIMIT_S = 60.0
"""A run that has not taken its shard's lease after this long never will."""

_FINISHING_S = 20.0


@dataclass(frozen=True, slots=True)
class RecorderRun:
    """A run of `record_streams` that has not ended, as the orchestrator knows it."""

    run_id: str
    age_s: float


@dataclass(slots=True)
class Decision:
    """What to do about one shard."""

    start: bool
    reason: str
    dead_run_ids: list[str] = field(default_factory=list)


def decide(lease: LeaseRow | None, runs: Sequence[RecorderRun]) -> Decision:
    """Decide about one shard from its lease's row (`find_lease`) and its runs in progress.

    At most one run is started for a shard: none while the lease lives, or while a young run is still on its way to it.
    A run whose lease died, or that never took it, is dead and must be ended first.
    """
    holder_dead = lease is not None and is_holder_dead(lease.holder)
    if lease is not None and lease.is_alive and not holder_dead:
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
