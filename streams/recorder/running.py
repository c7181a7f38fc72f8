"""Runs a recorder in the main thread of a process until it is asked to end, and leaves the signals as they were."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ended(NamedTuple, Generic[T]):
    """What the work returned, and whether a signal ended it."""

    result: T
    was_signalled: bool


def run_until_signalled(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> Ended[T]:
    """Run `work(stop)`; SIGINT and SIGTERM set `stop`, so that it drains and returns.

    Outside the main thread no signal can be watched and `work` must end by itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return Ended(asyncio.run(work(asyncio.Event())), was_signalled=False)
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    async def main() -> Ended[T]:
        stop = asyncio.Event()
        signalled = asyncio.Event()

        def on_signal() -> None:
            signalled.set()
            stop.set()

        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
        return Ended(await work(stop), signalled.is_set())

    try:
        return asyncio.run(main())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
