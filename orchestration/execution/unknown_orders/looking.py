"""Looking for orders of unknown fate as often as their age asks for, which is more often than cycles are started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from orchestration.execution.decide import absence
from orchestration.execution.reconcile import reconcile
from orchestration.execution.trading_context import TradingContext
from streams.storage.database import Connection
from streams.storage.store.hedges.abandoned import load_abandoned
from streams.storage.store.hedges.watches import load_watched
from streams.storage.store.settlement import due_work

STAY_S = 50.0
"""Longest time a settlement cycle stays to look on; then payouts and balances have their turn."""
_WORTH_STAYING_S = 12.0
"""A look that is due later than this is left to the cycle that is started for it."""
_LEAST_PAUSE_S = 0.05


async def look_on(
    connection: Connection,
    context: TradingContext,
    run_id: str,
    *,
    stay_s: float = STAY_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Go on looking for orders of unknown fate; return how many times it was looked.

    It ends when no look is due soon, after `stay_s`, and when something is due that only a whole cycle does.

    Args:
        connection: Where the rows are.
        context: Whose orders they are.
        run_id: Of the run that looks.
        stay_s: Longest time it stays.
        sleep: Waits for some seconds.
    """
    begun, looks = context.boot_clock(), 0
    while not _is_wanted_elsewhere(connection, context):
        wait_s = next_look_in_s(connection, context)
        stayed_ms = context.boot_clock().since_ms(begun)
        if wait_s is None or wait_s > _WORTH_STAYING_S or stayed_ms is None or stayed_ms / 1000 + wait_s > stay_s:
            break
        await sleep(max(_LEAST_PAUSE_S, wait_s))
        if (await reconcile(connection, context, run_id, with_provisional=False)).busy:
            break
        looks += 1
    return looks


def next_look_in_s(connection: Connection, context: TradingContext) -> float | None:
    """Return how long until the next order is to be looked for (seconds, at least 0); None where none is."""
    now = context.boot_clock()
    due = [
        absence.due_in_s(order.watch, now, is_given_up=order.is_given_up)
        for order in load_watched(connection, context.mode)
    ]
    return max(0.0, min(due)) if due else None


def _is_wanted_elsewhere(connection: Connection, context: TradingContext) -> bool:
    """Whether a whole cycle is due: something may rest under a kill, a person asked for a flatten, a hedge was left."""
    due = due_work(connection, context.mode, balances_every_s=STAY_S)
    return bool(due.kill) or due.flatten or bool(load_abandoned(connection, context.mode))
