"""Alarms that were told without the database, written into the table of alerts afterwards."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from streams.alerting.kinds import Severity
from streams.storage.database import Connection, read_clock
from streams.storage.store.alerting.inbox import AlertState


@dataclass(frozen=True, slots=True)
class AlarmReceipt:
    """One attempt to send an alarm through a channel; `error` is a class, empty where it was sent."""

    place: int
    channel: str
    at: datetime
    took_ms: int
    error: str


@dataclass(slots=True)
class Alarm:
    """Something the supervisor told of.

    Attributes:
        alarm_id: A UUID; its row has it too, so that it is written once.
        key: What it is about; one alarm of a key is open at a time.
        over_at: When its cause was over; None: it goes on.
        receipts: The newest ones.
        attempts: All there were.
        saved: `mark` of what the table has; not changed since where they are equal.
    """

    alarm_id: str
    key: str
    kind: str
    severity: Severity
    message: str
    raised_at: datetime
    over_at: datetime | None = None
    state: AlertState = "waiting"
    sent_at: datetime | None = None
    receipts: list[AlarmReceipt] = field(default_factory=list)
    attempts: int = 0
    saved: str = ""

    @property
    def mark(self) -> str:
        """What differs between two states of this alarm."""
        return f"{self.state} {self.attempts} {self.over_at is not None}"


def save_alarm(connection: Connection, alarm: Alarm) -> None:
    """Write an alarm with its receipts, or bring its row up to date. Its key is marked as an alarm's."""
    with connection.transaction():
        row = connection.execute(
            """INSERT INTO trading.alerts (alarm_id, raised_at, kind, severity, dedup_key, message, state, sent_at,
                   cleared_at, send_error, attempts)
               VALUES (%(id)s, %(raised)s, %(kind)s, %(severity)s, %(key)s, %(message)s, %(state)s, %(sent)s, %(over)s,
                   %(error)s, %(attempts)s)
               ON CONFLICT (alarm_id) DO UPDATE SET state = excluded.state, sent_at = excluded.sent_at,
                   send_error = excluded.send_error, attempts = excluded.attempts,
                   cleared_at = coalesce(trading.alerts.cleared_at, excluded.cleared_at)
               RETURNING alert_id""",
            {
                "id": alarm.alarm_id,
                "raised": alarm.raised_at,
                "kind": alarm.kind,
                "severity": alarm.severity,
                "key": f"alarm:{alarm.key}",
                "message": alarm.message,
                "state": alarm.state,
                "sent": alarm.sent_at,
                "over": alarm.over_at,
                "error": "" if alarm.state == "sent" or not alarm.receipts else alarm.receipts[-1].error,
                "attempts": alarm.attempts,
            },
        ).fetchone()
        assert row is not None
        for receipt in alarm.receipts:
            connection.execute(
                """INSERT INTO trading.alert_receipts (alert_id, place, channel, at, took_ms, outcome, error)
                   SELECT %(alert)s, %(place)s, %(channel)s, %(at)s, %(took)s, %(outcome)s, %(error)s
                   WHERE NOT EXISTS (SELECT FROM trading.alert_receipts
                       WHERE alert_id = %(alert)s AND place = %(place)s AND at = %(at)s)""",
                {
                    "alert": row["alert_id"],
                    "place": receipt.place,
                    "channel": receipt.channel,
                    "at": receipt.at,
                    "took": receipt.took_ms,
                    "outcome": "failed" if receipt.error else "sent",
                    "error": receipt.error,
                },
            )


def clear_other_alarms(connection: Connection, open_ids: Collection[str]) -> None:
    """Close the rows of alarms that are none of those that go on."""
    connection.execute(
        """UPDATE trading.alerts SET cleared_at = %s
           WHERE alarm_id IS NOT NULL AND cleared_at IS NULL AND alarm_id <> ALL(%s::uuid[])""",
        (read_clock(connection), list(open_ids)),
    )
