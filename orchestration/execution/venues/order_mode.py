"""Whether a venue takes orders that take: it says that it does not only by refusing one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from streams.market.errors import Refused, StreamsError, Unavailable

_MODES = frozenset({"post_only_mode", "cancel_only_mode", "trading_disabled"})
_AFTER_RESTART = timedelta(minutes=2)
"""How long resting orders alone are taken after the matching engine has restarted, as the venue says."""
_UNSTATED = timedelta(seconds=30)
"""How long a mode is taken to last whose refusal does not say it; then an order asks again."""


class OrderMode:
    """Until when a venue takes no order that takes, as far as its answers to our orders have said.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.closed_until: datetime | None = None

    def note(self, error: StreamsError) -> None:
        """Take over what the refusal of an order says; other errors say nothing."""
        if isinstance(error, Unavailable):
            lasts = timedelta(seconds=error.retry_after_s) + _AFTER_RESTART
        elif isinstance(error, Refused) and error.code in _MODES:
            lasts = _UNSTATED if error.retry_after_s is None else timedelta(seconds=error.retry_after_s)
        else:
            return
        until = self._clock() + lasts
        self.closed_until = until if self.closed_until is None else max(self.closed_until, until)

    def note_taken(self) -> None:
        """An order was taken."""
        self.closed_until = None
