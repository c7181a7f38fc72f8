"""Whether an armed trading run is to be started: there is none, or it is to hand over to a new one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from orchestration.execution.armed.account_lease import account_name
from orchestration.runtime.launcher import worker_of
from orchestration.runtime.unfinished_runs import unfinished_runs
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.storage.store.leases import LeaseRow, find_lease

_KIND = "no_armed_run"

START_LIMIT_S = 60.0
"""A run that has not taken the account after this long is not waited for any more."""
MAX_AGE_S = 20 * 3600.0
"""After so long an armed run hands over to a new one."""


@dataclass(frozen=True, slots=True)
class TraderRun:
    """A run of the armed job that has not ended: seconds since it was asked for, and whether its process is gone."""

    run_id: str
    age_s: float
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Arming:
    """What to do: `start` a run or not, and why."""

    start: bool
    reason: str


def decide(lease: LeaseRow | None, runs: Sequence[TraderRun], version: str) -> Arming:
    """Decide from the account's lease (`find_lease`), the runs that have not ended and the version that is wanted.

    At most one run is on its way to the account at a time. The one that is armed goes on while the next one starts.
    """
    holder = None if lease is None else lease.run_id
    coming = [run for run in runs if run.run_id != holder and run.age_s <= START_LIMIT_S and not run.is_gone]
    if coming:
        return Arming(False, f"run {coming[0].run_id} is on its way")
    if lease is None or not lease.is_held:
        return Arming(True, "no run is armed")
    detail = lease.detail
    if detail.get("version") != version:
        return Arming(True, "code, settings or keys have changed")
    if float(detail.get("armed_s", 0)) > MAX_AGE_S:
        return Arming(True, "the armed run is a day old")
    return Arming(False, f"run {holder} is armed")


def alert_on_unarmed(connection: Connection, settings: Settings, watched_s: float) -> float | None:
    """Raise an alert while trading is on and no run has been armed for too long; clear it when one is.

    Args:
        connection: To the warehouse.
        settings: With the trading mode and the longest silence.
        watched_s: For how long this start has been looking: a run has that long to be armed first.

    Returns:
        Seconds since the armed run's last sign of life; None where none ever was.
    """
    lease = find_lease(connection, account_name(settings.trading_mode))
    age_s = watched_s if lease is None else min(lease.age_s, watched_s) if lease.released_at else lease.age_s
    is_silent = age_s > settings.armed_stale_after_s and not (lease is not None and lease.is_held)
    if settings.trading_mode != "off" and is_silent:
        message = f"No trading run has been armed for {age_s:.0f} s: each signal waits for a run of its own."
        raise_alert(connection, _KIND, "critical", _KIND, message)
    else:
        clear_alert(connection, _KIND)
    return None if lease is None else lease.age_s


def trader_runs(instance: dg.DagsterInstance, job: str) -> list[TraderRun]:
    """Return the runs of the armed job that have not ended."""
    now = time.time()
    return [
        TraderRun(
            record.dagster_run.run_id,
            now - record.create_timestamp.timestamp(),
            is_gone=(worker := worker_of(record.dagster_run)) is not None and not worker.is_alive(),
        )
        for record in unfinished_runs(instance, job)
    ]
