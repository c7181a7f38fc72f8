"""News by NOTIFY: a hint that comes early or not at all. Whoever waits looks by itself too, and no flood hurries it.

Every login may notify on every channel. So a hint says nothing, it is never the only way to learn of a thing, and who
is flooded with hints stops listening for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from psycopg import sql

from streams.storage.database import Connection

Channel = Literal["crossbook_signals", "crossbook_wanted"]

FLOOD = 200
"""More hints than this between two looks are no news."""
_DEAF_S = 30.0


class Hints:
    """Waits for hints on one channel.

    Args:
        connection: In autocommit mode; of one thread.
        channel: What to listen to.
        least_s: No two hints end a wait sooner after each other than this (seconds).
        clock: Monotonic seconds.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        connection: Connection,
        channel: Channel,
        least_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._channel = sql.Identifier(channel)
        self._least_s = least_s
        self._clock = clock
        self._sleep = sleep
        self._heard_at = clock() - least_s
        self._deaf_until: float | None = None
        connection.execute(sql.SQL("LISTEN {}").format(self._channel))

    def wait(self, longest_s: float) -> bool:
        """Wait until a hint comes, at most `longest_s` (seconds); returns whether one came."""
        self._hear_again()
        end = self._clock() + longest_s
        if self._deaf_until is not None:
            self._sleep(longest_s)
            return False
        early = min(self._heard_at + self._least_s - self._clock(), longest_s)
        if early > 0:
            self._sleep(early)
        heard = got = self._hear(max(0.0, end - self._clock()))
        while got and heard <= FLOOD:
            got = self._hear(0.0)
            heard += got
        if heard > FLOOD:
            self._connection.execute(sql.SQL("UNLISTEN {}").format(self._channel))
            self._deaf_until = self._clock() + _DEAF_S
        if heard:
            self._heard_at = self._clock()
        return heard > 0

    def _hear(self, longest_s: float) -> int:
        return sum(1 for _ in self._connection.notifies(timeout=longest_s, stop_after=1))

    def _hear_again(self) -> None:
        if self._deaf_until is not None and self._clock() >= self._deaf_until:
            self._deaf_until = None
            self._connection.execute(sql.SQL("LISTEN {}").format(self._channel))
