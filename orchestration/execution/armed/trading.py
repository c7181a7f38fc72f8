"""Puts an armed trading run together: the account's lease, connections, desks and the loop that trades."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from orchestration.execution.accounts.dead_mans_switch import fed_dead_mans_switch
from orchestration.execution.accounts.live_checks import prepare_accounts
from orchestration.execution.armed.account_lease import AccountLease
from orchestration.execution.armed.armed_run import ArmedRun, Desk, Tally
from orchestration.execution.armed.fresh_readings import kept_fresh
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext, open_trading_context
from streams.logs import get_logger
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.hints import Hints
from streams.storage.store.leases import process_holder, release_held_by

_LEAST_WAIT_S = 0.1


@dataclass(slots=True)
class Armed:
    """One armed run as it states itself.

    Attributes:
        run_id: Of the run.
        version: What it was started with (`trading_version`).
        tally: What it has done.
        why_ended: Why it takes no signal any more; empty while it does, and when it was told to stop.
    """

    run_id: str
    version: str
    tally: Tally = field(default_factory=Tally)
    why_ended: str = ""
    _armed_at: float = field(default_factory=time.monotonic)

    def detail(self) -> dict[str, object]:
        """Return what stands beside the account's lease (JSON)."""
        return {
            "version": self.version,
            "armed_s": round(time.monotonic() - self._armed_at, 1),
            "at_work": self.tally.at_work,
            "ended": dict(self.tally.ended),
        }


async def trade_while_armed(dsn: str, settings: Settings, armed: Armed, stop: asyncio.Event) -> None:
    """Take the account, trade what opens, and end when told to or when another run takes over.

    Args:
        dsn: Of the warehouse.
        settings: Of the run.
        armed: Is kept up to date.
        stop: Ends it; what was begun is brought to its end first.

    Raises:
        psycopg.Error: If the warehouse fails; the caller may begin again.
        ConfigurationError: If orders are to be sent and a key is missing, or trading is off.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def on_end(why: str) -> None:
        armed.why_ended = why
        get_logger().info("the armed run takes no signal any more", why=why)
        loop.call_soon_threadsafe(ended.set)

    with ExitStack() as stack:
        look, news, keeper = (stack.enter_context(connect(dsn, application="crossbook armed run")) for _ in range(3))
        async with open_trading_context(settings, look, is_listening=True) as context:
            lease = AccountLease(dsn, settings, armed.run_id, detail=armed.detail, on_end=on_end)
            context = replace(context, account=lambda: lease.lease)
            desks = _desks(stack, dsn, settings, context, armed.run_id)
            release_held_by(look, [desk.holder for desk in desks])
            await prepare_accounts(look, context)
            if not await asyncio.to_thread(lease.arm, lambda: not stop.is_set()):
                return
            hints = Hints(news, "crossbook_signals", _LEAST_WAIT_S)
            run = ArmedRun(settings, look, desks, hints.wait, armed.tally)
            try:
                async with fed_dead_mans_switch(context, on_end), kept_fresh(keeper, context):
                    await _until_either(run.until, stop, ended)
            finally:
                await asyncio.to_thread(lease.give_back)


def _desks(stack: ExitStack, dsn: str, settings: Settings, context: TradingContext, run_id: str) -> list[Desk]:
    desks = []
    for number in range(settings.hedges_at_once):
        connection: Connection = stack.enter_context(connect(dsn, application="crossbook armed run"))
        holder = process_holder(f"desk-{number}")
        trader = SignalTrader(connection, context, run_id, holder)
        desks.append(Desk(connection, trader.trade, holder))
    return desks


async def _until_either(
    work: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event, ended: asyncio.Event
) -> None:
    """Work until one of two events is set, whichever comes first."""
    either = asyncio.Event()

    async def watch(event: asyncio.Event) -> None:
        await event.wait()
        either.set()

    watchers = [asyncio.create_task(watch(event)) for event in (stop, ended)]
    try:
        await work(either)
    finally:
        for watcher in watchers:
            watcher.cancel()
