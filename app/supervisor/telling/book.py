"""The alarms of this home in a file, with what became of each, until the table of alerts has them."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg

from streams.alerting.kinds import Severity
from streams.logs import get_logger
from streams.storage.database import Connection
from streams.storage.store.alerting.alarms import (
    Alarm,
    AlarmReceipt,
    clear_other_alarms,
    save_alarm,
)
from streams.storage.store.alerting.inbox import AlertState

NAME = "alarms.json"
_KEPT_MAX = 500
_RECEIPTS_MAX = 20
"""Of one alarm: the newest say what became of it."""
log = get_logger(room="supervisor")


class AlarmBook:
    """What was told, in the memory of this process and in the home; for any thread. Nothing here raises for a file.

    Args:
        home: The home. Alarms that another start left open there are over: whoever started now looks anew.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / NAME
        self._lock = threading.RLock()
        self._alarms: dict[str, Alarm] = {alarm.alarm_id: alarm for alarm in _read(self._path)}
        self._untold = [alarm.alarm_id for alarm in self._alarms.values() if alarm.state in ("waiting", "failed")]
        for alarm in self._alarms.values():
            alarm.over_at = alarm.over_at or datetime.now(UTC)

    def take_untold(self) -> list[Alarm]:
        """Return once what an earlier start had not sent when it ended."""
        untold = [self._alarms[alarm_id] for alarm_id in self._untold]
        self._untold = []
        return untold

    def open(self, alarm_id: str, key: str, kind: str, severity: Severity, message: str) -> Alarm:
        """Note a new alarm."""
        alarm = Alarm(alarm_id, key, kind, severity, message, datetime.now(UTC))
        with self._lock:
            while len(self._alarms) >= _KEPT_MAX:  # the database has been away for very long
                del self._alarms[self._least_missed()]
            self._alarms[alarm_id] = alarm
            self._write()
        return alarm

    def _least_missed(self) -> str:
        """The oldest that is over and was told; else the oldest that is over; else the oldest."""
        over = [alarm for alarm in self._alarms.values() if alarm.over_at is not None]
        told = [alarm for alarm in over if alarm.state == "sent"]
        return next(alarm.alarm_id for alarm in (*told, *over, *self._alarms.values()))

    def close(self, alarm: Alarm) -> None:
        """Note that an alarm is over."""
        with self._lock:
            alarm.over_at = datetime.now(UTC)
            self._write()

    def forget(self, alarms: list[Alarm]) -> None:
        """Forget alarms that nobody will be told of any more: later ones of their keys stand for them."""
        with self._lock:
            if [alarm for alarm in alarms if self._alarms.pop(alarm.alarm_id, None) is not None]:
                self._write()

    def note_receipt(self, alarms: list[Alarm], place: int, channel: str, error: str, took_ms: int) -> None:
        """Note what became of one attempt to tell of alarms."""
        receipt = AlarmReceipt(place, channel, datetime.now(UTC), took_ms, error)
        with self._lock:
            for alarm in alarms:
                alarm.receipts = [*alarm.receipts, receipt][-_RECEIPTS_MAX:]
                alarm.attempts += 1
            self._write()

    def note_state(self, alarms: list[Alarm], state: AlertState) -> None:
        """Note what became of the telling."""
        with self._lock:
            for alarm in alarms:
                alarm.state = state
                if state == "sent":
                    alarm.sent_at = datetime.now(UTC)
            self._write()

    def take_in(self, connection: Connection) -> None:
        """Bring the table of alerts up to date, and forget what has nothing more to say."""
        with self._lock:
            alarms = list(self._alarms.values())
        clear_other_alarms(connection, [alarm.alarm_id for alarm in alarms if alarm.over_at is None])
        for alarm in alarms:
            mark = alarm.mark
            if mark != alarm.saved:
                self._save(connection, alarm)
            with self._lock:
                alarm.saved = mark
                is_told = alarm.state in ("sent", "no channel")
                if alarm.over_at is not None and is_told and mark == alarm.mark:
                    self._alarms.pop(alarm.alarm_id, None)
        if alarms:
            with self._lock:
                self._write()

    def _save(self, connection: Connection, alarm: Alarm) -> None:
        try:
            save_alarm(connection, alarm)
        except (psycopg.DataError, psycopg.IntegrityError) as error:  # it was told; it keeps no other one away
            log.warning("an alarm has no row", key=alarm.key, reason=type(error).__name__)

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".draft")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(list(self._alarms.values())))
            draft.replace(self._path)
        except OSError as error:  # a full disk: they are in memory, and were said
            log.warning("the alarms are not written", reason=type(error).__name__)


def _read(path: Path) -> list[Alarm]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Alarm])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeError) as error:
        log.warning("the alarms of the start before cannot be read", reason=type(error).__name__)
    with suppress(OSError):  # whoever looks for what it said still finds it
        path.replace(path.with_suffix(".unreadable"))
    return []
