"""The embedded PostgreSQL server as one of the supervised processes."""

from __future__ import annotations

from collections.abc import Callable

from app.supervisor.restarts import IMPORTANT, RestartPolicy
from streams.market.errors import ConfigurationError
from streams.storage.server.embedded import EmbeddedServer


class DatabaseChild:
    """The server of a home: noticed when it is gone, started again, through crash recovery, without waiting for it."""

    name = "PostgreSQL"
    policy: RestartPolicy = IMPORTANT

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    @property
    def exit_code(self) -> int | None:
        """Not known: the server may have been started by an earlier supervisor."""
        return None

    @property
    def is_running(self) -> bool:
        """Whether a server has the data folder; taken for granted while the record of that folder cannot be read."""
        try:
            return self._server.running_pid() is not None
        except ConfigurationError:
            return True

    @property
    def is_ready(self) -> Callable[[], bool]:
        """Whether it takes connections."""
        return self._server.answers

    def start(self) -> None:
        """Start it unless it runs; does not wait for it.

        Raises:
            ConfigurationError: If the port is taken or the data cannot be reached.
        """
        self._server.launch()

    def stop(self) -> None:
        """End it, if it is there."""
        self._server.stop()

    def effort(self) -> tuple[float, int]:
        """Return its processor time (seconds) and the size of its log (bytes)."""
        return self._server.effort()

    def last_words(self) -> str:
        """Return the last line of its log."""
        return self._server.last_words()
