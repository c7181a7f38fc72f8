"""Keeps one trading run armed, and gives each hedge a run of its own in Dagster's list."""

import time
from collections.abc import Sequence

import dagster as dg

from orchestration.defs.trading.jobs import hedge, hedged_trade, settle_trades
from orchestration.execution.armed.account_lease import account_name
from orchestration.execution.armed.untaken_signals import TAKEN_WITHIN_S, untaken_signals
from orchestration.execution.armed.version import trading_version
from orchestration.resources import PlatformResource
from orchestration.runtime.kept_runs.trader import decide, trader_runs
from orchestration.runtime.unfinished_runs import is_running, unfinished_runs
from orchestration.tags import GROUP_TAG, SIGNAL_TAG, STATE_TAG, WHY_TAG
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.hints import Hints
from streams.storage.store.hedges.abandoned import load_abandoned
from streams.storage.store.hedges.story import hedges_since, newest_hedge
from streams.storage.store.leases import find_lease

# Dagster's daemon looks every 5 seconds whether a tick has ended: one that ends just before leaves no hole.
_WAIT_S = 14.4
_LOOK_S = 1.0
_LEAST_LOOK_S = 0.1
_HEDGE_RUNS = 4
"""Runs of single hedges at a time; those that began meanwhile are followed afterwards."""
_START_S = 0.5
"""A run needs this long to start: it is asked for so much before its signal is its own."""


@dg.sensor(
    jobs=[hedged_trade, hedge, settle_trades],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def spread_sensor(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SensorResult | dg.SkipReason:
    """Start `hedged_trade` when no run is armed or the armed one is to be replaced, and a run `hedge` per hedge.

    Signals are the armed run's: a hint in the database wakes it, not this sensor. One that it leaves for two seconds
    gets a run `hedge`, which trades it. A hedge that nobody works on any more is exposed: a settlement cycle, which
    takes it over, is started at once. No run keys: leases, and the constraint on (signal, attempt), decide what is
    executed, and once.
    """
    settings = platform.settings()
    deadline = time.monotonic() + _WAIT_S
    with platform.connect() as connection:
        hints = Hints(connection, "crossbook_signals", _LEAST_LOOK_S)
        followed = int(context.cursor) if context.cursor else newest_hedge(connection)
        version = trading_version(settings)
        while True:
            arming = _arming(context.instance, connection, settings, version)
            requests, followed = _hedges(context.instance, connection, settings, followed)
            requests += _takeover(context.instance, connection, settings)
            if arming or requests or time.monotonic() >= deadline:
                return dg.SensorResult(
                    run_requests=[*arming, *requests],
                    skip_reason=None if arming or requests else dg.SkipReason("a run is armed; nothing waits"),
                    cursor=str(followed),
                )
            hints.wait(min(max(deadline - time.monotonic(), 0), _LOOK_S))


def _arming(
    instance: dg.DagsterInstance, connection: Connection, settings: Settings, version: str
) -> list[dg.RunRequest]:
    """Return the request of an armed run, if one is to be started."""
    if settings.trading_mode == "off":
        return []
    lease = find_lease(connection, account_name(settings.trading_mode))
    if not decide(lease, trader_runs(instance, hedged_trade.name), version).start:
        return []
    config = {"ops": {"trade_while_signals_open": {"config": {"version": version}}}}
    return [dg.RunRequest(job_name=hedged_trade.name, run_config=config)]


def _takeover(instance: dg.DagsterInstance, connection: Connection, settings: Settings) -> list[dg.RunRequest]:
    """Return the request of a settlement cycle, if a hedge was left in the middle and none is under way."""
    if settings.trading_mode == "off" or is_running(instance, settle_trades.name):
        return []
    left = load_abandoned(connection, settings.trading_mode)
    why = f"nobody works on {', '.join(f'execution {number}' for number in left)}"
    return [dg.RunRequest(job_name=settle_trades.name, tags={WHY_TAG: why})] if left else []


def _hedges(
    instance: dg.DagsterInstance, connection: Connection, settings: Settings, followed: int
) -> tuple[list[dg.RunRequest], int]:
    """Return requests of hedges that nobody follows yet and of signals that nobody takes, and the newest followed."""
    running = [record.dagster_run for record in unfinished_runs(instance, hedge.name)]
    free = _HEDGE_RUNS - len(running)
    requests = []
    for begun in hedges_since(connection, followed, max(free, 0)):
        followed = begun.execution_id
        if str(begun.signal_id) not in _signals(running):
            requests.append(_request(begun.signal_id, begun.group_id, begun.state, begun.execution_id))
    taken = {*_signals(running), *(request.tags[SIGNAL_TAG] for request in requests)}
    waiting = untaken_signals(connection, settings, free - len(requests), TAKEN_WITHIN_S - _START_S)
    requests += [
        _request(signal.signal_id, signal.group_id, "waiting", None)
        for signal in waiting
        if str(signal.signal_id) not in taken
    ]
    return requests, followed


def _signals(runs: Sequence[dg.DagsterRun]) -> set[str]:
    return {run.tags.get(SIGNAL_TAG, "") for run in runs}


def _request(signal_id: int, group_id: str, state: str, execution_id: int | None) -> dg.RunRequest:
    config = {"signal_id": signal_id} | ({} if execution_id is None else {"execution_id": execution_id})
    return dg.RunRequest(
        job_name=hedge.name,
        run_config={"ops": {"follow_hedge": {"config": config}}},
        tags={SIGNAL_TAG: str(signal_id), GROUP_TAG: group_id, STATE_TAG: state},
    )
