"""The wait for an embedded server that starts: as long as it gets on, however much it has to mend after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import psycopg

from streams.market.errors import ConfigurationError, TransientError
from streams.storage.server.patience import Patience

_LAUNCH_S = 3.0
"""How long a server may take to write down its process id."""
_LOOK_S = 2.0
_PAUSE_S = 0.05


class Starting(Protocol):
    """A server that starts; `EmbeddedServer` says what each does."""

    def greet(self) -> None: ...  # noqa: D102
    def running_pid(self) -> int | None: ...  # noqa: D102
    def effort(self) -> tuple[float, int]: ...  # noqa: D102
    def last_words(self) -> str: ...  # noqa: D102


def wait_until_ready(
    server: Starting,
    is_unwanted: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> bool:
    """Wait until a server takes connections; False where nobody wants it any more.

    Raises:
        ConfigurationError: If it ended.
        TransientError: If it does not get on.
    """
    begun_at = look_at = clock()
    patience = Patience(begun_at)
    while not is_unwanted():
        try:
            server.greet()
        except psycopg.OperationalError as error:
            now = clock()
            if server.running_pid() is None and now > begun_at + _LAUNCH_S:
                raise ConfigurationError(f"The embedded PostgreSQL did not start: {server.last_words()}") from None
            if now >= look_at:  # a look at every process of the machine costs more than what is waited for
                look_at = now + _LOOK_S
                if patience.is_over(now, server.effort()):
                    said = str(error).strip().splitlines() or ["no reason given"]
                    raise TransientError(f"PostgreSQL does not answer: {said[-1]}") from None
        else:
            return True
        sleep(_PAUSE_S)
    return False
