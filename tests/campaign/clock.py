"""Virtual time: an event loop whose clock jumps to the next thing that is due, and every other clock tied to it.

Two clocks are told apart: that of the venues, which goes evenly, and that of the trading side's wall, which can be set
by hand while it goes. What nobody sets (monotonic) is the loop's own in both.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from unittest.mock import patch

START = datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
"""The first moment of every seed."""
_OURS = ("orchestration.", "streams.venues.", "streams.storage.", "streams.market.", "tests.support.")
_VENUES = ("streams.sandbox.", "tests.golden.")


class Stuck(RuntimeError):
    """Every task waits for something that no timer and nobody else will bring."""


class _Idle(selectors.SelectSelector):
    """Waits for nothing: where all wait, the loop's clock is moved on instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; where nothing is, move the clock to the next timer."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stuck("every task waits, and no timer is set")
        self.loop.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time. Work for threads is done at once, in the loop's own."""

    def __init__(self) -> None:
        idle = _Idle()
        idle.loop = self
        self.now_s = 0.0
        super().__init__(idle)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.now_s

    def run_in_executor(self, _executor: Any, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Call now."""
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(function(*arguments))
        except Exception as error:  # whoever awaits it gets it, as from a thread
            done.set_exception(error)
        return done


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
