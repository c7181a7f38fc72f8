"""The armed trading run: connections are open, accounts are ready, and signals are traded as they open, some at a time.

Which run trades a signal is decided by a claim on its market group, held while it is traded: whoever else trades never
works on one group at the same time, and a signal that another has traded meanwhile is left alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestration.execution.trade_signal import TradeResult
from streams.logs import get_logger
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.kill_files import switch_in_force
from streams.storage.store.executions import has_traded
from streams.storage.store.signals import ActionableSignal, claim_group, load_actionable, release_group

Trade = Callable[[int], Awaitable[TradeResult]]

LEAST_RETRY_S = 2.0
"""A signal that was refused is not tried again sooner, whatever the cooldown."""
_POLL_S = 1.0
_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Desk:
    """A place in the run at which one signal at a time is traded.

    Attributes:
        connection: Of this desk alone, for claims and for the trader.
        trade: Takes one signal to its end.
        holder: Under which name it claims market groups.
    """

    connection: Connection
    trade: Trade
    holder: str


@dataclass(slots=True)
class Tally:
    """What a run has done: signals by how they ended (a state, or the reason of a refusal), and those at work now."""

    ended: Counter[str] = field(default_factory=Counter)
    at_work: int = 0


class ArmedRun:
    """Trades what opens until it is told to stop.

    Args:
        settings: Of this run.
        connection: Of the event loop, to look for signals.
        desks: As many signals are traded at a time.
        wait_for_news: Waits for a hint that a signal opened, at most so many seconds; runs in a thread of its own.
        tally: Is kept up to date.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        desks: Sequence[Desk],
        wait_for_news: Callable[[float], object],
        tally: Tally,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._free = list(desks)
        self._wait_for_news = wait_for_news
        self._tally = tally
        self._working: dict[asyncio.Task[TradeResult | None], tuple[ActionableSignal, Desk]] = {}
        self._left_until: dict[int, float] = {}

    async def until(self, stop: asyncio.Event) -> None:
        """Take signals until `stop` is set, then bring to an end what was begun.

        Raises:
            psycopg.Error: If the warehouse fails; what is under way at other desks is brought to its end first.
        """
        stopping = asyncio.create_task(stop.wait())
        news: asyncio.Task[object] = asyncio.create_task(asyncio.to_thread(self._wait_for_news, 0.0))
        try:
            while not stop.is_set():
                if switch_in_force(self._connection, self._settings.home_dir) == "run":
                    self._begin()
                await asyncio.wait({stopping, news, *self._working}, return_when=asyncio.FIRST_COMPLETED)
                if news.done():
                    news.result()
                    news = asyncio.create_task(asyncio.to_thread(self._wait_for_news, _POLL_S))
                self._collect()
        finally:
            stopping.cancel()
            if self._working:
                await asyncio.wait(self._working)
            await asyncio.wait({news})
            self._collect()

    def _begin(self) -> None:
        """Give free desks the most profitable signals that nobody works on."""
        now = time.monotonic()
        self._left_until = {signal: until for signal, until in self._left_until.items() if until > now}
        if not self._free:
            return
        busy = {signal.group_id for signal, _ in self._working.values()}
        for signal in _actionable(self._connection, self._settings):
            if not self._free:
                return
            if signal.group_id in busy or signal.signal_id in self._left_until:
                continue
            busy.add(signal.group_id)
            desk = self._free.pop()
            self._working[asyncio.create_task(self._trade(desk, signal))] = (signal, desk)
            self._tally.at_work += 1

    async def _trade(self, desk: Desk, signal: ActionableSignal) -> TradeResult | None:
        with claimed(desk.connection, signal.signal_id, desk.holder) as is_ours:
            # what was read before the claim may have been traded by who held it
            if is_ours and signal in _actionable(desk.connection, self._settings):
                return await desk.trade(signal.signal_id)
        return None

    def _collect(self) -> None:
        """Count what has ended and free its desks."""
        ended = [task for task in self._working if task.done()]
        failed: BaseException | None = None
        for task in ended:
            signal, desk = self._working.pop(task)
            self._free.append(desk)
            self._tally.at_work -= 1
            # somebody else has it, or it has just been traded: it is not asked for again at once
            self._left_until[signal.signal_id] = time.monotonic() + _POLL_S
            failed = failed or task.exception()
            result = None if task.exception() else task.result()
            if result is not None:
                self._tally.ended[outcome_of(result)] += 1
                get_logger().info("signal", signal_id=result.signal_id, outcome=outcome_of(result))
        if failed is not None:
            raise failed


def outcome_of(result: TradeResult) -> str:
    """Return how a signal ended: the state of its execution, or why it was refused."""
    if result.state is not None:
        return str(result.state)
    return "unknown" if result.refusal is None else str(result.refusal.reason)


def _actionable(connection: Connection, settings: Settings) -> list[ActionableSignal]:
    retry_after_s = max(settings.execution_cooldown_s, LEAST_RETRY_S)
    return load_actionable(connection, retry_after_s, settings.execution_attempts, _CANDIDATES)


@contextmanager
def claimed(connection: Connection, signal_id: int, holder: str | None = None) -> Iterator[bool]:
    """Hold the market group of a signal; False when another run has it, or when the signal has traded before."""
    claim = claim_group(connection, signal_id, holder)
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
