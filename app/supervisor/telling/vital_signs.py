"""Whether what must always go on goes on: the database answers, recorders beat, alerts are looked for and sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from app.supervisor.telling.alarms import Alarms
from streams.alerting.distress import take_notes
from streams.market.errors import StreamsError
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, connect, database_dsn
from streams.storage.outages import told
from streams.storage.store.alerting.delivery import count_undelivered, load_look_ages_s
from streams.storage.store.alerting.facts import UNDELIVERED_AFTER_S
from streams.storage.store.leases import recorder_age_s

LOOKERS = ("sender", "watcher")
"""Who looks after alerts where Dagster runs: the sensors alert_sender and alert_watcher."""
_EVERY_S = 10.0
_HUNG_AFTER_S = 20.0
_SILENT_AFTER_S = 300.0
_FRESH_S = 120.0
_CONNECT_LIMIT_S = 5
_QUERY_LIMIT = "8s"
_FAILURES = 2
"""So many looks in a row must fail: a restart of the server is no alarm."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What one look found.

    Attributes:
        problem: Why the database does not answer; empty where it does.
        recorder_age_s: Since the last sign of life of a recorder; None: there was none yet.
        look_ages_s: Since each of `LOOKERS` looked last; one that never has is missing.
        undelivered: Open alerts that no channel took for ten minutes.
    """

    problem: str
    recorder_age_s: float | None = None
    look_ages_s: dict[str, float] = field(default_factory=dict)
    undelivered: int = 0


class VitalSigns:
    """Looks every ten seconds, in a thread: a database that hangs holds nobody up.

    Args:
        settings: With the address of the database.
        alarms: Told of what is wrong; what they told before is brought into the database at each look.
        clock: Monotonic seconds.
    """

    def __init__(self, settings: Settings, alarms: Alarms, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._alarms = alarms
        self._began_at = clock()
        self._looked_at = -_EVERY_S
        self._noted_at = -_EVERY_S
        """When a run said last that the database does not answer: what was found before that is old."""
        self._thread: threading.Thread | None = None
        self._found: Signs | None = None
        self._last: tuple[float, Signs] | None = None
        self._failures = 0

    def look(self, now: float) -> None:
        """Judge what the last look found and begin the next one when it is due; never waits.

        A run whose hedge is exposed says at once that the database does not answer, before any look does.
        """
        for message in take_notes(self._settings.home_dir):
            self._noted_at = now
            self._alarms.open("database", message)
        if self._thread is not None and self._thread.is_alive():
            if now - self._looked_at > _HUNG_AFTER_S:
                self._judge(Signs("it does not answer in time"), now, is_sure=True)
            return
        found, self._found = self._found, None
        if found is not None and (found.problem or self._looked_at >= self._noted_at):
            self._judge(found, now)
        if now - self._looked_at >= _EVERY_S:
            self._looked_at = now
            self._thread = threading.Thread(target=self._measure, name="vital signs", daemon=True)
            self._thread.start()

    def why_ill(self, now: float) -> str:
        """Return what is not well, in a few words; empty where everything was seen to go on."""
        if self._last is None or now - self._last[0] > _FRESH_S:
            return "the database was not looked at"
        signs = self._last[1]
        if signs.problem:
            return "the database does not answer"
        if signs.recorder_age_s is None or signs.recorder_age_s > self._settings.recorder_stale_after_s:
            return "no recorder gives a sign of life"
        late = [name for name in LOOKERS if signs.look_ages_s.get(name, _FRESH_S + 1) > _FRESH_S]
        if late:
            return f"the {late[0]} of alerts has not looked"
        return "no channel takes the alerts" if signs.undelivered else ""

    def _measure(self) -> None:
        try:
            with self._connection() as connection:
                self._found = measure(connection)
                self._alarms.take_in(connection)
        except psycopg.Error as error:
            self._found = self._found or Signs(told(error))
        except (StreamsError, OSError) as error:
            self._found = self._found or Signs(str(error))

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        dsn = database_dsn(self._settings, Login.INTERFACE)
        limited = psycopg.conninfo.make_conninfo(dsn, connect_timeout=_CONNECT_LIMIT_S)
        with connect(limited, application="crossbook-alarms") as connection:
            connection.execute(f"SET statement_timeout = '{_QUERY_LIMIT}'")
            yield connection

    def _judge(self, signs: Signs, now: float, *, is_sure: bool = False) -> None:
        self._last = (now, signs)
        if signs.problem:
            self._failures += 1
            if (is_sure or self._failures >= _FAILURES) and not self._alarms.is_open("PostgreSQL"):
                self._alarms.open("database", f"The database does not answer: {signs.problem}")
            return
        self._failures = 0
        self._alarms.close("database", "The database answers again.")
        silent = [name for name in LOOKERS if signs.look_ages_s.get(name, now - self._began_at) > _SILENT_AFTER_S]
        if not silent:
            self._alarms.close("watch_silent", "Alerts are looked for and sent again.")
        elif now - self._began_at > _SILENT_AFTER_S:
            message = f"The {' and the '.join(silent)} of alerts did not look for five minutes."
            self._alarms.open("watch_silent", message)


def measure(connection: Connection) -> Signs:
    """Return what the database says."""
    age = recorder_age_s(connection)
    undelivered = count_undelivered(connection, UNDELIVERED_AFTER_S)
    return Signs("", None if age is None else float(age), load_look_ages_s(connection), undelivered)
