"""The tags our runs carry, and the states of a run that has not ended. Knows nothing of Dagster.

The slot says which queue a run stands in (`dagster.yaml`): `batch` and `refresh` one at a time each, `recorder` and
`trade` not at all. A run that names no slot is a batch run.
"""

from __future__ import annotations

from streams.processes.parts import Process

SLOT_TAG = "crossbook/slot"
BATCH = {SLOT_TAG: "batch"}
REFRESH = {SLOT_TAG: "refresh"}
RECORDER = {SLOT_TAG: "recorder"}
TRADE = {SLOT_TAG: "trade"}

SHARD_TAG = "crossbook/shard"
"""Which recorder shard a run of `record_streams` hosts."""
SIGNAL_TAG = "crossbook/signal"
"""Id of the signal that a run of `hedge` is for."""
GROUP_TAG = "crossbook/group"
"""Market group of that signal."""
STATE_TAG = "crossbook/state"
"""Where its hedge is: `waiting`, or a state of the execution, at last the one it ended in."""
WHY_TAG = "crossbook/why"
"""What a run of `settle_trades` was due for."""
LAUNCH_TAG = "crossbook/launch"
"""By which the supervisor finds a run again whose launch was not answered."""
PID_TAG = "crossbook/worker_pid"
STARTED_TAG = "crossbook/worker_started"
"""With the id of a run's process: when that process started, in clock ticks since boot."""
BOOT_TAG = "crossbook/worker_boot"
"""Of which boot of the machine those ticks are; missing on runs of earlier versions."""

_PROCESSES = {
    "record_streams": Process.RECORDER_RUN,
    "hedged_trade": Process.TRADING_RUN,
    "hedge": Process.TRADING_RUN,
    "settle_trades": Process.TRADING_RUN,
    "upkeep": Process.UPKEEP_RUN,
}


def process_of(job_name: str) -> Process:
    """Return what kind of process runs a job, which decides its logins and secrets. Tags, which people set, do not."""
    return _PROCESSES.get(job_name, Process.BATCH_RUN)


UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""Names of the states of a run that has not ended yet."""
