"""When an armed trading run is started."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestration.runtime.kept_runs.trader import MAX_AGE_S, START_LIMIT_S, TraderRun, decide
from streams.process_id import ProcessId
from streams.storage.store.leases import LeaseRow, process_holder

DEAD = f"{socket.gethostname()}:{replace(ProcessId.own(), ticks=1)}"


def lease(**changes: Any) -> LeaseRow:
    row = LeaseRow(
        "trader:live", process_holder(), "a", epoch=1, released_at=None, is_alive=True, age_s=1.0,
        detail={"version": "v", "armed_s": 10},
    )  # fmt: skip
    return replace(row, **changes)


def test_a_run_is_started_where_there_was_none() -> None:
    assert decide(None, [], "v").start


def test_none_is_started_while_one_is_on_its_way() -> None:
    assert not decide(None, [TraderRun("a", 5)], "v").start
    assert decide(None, [TraderRun("a", START_LIMIT_S + 1)], "v").start
    assert decide(None, [TraderRun("a", 5, is_gone=True)], "v").start


def test_none_is_started_while_one_is_armed() -> None:
    assert not decide(lease(), [TraderRun("a", 500)], "v").start


def test_an_armed_run_whose_process_is_gone_is_replaced_at_once() -> None:
    assert decide(lease(holder=DEAD), [TraderRun("a", 500, is_gone=True)], "v").start


def test_an_armed_run_that_gave_its_account_back_is_replaced_while_it_finishes() -> None:
    given_back = lease(released_at=datetime.now(UTC), is_alive=False)
    assert decide(given_back, [TraderRun("a", 500)], "v").start


def test_an_armed_run_hands_over_when_code_or_settings_change_and_daily() -> None:
    runs = [TraderRun("a", 500)]
    assert decide(lease(), runs, "w").reason == "code, settings or keys have changed"
    assert decide(lease(detail={"version": "v", "armed_s": MAX_AGE_S + 1}), runs, "v").start


def test_one_run_at_a_time_is_on_its_way_to_take_over() -> None:
    assert not decide(lease(), [TraderRun("a", 500), TraderRun("b", 3)], "w").start
