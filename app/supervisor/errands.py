"""Work of the supervisor that may hang or fail: it never holds up what must always go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from streams.logs import get_logger

T = TypeVar("T")

log = get_logger(room="supervisor")


class Errand:
    """Something to do every so often, in a thread of its own. One that hangs is waited for and not begun again.

    Args:
        name: For the log and the thread.
        act: What to do; what it raises is a line of the log, once while it stays the same.
        every_s: Time between two beginnings (seconds).
    """

    def __init__(self, name: str, act: Callable[[], object], every_s: float) -> None:
        self._name = name
        self._act = act
        self._every_s = every_s
        self._due_at = 0.0
        self._thread: threading.Thread | None = None
        self._said = ""

    def look(self, now: float) -> None:
        """Begin it when it is due; never waits. `now` is in seconds of a steady clock."""
        if now < self._due_at or (self._thread is not None and self._thread.is_alive()):
            return
        self._due_at = now + self._every_s
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._act()
        except Exception as error:  # whatever it is, the next one may succeed
            said = f"{type(error).__name__}: {error}".strip()
            if said != self._said:
                log.warning("the supervisor could not do its work", work=self._name, reason=said)
            self._said = said
        else:
            self._said = ""


def within(limit_s: float, act: Callable[[], T]) -> T:
    """Do something in a thread of its own and return what it returned.

    Raises:
        TimeoutError: If it took longer; it goes on for as long as this process lives.
        Exception: What it raised.
    """
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name="within a limit", daemon=True).start()
    return done.result(limit_s)
