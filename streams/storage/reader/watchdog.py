"""Ends sessions of readers that last too long or keep others waiting; a reader cannot set it aside.

What is decided is pure: sessions and the server's clock in, sessions to end out. `ReaderWatchdog` does it several times
a second; who acts and meets a lock does it at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

import psycopg

from streams.logs import get_logger
from streams.storage.access.reader_limits import ReaderLimits
from streams.storage.database import Connection, connect
from streams.storage.store.alerts import clear_alert, open_alerts, raise_alert
from streams.storage.store.guards.locks import limit_lock_waits
from streams.storage.store.guards.reader_sessions import (
    ReaderSession,
    ServerMoment,
    end_all_readers,
    end_reader_session,
    load_reader_sessions,
    load_server_moment,
)

T = TypeVar("T")
Rule = Literal["keeps_waiting", "statement", "idle", "transaction", "locks", "queue", "memory"]
MemoryOf = Callable[[int], float]
"""Tells the memory of a server process (MB); only whoever is on the server's machine can."""

ADVISORY_LOCKS_MAX = 100
"""More advisory locks than a person needs fill the table of locks that all sessions share."""
QUEUE_SHARE_MAX = 0.05
"""From here on the queue of notifications is being filled, and somebody does not read his."""
_QUIET_S = 60.0
_RECONNECT_S = 1.0
_LOCK_WAIT_S = 0.25
_FULL_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Ending:
    """A session to end: which, by which rule, and why in words for people."""

    session: ReaderSession
    rule: Rule
    why: str


def sessions_to_end(
    sessions: Sequence[ReaderSession],
    moment: ServerMoment,
    limits: ReaderLimits | None,
    memory_mb: Mapping[int, float] | None = None,
) -> list[Ending]:
    """Return the sessions that must end now, each with the first rule that it breaks. PURE.

    Args:
        sessions: Those of readers.
        moment: The server's clock and queue at the same time.
        limits: What readers are held to; None ends only those that somebody waits for.
        memory_mb: Of their processes (MB), by process id, where that is known.
    """
    found = ((session, _broken_rule(session, moment, limits)) for session in sessions)
    ended = [Ending(session, *broken) for session, broken in found if broken is not None]
    used = memory_mb or {}
    if limits is None or ended or sum(used.values()) <= limits.memory_mb:
        return ended
    largest = max(sessions, key=lambda session: used.get(session.pid, 0.0))
    why = f"readers had {sum(used.values()):.0f} MB of memory, it {used.get(largest.pid, 0.0):.0f} MB"
    return [Ending(largest, "memory", why)]


def _broken_rule(session: ReaderSession, moment: ServerMoment, limits: ReaderLimits | None) -> tuple[Rule, str] | None:
    if session.awaited_by:
        return "keeps_waiting", f"{', '.join(session.awaited_by[:5])} waited for it"
    return None if limits is None else _passed_limit(session, moment, limits)


def _passed_limit(session: ReaderSession, moment: ServerMoment, limits: ReaderLimits) -> tuple[Rule, str] | None:
    if session.advisory_locks > ADVISORY_LOCKS_MAX:
        return "locks", f"it held {session.advisory_locks} advisory locks"
    if moment.queue_share >= QUEUE_SHARE_MAX:
        return "queue", f"the queue of notifications is {moment.queue_share:.0%} full"
    # A failed transaction has no beginning any more, and is open nevertheless.
    is_idle = (session.state or "").startswith("idle in transaction")
    if session.state == "active" and _age_s(session.statement_at, moment) > limits.statement_s:
        return "statement", f"a statement ran for more than {limits.statement_s:g} s"
    if is_idle and _age_s(session.state_changed_at, moment) > limits.idle_s:
        return "idle", f"a transaction was idle for more than {limits.idle_s:g} s"
    if _age_s(session.transaction_at, moment) > limits.transaction_s:
        return "transaction", f"a transaction was open for more than {limits.transaction_s:g} s"
    return None


def _age_s(since: datetime | None, moment: ServerMoment) -> float:
    return 0.0 if since is None else (moment.now - since).total_seconds()


def end_readers(connection: Connection, limits: ReaderLimits | None, memory_of: MemoryOf | None = None) -> list[Ending]:
    """End the sessions that must end now; each is a line of the log and, per login and rule, an alert.

    Args:
        connection: Of any login of ours.
        limits: What readers are held to; None ends only those that somebody waits for.
        memory_of: Tells the memory of their processes; None where that cannot be known.

    Returns:
        Those that were told to end.

    Raises:
        psycopg.Error: If the server does not answer or the schema is older.
    """
    sessions = load_reader_sessions(connection)
    if not sessions:
        return []
    memory_mb = {} if memory_of is None else {session.pid: memory_of(session.pid) for session in sessions}
    wanted = sessions_to_end(sessions, load_server_moment(connection), limits, memory_mb)
    ended = [one for one in wanted if end_reader_session(connection, one.session, one.rule, one.why)]
    for ending in ended:
        login, rule = ending.session.login, ending.rule
        get_logger().warning(
            "session of a reader ended", login=login, pid=ending.session.pid, rule=rule, why=ending.why
        )
    return ended


