"""Turns signals into trading runs: waits for news inside its tick, so that a run starts within a second."""

import time
from collections.abc import Iterator

import dagster as dg

from orchestration.defs.trading.jobs import hedged_trade
from orchestration.execution.signal_assignment import pick_signals
from orchestration.resources import PlatformResource
from orchestration.runtime.unfinished_runs import unfinished_runs
from orchestration.tags import SIGNALS_TAG
from streams.storage.hints import Hints

# Dagster's daemon looks every 5 seconds whether a tick has ended: one that ends just before leaves no hole.
_WAIT_S = 14.4
_LOOK_S = 1.0
_LEAST_LOOK_S = 0.1
_GRACE_S = 0.4


@dg.sensor(job=hedged_trade, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def spread_sensor(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Start `hedged_trade` runs for open signals; what is not to be traded gets its refusal written.

    No run key: the constraint on (signal, attempt) in Postgres decides what is executed, and once. While runs are
    under way a signal is left to them for a moment: one that stays takes it sooner than a new one could.
    """
    settings = platform.settings()
    deadline = time.monotonic() + _WAIT_S
    with platform.connect() as connection:
        hints = Hints(connection, "crossbook_signals", _LEAST_LOOK_S)
        while True:
            busy = _signals_under_way(context.instance)
            free = settings.trade_runs_max - len(busy)
            taken = {signal_id for ids in busy for signal_id in ids}
            batches = pick_signals(connection, settings, taken, free, _GRACE_S if busy else 0.0)
            if batches:
                for batch in batches:
                    yield _request(batch, settings.trade_stay_s)
                return
            left = deadline - time.monotonic()
            if left <= 0:
                yield dg.SkipReason("no signal to trade" if free else "all trading runs are under way")
                return
            hints.wait(min(left, _GRACE_S if busy else _LOOK_S))


def _request(batch: list[int], stay_s: float) -> dg.RunRequest:
    return dg.RunRequest(
        run_config={"ops": {"trade_signals": {"config": {"signal_ids": batch, "stay_s": stay_s}}}},
        tags={SIGNALS_TAG: ",".join(str(signal_id) for signal_id in batch)},
    )


def _signals_under_way(instance: dg.DagsterInstance) -> list[list[int]]:
    runs = [record.dagster_run for record in unfinished_runs(instance, hedged_trade.name)]
    return [[int(text) for text in run.tags.get(SIGNALS_TAG, "").split(",") if text.isdigit()] for run in runs]
