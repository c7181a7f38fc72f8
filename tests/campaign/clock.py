"""Virtual time: an event loop whose clock jumps to the next thing that is due, and every other clock tied to it.

Two clocks are told apart: that of the venues, which goes evenly, and that of the trading side's wall, which can be set
by hand while it goes. What nobody sets (monotonic) is the loop's own in both.
"""

from __future__ import annotations

import asyncio
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from unittest.mock import patch

START = datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
"""The first moment of every seed."""
_REAL_S = time.perf_counter
_MOST_TURNS = 200_000
"""Turns of the loop at one moment of virtual time, after which something is held to ask again and again for ever."""
_OURS = ("orchestration.", "streams.venues.", "streams.storage.", "streams.market.", "tests.support.")
_VENUES = ("streams.sandbox.", "tests.golden.")


class Overrun(KeyboardInterrupt):
    """A seed takes too long, or will never end. Like an interrupt: nobody takes it for a failure of what he called."""


class _Idle(selectors.SelectSelector):
    """Waits for nothing: where all wait, the loop's clock is moved on instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; where nothing is, move the clock to the next timer.

        Raises:
            Overrun: If no timer is set, or a bound of the loop is reached.
        """
        ready = super().select(0)
        if ready or timeout == 0:
            self.loop.count_turn()
            return ready
        if timeout is None:
            raise Overrun("every task waits, and no timer is set")
        self.loop.move_on(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time. Work for threads is done at once, in the loop's own.

    Args:
        virtual_s: The loop ends with `Overrun` at this moment of its clock.
        real_s: And after this time on the machine's.
    """

    def __init__(self, virtual_s: float, real_s: float) -> None:
        idle = _Idle()
        idle.loop = self
        self.now_s = 0.0
        self._turns = 0
        self._virtual_s, self._real_s, self._until = virtual_s, real_s, _REAL_S() + real_s
        super().__init__(idle)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.now_s

    def count_turn(self) -> None:
        """Note a turn in which no time passes.

        Raises:
            Overrun: If there were too many, or the time on the machine's clock is over.
        """
        self._turns += 1
        if self._turns > _MOST_TURNS:
            raise Overrun(f"{_MOST_TURNS} turns of the loop without a moment of virtual time")
        if _REAL_S() > self._until:
            raise Overrun(f"it has taken {self._real_s:.0f} s")

    def move_on(self, seconds: float) -> None:
        """Let virtual time pass.

        Raises:
            Overrun: If a bound is reached.
        """
        self.count_turn()
        if seconds > 0:
            self._turns = 0
        self.now_s += max(seconds, 0.0)
        if self.now_s > self._virtual_s:
            raise Overrun(f"it has taken {self._virtual_s:.0f} virtual s")

    def give_more(self, virtual_s: float, real_s: float) -> None:
        """Set new bounds from now on."""
        self._virtual_s, self._real_s = self.now_s + virtual_s, real_s
        self._until, self._turns = _REAL_S() + real_s, 0

    def run_in_executor(self, _executor: Any, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Call now."""
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(function(*arguments))
        except Exception as error:  # whoever awaits it gets it, as from a thread
            done.set_exception(error)
        return done

    def waits(self) -> list[str]:
        """Return of each task at which line it waits."""
        return sorted(f"{task.get_name()} at {_deepest(task.get_coro())}" for task in asyncio.all_tasks(self))


def _deepest(waiting: Any) -> str:
    """Return where a chain of coroutines stands."""
    found = "its end"
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
        if frame is not None:
            found = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno} {frame.f_code.co_name}"
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)
    return found


@contextmanager
def alarm_after(real_s: float) -> Iterator[None]:
    """Interrupt what blocks the whole thread (a lock of the database, a sleep) with `Overrun` after some real time.

    Only in the main thread, where signals arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: Any) -> None:
        raise Overrun(f"the thread was blocked until {real_s:.0f} s had passed")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, real_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


class Clocks:
    """The clocks of one seed; `skew_s`: how far the trading side's wall clock is ahead of the venues'."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.skew_s = 0.0

    def monotonic(self) -> float:
        """Seconds of the clock that nobody sets."""
        return 1_000.0 + self._loop.now_s

    def venue_now(self) -> datetime:
        """The venues' wall clock."""
        return START + timedelta(seconds=round(self._loop.now_s, 6))

    def now(self) -> datetime:
        """The trading side's wall clock."""
        return self.venue_now() + timedelta(seconds=self.skew_s)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let every module read these clocks, each those of its side."""
        with ExitStack() as patches:
            for name, read in (
                ("time.time_ns", lambda: _ns(self.venue_now())),
                ("time.time", lambda: self.venue_now().timestamp()),
                ("time.monotonic", self.monotonic),
                ("time.monotonic_ns", lambda: int(self.monotonic() * 1e9)),
            ):
                patches.enter_context(patch(name, read))
            for prefixes, now in ((_OURS, self.now), (_VENUES, self.venue_now)):
                told = _told(now)
                for name, module in list(sys.modules.items()):
                    if name.startswith(prefixes) and getattr(module, "datetime", None) is datetime:
                        patches.enter_context(patch.object(module, "datetime", told))
            yield


def _ns(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000


class _AnyDatetime(type):
    """What is an instance of the real class is one of ours."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


def _told(read: Callable[[], datetime]) -> type[datetime]:
    """Return a stand-in for the class `datetime` whose present moment is read elsewhere; it makes real ones."""

    class Told(datetime, metaclass=_AnyDatetime):
        def __new__(cls, *parts: Any, **more: Any) -> datetime:  # type: ignore[misc]
            return datetime.__new__(datetime, *parts, **more)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return read().astimezone(tz)

    return Told
