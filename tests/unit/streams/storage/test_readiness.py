"""A server that starts is waited for as long as it gets on, and no longer."""

from __future__ import annotations

import psycopg
import pytest

from streams.market.errors import ConfigurationError, TransientError
from streams.storage.server.readiness import wait_until_ready


class Recovering:
    """A server that takes connections after some seconds, on a clock that only its waits move."""

    def __init__(self, ready_s: float, *, busy_s: float = 0.0, pid: int | None = 7) -> None:
        self.now = 0.0
        self.pid = pid
        self._ready_s = ready_s
        self._busy_s = busy_s

    def greet(self) -> None:
        if self.now < self._ready_s:
            raise psycopg.OperationalError("connection failed\nFATAL:  the database system is starting up")

    def running_pid(self) -> int | None:
        return self.pid

    def effort(self) -> tuple[float, int]:
        return min(self.now, self._busy_s), 0

    def last_words(self) -> str:
        return "FATAL: lock file is empty"

    def clock(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        self.now += 1.0


def _wait(server: Recovering, stop_s: float = 1e9) -> bool:
    return wait_until_ready(server, lambda: server.now >= stop_s, clock=server.clock, sleep=server.sleep)


def test_a_server_that_mends_itself_for_long_is_waited_for() -> None:
    assert _wait(Recovering(900, busy_s=900))


def test_a_server_that_does_nothing_is_given_up_with_its_reason() -> None:
    with pytest.raises(TransientError, match="the database system is starting up"):
        _wait(Recovering(900, busy_s=300))


def test_a_server_that_ended_says_why() -> None:
    with pytest.raises(ConfigurationError, match="lock file is empty"):
        _wait(Recovering(900, busy_s=900, pid=None))


def test_a_wait_that_nobody_wants_ends() -> None:
    assert not _wait(Recovering(900, busy_s=900), stop_s=5)
