"""What a failure of the database means, and how work that may be repeated lives through it.

The server is restarted, fails over and takes no writes for a while, ends our sessions, or has no connection left: all
of these pass. Whoever meets one asks here what it is, never the text or the class of the error.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

T = TypeVar("T")

RIDE_OUT_S = 120.0
"""How long work that may be repeated waits for the database to come back."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_CANCELED = "57014"
_LOCK_STATES = frozenset({"55P03", "40P01"})


class Trouble(Enum):
    """What kind of failure it is.

    AWAY: the server cannot be reached, or ended our session. NO_WRITES: it answers and takes no writes for now (after a
    failover, or its disk is full). BUSY: it has no connection, no lock or no time left for us. CONFLICT: another
    transaction was in the way. PERMANENT: trying again cannot help.
    """

    AWAY = "away"
    NO_WRITES = "no_writes"
    BUSY = "busy"
    CONFLICT = "conflict"
    PERMANENT = "permanent"


_STATES = {
    "57P01": Trouble.AWAY,  # an administrator ended the session, or shuts the server down
    "57P02": Trouble.AWAY,  # the server crashed
    "57P03": Trouble.AWAY,  # it starts or stops
    "57P05": Trouble.AWAY,  # the session was idle for too long
    "25P03": Trouble.AWAY,  # the transaction was idle for too long
    "25P04": Trouble.AWAY,  # the transaction took too long
    "25006": Trouble.NO_WRITES,
    "53100": Trouble.NO_WRITES,
    "53000": Trouble.BUSY,
    "53200": Trouble.BUSY,
    "53300": Trouble.BUSY,
    "55P03": Trouble.BUSY,
    _CANCELED: Trouble.BUSY,
    "40001": Trouble.CONFLICT,
    "40P01": Trouble.CONFLICT,
    "40003": Trouble.AWAY,  # it is not known whether the statement was completed
}
# A connection that is refused carries no state, only the server's words.
_IS_FULL = re.compile(
    r"too many (clients|connections)|remaining connection slots|no more connections allowed"
    r"|couldn't get a connection after|out of (shared )?memory"
)
_IS_REFUSED = re.compile(
    r"authentication failed|no pg_hba\.conf entry|does not exist|not permitted to log in|permission denied"
    r"|no password supplied|unsupported startup parameter|invalid connection option|invalid port|SSL"
    r"|is not currently accepting connections"
)
_IS_LOST_SSL = re.compile(r"SSL connection has been closed|SSL SYSCALL|SSL error: (unexpected eof|decryption)")
# Every driver of Python names these two so.
_CONNECTION_ERRORS = frozenset({"OperationalError", "InterfaceError"})


def sqlstate_of(error: BaseException) -> str | None:
    """Return the five signs by which the server names a failure, through whatever driver; None where it said none."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return None if state is None else str(state)


def trouble_of(error: BaseException) -> Trouble:
    """Return what kind of failure an error of psycopg, psycopg2 or SQLAlchemy is; PERMANENT for every other one."""
    state = sqlstate_of(error)
    if is_catalogue_race(error):
        return Trouble.CONFLICT
    if state is not None:
        return _STATES.get(state, Trouble.AWAY if state.startswith("08") else Trouble.PERMANENT)
    cause = getattr(error, "orig", None) or error
    if not any(kind.__name__ in _CONNECTION_ERRORS for kind in type(cause).__mro__):
        return Trouble.PERMANENT
    return trouble_in(str(cause))


def trouble_in(message: str) -> Trouble:
    """Return what kind of failure the message of a connection that failed tells of; AWAY where it tells nothing."""
    if _IS_FULL.search(message):
        return Trouble.BUSY
    is_refused = _IS_REFUSED.search(message) and not _IS_LOST_SSL.search(message)
    return Trouble.PERMANENT if is_refused else Trouble.AWAY


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later. A statement that took too long is not repeated: it would again."""
    return trouble_of(error) is not Trouble.PERMANENT and sqlstate_of(error) != _CANCELED


def may_be_repeated(error: BaseException) -> bool:
    """Whether what must be done in the end is done again: also where a person cancelled it, or it took too long."""
    return is_transient(error) or sqlstate_of(error) == _CANCELED


def is_lock_refused(error: BaseException) -> bool:
    """Whether a lock was not to be had: it was waited for too long, or two waited for each other."""
    return sqlstate_of(error) in _LOCK_STATES


def is_catalogue_race(error: BaseException) -> bool:
    """Whether two changed the same row of the server's catalogue at once, which has no sign of its own."""
    return sqlstate_of(error) == "XX000" and "concurrently" in str(error)


def told(error: BaseException) -> str:
    """Return one sentence for people: what is the matter with the warehouse and whether it passes."""
    return _SENTENCES[trouble_of(error)]


_SENTENCES = {
    Trouble.AWAY: "The warehouse does not answer; look at `crossbook doctor`.",
    Trouble.NO_WRITES: "The warehouse takes no writes for now (after a failover, or its disk is full); try again.",
    Trouble.BUSY: "The warehouse is busy; try again in a few seconds.",
    Trouble.CONFLICT: "The warehouse is busy; try again in a few seconds.",
    Trouble.PERMANENT: "The warehouse refused; look at `crossbook doctor`.",
}


def ride_out(
    act: Callable[[], T],
    *,
    limit_s: float = RIDE_OUT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    on_wait: Callable[[BaseException], object] = lambda _error: None,
) -> T:
    """Do something that may be done twice, again and again while the database is in trouble that passes.

    Args:
        act: What to do; it opens its own connection, because the one before may be lost.
        limit_s: How long after the first failure it is still tried again (seconds). The failure of an act that went
            well for longer than that begins a new outage.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
        on_wait: Told of each failure that is waited for.

    Raises:
        Exception: What `act` raised last, if that does not pass or the time is over.
    """
    deadline: float | None = None
    pause_s = _FIRST_PAUSE_S
    while True:
        began = clock()
        try:
            return act()
        except Exception as error:
            now = clock()
            if now - began > limit_s:  # it went well for long: this is another outage
                deadline, pause_s = None, _FIRST_PAUSE_S
            deadline = now + limit_s if deadline is None else deadline
            if not is_transient(error) or now >= deadline:
                raise
            on_wait(error)
            sleep(min(pause_s, deadline - now))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
