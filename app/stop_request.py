"""The wish that `crossbook up` stops, heard from its first moment: long before what it needs has been imported."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

STOP_WANTED = threading.Event()
"""Set by the first signal that asks this process to stop."""


def hear_stop() -> threading.Event:
    """Take Ctrl-C, TERM and the end of the terminal as the wish to stop from now on; return what they set.

    Where the end of the terminal is ignored, as under `nohup`, it stays so.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _on_signal)
    return STOP_WANTED


def hear_stop_of(arguments: Sequence[str]) -> None:
    """Do so where a command line is that of a start."""
    if arguments[1:2] == ["up"] and threading.current_thread() is threading.main_thread():
        hear_stop()


@contextmanager
def broken_off_by_signals() -> Iterator[None]:
    """Let Ctrl-C, TERM and the end of the terminal break off what runs in this, once; clearing up goes on to its end.

    Raises:
        KeyboardInterrupt: At the first signal.
    """
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in numbers}

    def break_off(_number: int, _frame: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, break_off)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_signal(_number: int, _frame: object) -> None:
    STOP_WANTED.set()
