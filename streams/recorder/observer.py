"""Who may watch the quotes of a recorder, and the guard that keeps a watcher from delaying or ending recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from streams.logs import get_logger
from streams.market.book import Book
from streams.market.events import Quote

_BUDGET_NS = 5_000_000
_SHARE = 0.25
_WINDOW_NS = 1_000_000_000


class Observer(Protocol):
    """Receives each change of a quote, in the recorder's thread: it must return within a millisecond or so."""

    def on_quote(self, quote: Quote, book: Book) -> None:
        """A quote changed. `book` is the recorder's own: change nothing.

        It may be read until the market's next quote says that it is not live, in the recorder's thread only: within
        these calls it is whole.
        """

    def on_tick(self, now_ns: int) -> None:
        """Time has passed; called about ten times a second."""

    def close(self) -> None:
        """Recording ends."""


class ObserverGuard:
    """Calls observers, counts what they raise and overrun, and skips calls once they take too much of a second.

    Attributes:
        failures: Exceptions swallowed.
        overruns: Calls longer than 5 ms.
        skipped: Quotes not passed on because the observers had used a quarter of the running second; that a book is
            no longer live is always passed on.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = list(observers)
        self._log = get_logger()
        self._window_end = 0
        self._used_ns = 0
        self.failures = 0
        self.overruns = 0
        self.skipped = 0

    def on_quote(self, quote: Quote, book: Book) -> None:
        """Pass a quote on, unless the time of this second is used up."""
        if not self._observers:
            return
        start = time.perf_counter_ns()
        if start > self._window_end:
            self._window_end = start + _WINDOW_NS
            self._used_ns = 0
        elif self._used_ns > _WINDOW_NS * _SHARE and quote.is_live:
            self.skipped += 1
            return
        for observer in self._observers:
            try:
                observer.on_quote(quote, book)
            except Exception as error:  # whatever an observer does, recording goes on
                self._note(observer, error)
        used = time.perf_counter_ns() - start
        self._used_ns += used
        if used > _BUDGET_NS:
            self.overruns += 1

    def on_tick(self, now_ns: int) -> None:
        """Pass on to all observers that time has passed."""
        self._each(lambda observer: observer.on_tick(now_ns))

    def close(self) -> None:
        """Pass on to all observers that recording ends."""
        self._each(lambda observer: observer.close())

    def _each(self, call: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                call(observer)
            except Exception as error:  # as above
                self._note(observer, error)

    def _note(self, observer: Observer, error: Exception) -> None:
        self.failures += 1
        if self.failures & (self.failures - 1) == 0:  # at 1, 2, 4, 8, ...: a broken observer must not flood the log
            self._log.error("observer failed", observer=type(observer).__name__, error=repr(error), times=self.failures)
