"""Who sends alarms: a thread of its own with the channels of the settings, on its own clock, without any database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.supervisor.telling.book import AlarmBook
from streams.alerting.channels import Channel, channels_of
from streams.alerting.courier import Courier, Rests, Send
from streams.alerting.messages import DueAlert, Message, message_of
from streams.alerting.sending import Outcome
from streams.logs import get_logger
from streams.settings import Settings
from streams.storage.store.alerting.alarms import Alarm
from streams.storage.store.alerting.inbox import AlertState

_FIRST_WAIT_S = 30.0
_LONGEST_WAIT_S = 900.0
_LOOK_S = 1.0
_UNTOLD_MAX = 200
"""Of one key: where no channel takes anything for days, the newest are told of, and how many they are."""
log = get_logger(room="supervisor")


@dataclass(slots=True)
class _Subject:
    """What there is to tell under one key. Times are seconds of the post's clock.

    Attributes:
        untold: Alarms nobody has been told of yet.
        told: The one that was told last, until its end was told too.
        end: What to say of its end.
        quiet_until: What alarms anew before is told then.
        retry_at: Nothing is sent before, because no channel took the last message.
        failures: In a row.
    """

    untold: list[Alarm] = field(default_factory=list)
    told: Alarm | None = None
    end: str = ""
    quiet_until: float = 0.0
    retry_at: float = 0.0
    failures: int = 0

    def due_at(self) -> float | None:
        """When there is something to tell; None: nothing."""
        if self.untold:
            return max(self.quiet_until, self.retry_at)
        return self.retry_at if self.told is not None and self.told.over_at is not None else None


class AlarmPost:
    """Tells of alarms and of their end: one message at once, then what flaps as one message per cooldown.

    Args:
        settings: With the channels.
        book: Gets the receipts.
        send_: Sends one message; default: as everywhere.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        book: AlarmBook,
        *,
        send_: Send | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._book = book
        self._send = send_
        self._clock = clock
        self._channels = channels_of(settings)
        self._rests = Rests()
        self._subjects: dict[str, _Subject] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_busy = False
        for alarm in book.take_untold():
            self.put(alarm)

    @property
    def has_news(self) -> bool:
        """Whether there is something to tell."""
        with self._changed:
            return any(subject.due_at() is not None for subject in self._subjects.values())

    def start(self) -> None:
        """Begin to send in the background."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
                self._thread.start()

    def put(self, alarm: Alarm) -> None:
        """Tell of an alarm."""
        with self._changed:
            subject = self._subjects.setdefault(alarm.key, _Subject())
            untold = [*subject.untold, alarm]
            subject.untold = untold[-_UNTOLD_MAX:]
            subject.told = None
            self._changed.notify()
        self._book.forget(untold[:-_UNTOLD_MAX])

    def put_end(self, alarm: Alarm, message: str) -> None:
        """Tell that an alarm is over: by itself where it was told, else the message about it says so."""
        with self._changed:
            self._subjects.setdefault(alarm.key, _Subject()).end = message
            self._changed.notify()

    def settle(self, limit_s: float) -> None:
        """Wait for what is due now, at most so many seconds: this process is about to end."""
        deadline = time.monotonic() + limit_s
        while self._is_waited_for() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _is_waited_for(self) -> bool:
        with self._changed:
            return self._thread is not None and (self._is_busy or self._next() is not None)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._next() is None:
                    self._changed.wait(_LOOK_S)
            try:
                self.send_due()
            except Exception as error:  # an alarm that cannot be sent ends nobody's thread
                log.warning("an alarm was not sent", reason=type(error).__name__)
                time.sleep(_LOOK_S)

    def send_due(self) -> bool:
        """Send what is due, of one key; returns whether there was anything."""
        with self._changed:
            subject = self._next()
            if subject is None:
                return False
            self._is_busy = True
            untold = list(subject.untold)
            message = _message(untold, subject)
        try:
            state = self._carry(untold, message)
        finally:
            with self._changed:
                self._is_busy = False
        with self._changed:
            self._note(subject, untold, is_end_told=message.newest.is_over, is_told=state != "failed")
        return True

    def _next(self) -> _Subject | None:
        now = self._clock()
        due = [(subject.due_at(), subject) for subject in self._subjects.values()]
        ready = [(at, subject) for at, subject in due if at is not None and at <= now]
        return min(ready, key=lambda item: item[0])[1] if ready else None

    def _note(self, subject: _Subject, untold: list[Alarm], *, is_end_told: bool, is_told: bool) -> None:
        if not is_told:
            subject.failures += 1
            wait_s = min(_FIRST_WAIT_S * 2 ** min(subject.failures - 1, 10), _LONGEST_WAIT_S)
            subject.retry_at = self._clock() + wait_s
            return
        subject.failures = 0
        subject.retry_at = 0.0
        subject.untold = [alarm for alarm in subject.untold if alarm not in untold]
        subject.told = None if is_end_told or subject.untold else untold[-1]
        subject.quiet_until = self._clock() + self._settings.alert_cooldown_s

    def _carry(self, alarms: list[Alarm], message: Message) -> AlertState:
        courier = Courier(self._channels, self._settings.venues, self._rests, send_=self._send)

        def note(channel: Channel, outcome: Outcome) -> None:
            self._book.note_receipt(alarms, channel.place, channel.kind, outcome.error, outcome.took_ms)
            if not outcome.is_sent:
                log.warning("an alarm was not sent", channel=channel.place, reason=outcome.error)

        carried = courier.carry(message, note)
        state: AlertState = "failed" if carried == "waiting" else carried
        self._book.note_state(alarms, state)
        return state


def _message(untold: Sequence[Alarm], subject: _Subject) -> Message:
    """Return the message about alarms nobody was told of, or about the end of the one that was told."""
    alarms = [_due(alarm, alarm.message) for alarm in untold]
    if alarms:
        return message_of(alarms)
    assert subject.told is not None
    end = _due(subject.told, subject.end or f"It is over: {subject.told.message}")
    return Message((end,), end.severity, end.kind, end.message, is_end=True)


def _due(alarm: Alarm, message: str) -> DueAlert:
    return DueAlert(0, alarm.raised_at, alarm.kind, alarm.severity, alarm.key, message, {}, alarm.over_at is not None)
