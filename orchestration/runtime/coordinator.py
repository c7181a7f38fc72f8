"""The run coordinator: recorder and trade runs start at once, everything else is queued as usual."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.run_coordinator.base import SubmitRunContext

from orchestration.tags import BATCH, RECORDER, SLOT_TAG, TRADE

_AT_ONCE = {RECORDER[SLOT_TAG], TRADE[SLOT_TAG]}


class SlotRunCoordinator(dg.QueuedRunCoordinator):
    """A queue that runs of the slots `recorder` and `trade` do not stand in.

    The daemon looks at the queue once a second and holds batch runs to one at a time; an opportunity does not wait for
    either. How many such runs there may be is decided by leases in Postgres, not here. A run without a slot, as when
    somebody materialises assets on a page of Dagster, stands in the slot `batch`.
    """

    def submit_run(self, context: SubmitRunContext) -> Any:
        """Launch the run now if its slot says so, else enqueue it; returns the run as it is afterwards."""
        run = context.dagster_run
        if SLOT_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, BATCH)
        if run.tags.get(SLOT_TAG) not in _AT_ONCE or run.status != dg.DagsterRunStatus.NOT_STARTED:
            return super().submit_run(context)
        self._instance.launch_run(run.run_id, context.workspace)
        return self._instance.get_run_by_id(run.run_id)
