"""In which slot a run stands when it is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.run_coordinator.base import SubmitRunContext

from orchestration.runtime.coordinator import SlotRunCoordinator
from orchestration.tags import BATCH, REFRESH, SLOT_TAG, TRADE


@dg.job
def empty() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@dataclass
class Submitted:
    """What became of a run: the slot it has, and whether it was launched at once or put into the queue."""

    slot: str
    is_launched: bool
    is_queued: bool


def submit(instance: dg.DagsterInstance, tags: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Submitted:
    launched: list[str] = []
    queued: list[str] = []
    monkeypatch.setattr(instance, "launch_run", lambda run_id, _: launched.append(run_id))
    monkeypatch.setattr(
        dg.QueuedRunCoordinator, "submit_run", lambda _, context: queued.append(context.dagster_run.run_id)
    )
    coordinator = SlotRunCoordinator()
    coordinator.register_instance(instance)
    run = instance.create_run_for_job(empty, tags=tags)
    coordinator.submit_run(SubmitRunContext(run, cast(Any, None)))
    kept = instance.get_run_by_id(run.run_id)
    assert kept is not None
    return Submitted(kept.tags[SLOT_TAG], launched == [run.run_id], queued == [run.run_id])


def test_a_run_without_a_slot_waits_in_the_slot_batch(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert submit(instance, {}, monkeypatch) == Submitted(BATCH[SLOT_TAG], is_launched=False, is_queued=True)


def test_a_slot_that_a_run_names_is_kept(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    assert submit(instance, REFRESH, monkeypatch) == Submitted(REFRESH[SLOT_TAG], is_launched=False, is_queued=True)


def test_a_trade_does_not_wait(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    assert submit(instance, TRADE, monkeypatch) == Submitted(TRADE[SLOT_TAG], is_launched=True, is_queued=False)
