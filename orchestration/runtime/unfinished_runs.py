"""Which runs have not ended yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from orchestration.tags import UNFINISHED

_STATUSES = [dg.DagsterRunStatus[name] for name in UNFINISHED]


def unfinished_runs(
    instance: dg.DagsterInstance, job: str | None = None, tags: Mapping[str, str] | None = None
) -> Sequence[dg.RunRecord]:
    """Return the runs that have not ended, newest first: of one job, with these tags, or all."""
    return instance.get_run_records(dg.RunsFilter(job_name=job, statuses=_STATUSES, tags=dict(tags or {})))


def is_running(instance: dg.DagsterInstance, job: str) -> bool:
    """Return whether a run of the job waits, runs or is being ended."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=_STATUSES), limit=1))
