"""The tags our runs carry, and the states of a run that has not ended. Knows nothing of Dagster.

The slot says which queue a run stands in (`dagster.yaml`): `batch` and `refresh` one at a time each, `recorder` and
`trade` not at all. A run that names no slot is a batch run.
"""

from __future__ import annotations

SLOT_TAG = "crossbook/slot"
BATCH = {SLOT_TAG: "batch"}
REFRESH = {SLOT_TAG: "refresh"}
RECORDER = {SLOT_TAG: "recorder"}
TRADE = {SLOT_TAG: "trade"}

SHARD_TAG = "crossbook/shard"
"""Which recorder shard a run of `record_streams` hosts."""
SIGNALS_TAG = "crossbook/signals"
"""Ids of the signals that a run of `hedged_trade` was started for, with commas between them."""
WHY_TAG = "crossbook/why"
"""What a run of `settle_trades` was due for."""
PID_TAG = "crossbook/worker_pid"
STARTED_TAG = "crossbook/worker_started"
"""With the id of a run's process: when that process started, in clock ticks since boot."""

UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""Names of the states of a run that has not ended yet."""
