"""What the watcher knows when it judges. PURE: gathered elsewhere; a part that could not be looked at is None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.alerting.facts import TableFacts


@dataclass(frozen=True, slots=True)
class FailedRun:
    """The newest run of some work, which failed, and no later one of the same work has succeeded.

    Attributes:
        work: Names the work: the job, with the shard or the assets where the job says too little.
        why: Its error in one line; empty where it left none.
    """

    work: str
    run_id: str
    failed_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The newest result of an asset check; `passed` is None while it is being evaluated."""

    name: str
    passed: bool | None
    is_error: bool


@dataclass(frozen=True, slots=True)
class MadeAsset:
    """An asset that states how fresh it must be.

    Attributes:
        age_s: Since it was made last; None: it never was.
        limit_s: Longest time between two of its makings.
    """

    name: str
    is_mart: bool
    age_s: float | None
    limit_s: float


@dataclass(frozen=True, slots=True)
class Instigator:
    """A sensor or schedule that runs by default; `error` is set where its last evaluations all failed."""

    name: str
    is_stopped: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class DagsterFacts:
    """What Dagster says."""

    failed_runs: Sequence[FailedRun]
    checks: Sequence[CheckResult]
    assets: Sequence[MadeAsset]
    instigators: Sequence[Instigator]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is judged at once.

    Attributes:
        watched_s: For how long this process has been looking: after a start things get the time to be made again.
    """

    watched_s: float
    dagster: DagsterFacts | None
    tables: TableFacts | None