def _alert_key(ending: Ending) -> str:
    return f"reader:{ending.session.login}:{ending.rule}"


class ReaderWatchdog(threading.Thread):
    """Looks after readers until it is stopped; a server that is away is asked again every second.

    Args:
        dsn: Returns the address of the warehouse; asked again for each connection.
        limits: What readers are held to.
        interval_s: Time between two looks (seconds).
        clock: Monotonic seconds, for the end of alerts.
        memory_of: Tells the memory of their processes; None where the server is on another machine.
    """

    def __init__(
        self,
        dsn: Callable[[], str],
        limits: ReaderLimits,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        memory_of: MemoryOf | None = None,
    ) -> None:
        super().__init__(name="reader-watchdog", daemon=True)
        self._dsn = dsn
        self._limits = limits
        self._interval_s = interval_s
        self._clock = clock
        self._memory_of = memory_of
        self._ending = threading.Event()
        self._alerts: dict[str, float] = {}
        self._knows_open_alerts = False
        self._owed: set[str] = set()
        self._is_failing = False

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        if self.is_alive():
            self.join(5.0)

    def run(self) -> None:
        """Look again and again until `stop`."""
        while not self._ending.is_set():
            try:
                with connect(self._dsn(), application="crossbook-watchdog") as connection:
                    while not self._ending.is_set():
                        self.look(connection)
                        self._is_failing = False
                        self._ending.wait(self._interval_s)
            except Exception as error:  # whatever it is, readers must be looked after again
                if not self._is_failing:
                    get_logger().warning("readers cannot be looked after", error=str(error).strip())
                self._is_failing = True
                self._ending.wait(_RECONNECT_S)

    def look(self, connection: Connection) -> None:
        """Look once: end who must end, close the alerts of those who have kept to the limits for a minute.

        Where the server has no room left for a single lock, every reader is ended.
        """
        try:
            self._look(connection)
            end_all_readers(connection, is_trial=True)
        except psycopg.errors.OutOfMemory:
            with suppress(psycopg.errors.OutOfMemory):
                self._owed |= set(end_all_readers(connection))

    def _look(self, connection: Connection) -> None:
        now = self._clock()
        if not self._knows_open_alerts:  # what a watchdog before this one has left open is closed in its time
            self._alerts |= dict.fromkeys(open_alerts(connection, "reader_ended"), now)
            self._knows_open_alerts = True
        for login in sorted(self._owed):
            key, why = f"reader:{login}:locks", "the server had no room left for locks"
            get_logger().warning("sessions of a reader ended", login=login, rule="locks", why=why)
            message = f"A session of the reader {login} was ended: {why}."
            raise_alert(connection, "reader_ended", "warning", key, message, {"login": login, "rule": "locks"})
            self._owed.remove(login)
            self._alerts[key] = now
        self._alerts |= {_alert_key(ending): now for ending in end_readers(connection, self._limits, self._memory_of)}
        for key in [key for key, at in self._alerts.items() if now - at > _QUIET_S]:
            clear_alert(connection, key)
            del self._alerts[key]


@contextmanager
def watching(dsn: str, limits: ReaderLimits, interval_s: float = 0.1) -> Iterator[None]:
    """Look after readers while something is done that needs strong locks, such as a migration."""
    watchdog = ReaderWatchdog(lambda: dsn, limits, interval_s)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


def insist(
    connection: Connection,
    act: Callable[[Connection], T],
    *,
    limit_s: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Carry out a short write of a person in a transaction of its own; no reader keeps it waiting.

    Whenever it waits for a lock, the readers that anybody waits for are ended, and it is tried again; where the server
    has no room left for locks, all of them.

    Args:
        connection: In autocommit mode, outside of a transaction.
        act: What is written; may be called several times.
        limit_s: After this the last failure is raised.
        clock: Monotonic seconds.

    Raises:
        psycopg.errors.LockNotAvailable: If others than readers hold the lock all the time.
        psycopg.errors.OutOfMemory: If others than readers take all the room for locks.
    """
    deadline = clock() + limit_s
    while True:
        try:
            with connection.transaction():
                limit_lock_waits(connection, _LOCK_WAIT_S)
                return act(connection)
        except psycopg.errors.LockNotAvailable:
            if clock() > deadline:
                raise
            end_readers(connection, None)
        except psycopg.errors.OutOfMemory:
            if clock() > deadline:
                raise
            with suppress(psycopg.errors.OutOfMemory):  # the watchdog, which has asked before, does it
                end_all_readers(connection)
            time.sleep(_FULL_PAUSE_S)
