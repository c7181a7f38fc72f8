"""A trading run takes its signals and then stays a while for those that come next.

Starting a run costs a second or two; one that is there already sends its first order within a fraction of one. Which
run takes a signal is decided by an advisory lock on its group, held while it is traded: runs that stay, and new ones,
never work on one group at the same time, and a signal that another has traded meanwhile is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from orchestration.execution.trade_signal import Outcome
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.risk import current_switch
from streams.storage.store.signals import load_actionable

Trade = Callable[[int], Awaitable[Outcome]]

MAX_LIFE_S = 240.0
"""A run ends after this time whatever comes, so that new code and settings are taken up."""
_LOOK_S = 1.0
_CANDIDATES = 20


async def trade_and_stay(
    connection: Connection, settings: Settings, trade: Trade, signal_ids: list[int], stay_s: float
) -> list[Outcome]:
    """Trade the signals given, then whatever is open, until nothing has come for `stay_s` or the switch is not run.

    Args:
        connection: Also listens for signals.
        settings: Of this run.
        trade: Takes one signal to its end.
        signal_ids: What the run was started for.
        stay_s: 0 ends the run after its own signals.
    """
    outcomes = []
    for signal_id in signal_ids:
        with _claimed(connection, signal_id) as is_ours:
            if is_ours:
                outcomes.append(await trade(signal_id))
    if stay_s <= 0:
        return outcomes
    connection.execute("LISTEN crossbook_signals")
    begun = traded_at = time.monotonic()
    while current_switch(connection) == "run":
        outcome = await _trade_next(connection, settings, trade)
        now = time.monotonic()
        if outcome is not None:
            outcomes.append(outcome)
            traded_at = now
        if now - begun > MAX_LIFE_S or now - traded_at > stay_s:
            break
        if outcome is None:
            for _ in connection.notifies(timeout=_LOOK_S, stop_after=1):
                pass
    return outcomes


async def _trade_next(connection: Connection, settings: Settings, trade: Trade) -> Outcome | None:
    for signal_id in _actionable(connection, settings):
        with _claimed(connection, signal_id) as is_ours:
            # what was read before the lock may have been traded by who held it
            if is_ours and signal_id in _actionable(connection, settings):
                return await trade(signal_id)
    return None


def _actionable(connection: Connection, settings: Settings) -> list[int]:
    retry_after_s = max(settings.execution_cooldown_s, 2.0)
    rows = load_actionable(connection, retry_after_s, settings.execution_attempts, _CANDIDATES)
    return [row["signal_id"] for row in rows]


@contextmanager
def _claimed(connection: Connection, signal_id: int) -> Iterator[bool]:
    """Hold the group of a signal; False when another run has it, or when the signal has bought something before."""
    row = connection.execute(
        """SELECT hashtextextended('trade ' || group_id, 0) AS key,
               pg_try_advisory_lock(hashtextextended('trade ' || group_id, 0)) AS is_held
           FROM trading.signals WHERE signal_id = %s""",
        (signal_id,),
    ).fetchone()
    if row is None or not row["is_held"]:
        yield row is None  # that there is no such signal is for the desk to say
        return
    try:
        traded = connection.execute(
            """SELECT 1 AS x FROM trading.executions
               WHERE signal_id = %s AND (state <> 'FLAT' OR detail ? 'flatten') LIMIT 1""",
            (signal_id,),
        ).fetchone()
        yield traded is None
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (row["key"],))
