"""Alarms that need no database: to the terminal, to the log, through the channels, and into the book of the home."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from app.supervisor.telling.book import AlarmBook
from app.supervisor.telling.post import AlarmPost
from streams.alerting.courier import Send
from streams.alerting.kinds import KINDS, Severity
from streams.logs import get_logger
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerting.alarms import Alarm
from streams.storage.store.alerts import alert_text

_SETTLE_LIMIT_S = 25.0
"""A first channel that hangs takes ten; a second one that is loaded now takes its time as well."""

log = get_logger(room="supervisor")


class Alarms:
    """What is wrong now, each said once until it is over. Nothing here raises, and only `settle` waits.

    Args:
        settings: With the channels and the home.
        report: Says a line at the terminal.
        send_: Sends one message; default: through the channels.
    """

    def __init__(self, settings: Settings, report: Callable[[str], None], *, send_: Send | None = None) -> None:
        self._report = report
        self._open: dict[str, Alarm] = {}
        self._book = AlarmBook(settings.home_dir)
        self._post = AlarmPost(settings, self._book, send_=send_)
        if self._post.has_news:  # a start before was ended before it could tell
            self._post.start()

    def open(self, key: str, message: str, kind: str = "", severity: Severity | None = None) -> None:
        """Say what is wrong, unless that was said and is not over.

        Args:
            key: What it is about.
            message: One sentence.
            kind: One of `KINDS`; default: the kind that the key's first word names, else that of a child.
            severity: Default: the kind's.
        """
        if key in self._open:
            return
        of, message = KINDS[kind or _kind(key)], alert_text(message)
        alarm = self._book.open(str(uuid4()), key, of.name, severity or of.severity, message)
        self._open[key] = alarm
        log.error("alarm", key=key, message=message)
        self._report(f"ALARM: {message}")
        self._post.put(alarm)
        self._post.start()

    def close(self, key: str, message: str) -> None:
        """Say that it is over, if it was said before."""
        alarm = self._open.pop(key, None)
        if alarm is None:
            return
        self._book.close(alarm)
        log.warning("alarm is over", key=key, message=message)
        self._report(message)
        self._post.put_end(alarm, message)

    def is_open(self, key: str) -> bool:
        """Whether this was said and is not over."""
        return key in self._open

    def take_in(self, connection: Connection) -> None:
        """Bring the table of alerts up to what was told; safe to call at any time, from one thread at a time.

        Raises:
            psycopg.Error: If the database goes away meanwhile; what it has not got comes with the next call.
        """
        self._book.take_in(connection)

    def settle(self) -> None:
        """Give what is being told the time to arrive, at most 25 seconds: this process is about to end."""
        self._post.settle(_SETTLE_LIMIT_S)


def _kind(key: str) -> str:
    first = key.split(" ", 1)[0]
    if first == "PostgreSQL":
        return "database"
    return first if first in KINDS else "child"
