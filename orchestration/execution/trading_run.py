"""A trading run takes its signals and then waits a while for those that come next.

Starting a run costs a second or two; one that is there already sends its first order within a fraction of one. Which
run takes a signal is decided by a claim on its group, held while it is traded: runs that wait, and new ones, never work
on one group at the same time, and a signal that another has traded meanwhile is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from orchestration.execution.trade_signal import TradeResult
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.hints import Hints
from streams.storage.kill_files import switch_in_force
from streams.storage.store.executions import has_traded
from streams.storage.store.signals import claim_group, load_actionable, release_group

Trade = Callable[[int], Awaitable[TradeResult]]

MAX_LIFE_S = 240.0
"""A run ends after this time whatever comes, so that new code and settings are taken up."""
_POLL_S = 1.0
_LEAST_POLL_S = 0.1
_CANDIDATES = 20


async def trade_and_wait(
    connection: Connection, settings: Settings, trade: Trade, signal_ids: list[int], wait_s: float
) -> list[TradeResult]:
    """Trade the signals given, then whatever is open, until nothing has come for `wait_s` or the switch is not run.

    Args:
        connection: Also listens for signals.
        settings: Of this run.
        trade: Takes one signal to its end.
        signal_ids: What the run was started for.
        wait_s: 0 ends the run after its own signals.
    """
    results = []
    for signal_id in signal_ids:
        with _claimed(connection, signal_id) as is_ours:
            if is_ours:
                results.append(await trade(signal_id))
    if wait_s <= 0:
        return results
    hints = Hints(connection, "crossbook_signals", _LEAST_POLL_S)
    begun = traded_at = time.monotonic()
    while switch_in_force(connection, settings.home_dir) == "run":
        result = await _trade_next(connection, settings, trade)
        now = time.monotonic()
        if result is not None:
            results.append(result)
            traded_at = now
        if now - begun > MAX_LIFE_S or now - traded_at > wait_s:
            break
        if result is None:
            hints.wait(_POLL_S)
    return results


async def _trade_next(connection: Connection, settings: Settings, trade: Trade) -> TradeResult | None:
    for signal_id in _actionable(connection, settings):
        with _claimed(connection, signal_id) as is_ours:
            # what was read before the lock may have been traded by who held it
            if is_ours and signal_id in _actionable(connection, settings):
                return await trade(signal_id)
    return None


def _actionable(connection: Connection, settings: Settings) -> list[int]:
    retry_after_s = max(settings.execution_cooldown_s, 2.0)
    signals = load_actionable(connection, retry_after_s, settings.execution_attempts, _CANDIDATES)
    return [signal.signal_id for signal in signals]


@contextmanager
def _claimed(connection: Connection, signal_id: int) -> Iterator[bool]:
    """Hold the market group of a signal; False when another run has it, or when the signal has traded before."""
    claim = claim_group(connection, signal_id)
    if claim is None:
        yield True  # that there is no such signal is for the trader to say
        return
    if not claim.is_held:
        yield False
        return
    try:
        yield not has_traded(connection, signal_id)
    finally:
        release_group(connection, claim)
