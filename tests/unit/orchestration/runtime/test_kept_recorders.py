"""Which recorder runs are started and which are declared dead."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestration.runtime.kept_runs.recorders import LaunchedRun, decide
from streams.process_id import ProcessId
from streams.storage.store.leases import LATE_LIMIT_S, LeaseRow, process_holder


def lease(**changes: Any) -> LeaseRow:
    row = LeaseRow("shard:0", process_holder(), "a", epoch=1, released_at=None, is_alive=True, age_s=1.0)
    return replace(row, **changes)


DEAD = f"{socket.gethostname()}:{replace(ProcessId.own(), ticks=1)}"


def test_a_shard_nobody_ever_recorded_is_started() -> None:
    assert decide(None, []).start


def test_nothing_is_started_while_the_lease_lives() -> None:
    assert not decide(lease(), [LaunchedRun("a", 500)]).start


def test_a_dead_process_is_replaced_before_its_lease_expires() -> None:
    decision = decide(lease(holder=DEAD), [LaunchedRun("a", 500)])
    assert (decision.start, decision.dead_run_ids) == (True, ["a"])


def test_a_process_named_as_an_earlier_version_did_is_replaced() -> None:
    decision = decide(lease(holder=f"{socket.gethostname()}:{os.getpid()}:1.00"), [LaunchedRun("a", 500)])
    assert (decision.start, decision.dead_run_ids) == (True, ["a"])


def test_a_recorder_that_is_late_but_seen_to_run_is_left_alone() -> None:
    late = lease(is_alive=False, age_s=30, late_s=15)
    assert not decide(late, [LaunchedRun("a", 500)]).start


def test_a_recorder_that_hangs_is_replaced() -> None:
    decision = decide(lease(is_alive=False, age_s=90, late_s=LATE_LIMIT_S + 1), [LaunchedRun("a", 500)])
    assert (decision.start, decision.dead_run_ids) == (True, ["a"])


def test_an_expired_lease_of_another_host_is_replaced() -> None:
    decision = decide(lease(holder="elsewhere:1:1.00", is_alive=False, age_s=20), [LaunchedRun("a", 500)])
    assert (decision.start, decision.dead_run_ids) == (True, ["a"])


def test_a_young_run_without_a_lease_is_waited_for() -> None:
    decision = decide(lease(holder=DEAD), [LaunchedRun("a", 500), LaunchedRun("b", 3)])
    assert (decision.start, decision.dead_run_ids) == (False, ["a"])


def test_a_run_that_never_took_the_lease_is_dead() -> None:
    decision = decide(None, [LaunchedRun("b", 61)])
    assert (decision.start, decision.dead_run_ids) == (True, ["b"])


def test_a_run_that_has_just_released_its_lease_may_finish() -> None:
    decision = decide(lease(is_alive=False, released_at=datetime.now(UTC), age_s=2), [LaunchedRun("a", 500)])
    assert (decision.start, decision.dead_run_ids) == (False, [])
