"""Feeds Polymarket's dead man's switch while a run trades: when it falls silent, the venue cancels what rests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from orchestration.execution.trading_context import TradingContext
from streams.logs import get_logger
from streams.venues.polymarket.clob.heartbeat import DeadMansSwitch, beat, keep_alive


@asynccontextmanager
async def fed_dead_mans_switch(context: TradingContext, on_end: Callable[[str], None]) -> AsyncIterator[None]:
    """Send the first beat, then one every few seconds in the background; nothing is sent for accounts on paper.

    Args:
        context: Of the run.
        on_end: Is told why beating has ended, should the venue refuse it for good: the run may not go on without.

    Raises:
        PermanentError: If the venue refuses the first beat: the run would trade without the switch.
    """
    if context.beats is None:
        yield
        return
    switch = DeadMansSwitch()
    await beat(context.beats, switch)
    feeding = asyncio.create_task(keep_alive(context.beats, switch))

    def say(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            get_logger().error("the dead man's switch is not fed any more", error=str(error))
            on_end(f"the dead man's switch is not fed any more: {error}")

    feeding.add_done_callback(say)
    try:
        yield
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError, Exception):  # whatever ended it, `on_end` was told
            await feeding
