"""Delivery of alerts: what is due, who has claimed it, and a receipt for each attempt.

Times are those of `read_clock`. One that lies further ahead than any wait, because that clock was put back, holds
nothing up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from streams.alerting.kinds import Severity
from streams.market.documents import JsonDocument
from streams.storage.database import Connection, fetch_all, fetch_one, read_clock
from streams.storage.store.alerting.inbox import AlertState

CLAIM_S = 90.0
"""What a sender has claimed is another's after this long: it died."""
_FIRST_WAIT_S = 30.0
_LONGEST_WAIT_S = 900.0
_GIVEN_UP_AFTER_S = 86_400.0
"""An alert that is over is not tried any more after this long."""
_IS_DUE = f"""state IN ('waiting', 'failed', 'no channel')
    AND alarm_id IS NULL AND kind <> 'test'  -- told of by the supervisor; sent through every channel, once
    AND (try_after IS NULL OR try_after <= %(now)s
        OR try_after > %(now)s + interval '{_LONGEST_WAIT_S:.0f} seconds')
    AND (cleared_at IS NULL
        OR state <> 'no channel' AND raised_at > %(now)s - interval '{_GIVEN_UP_AFTER_S:.0f} seconds')"""


@dataclass(frozen=True, slots=True)
class UnsentAlert:
    """What is delivered of a row of `trading.alerts`."""

    alert_id: int
    raised_at: datetime
    kind: str
    severity: Severity
    dedup_key: str
    message: str
    detail: JsonDocument
    attempts: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class SentKey:
    """When an alert of a key and of a severity was sent last."""

    dedup_key: str
    severity: Severity
    sent_at: datetime


def load_due_alerts(
    connection: Connection, severities: Collection[Severity], cooldown_s: float, limit: int = 500
) -> list[UnsentAlert]:
    """Return alerts that are to be sent and that some channel takes, grave ones first, then the oldest.

    Those of whose key one was sent less than `cooldown_s` seconds ago come last: however many they are, they keep no
    other one away.
    """
    return fetch_all(
        connection,
        UnsentAlert,
        f"""SELECT alert_id, raised_at, kind, severity, dedup_key, message, detail, attempts,
                cleared_at IS NOT NULL AS is_over
            FROM trading.alerts AS a WHERE {_IS_DUE} AND severity = ANY(%(severities)s)
            ORDER BY EXISTS (SELECT FROM trading.alerts AS s
                    WHERE s.dedup_key = a.dedup_key AND s.severity = a.severity
                        AND s.sent_at > %(now)s - make_interval(secs => %(cooldown)s)),
                array_position(ARRAY['critical', 'warning', 'notice'], severity), alert_id LIMIT %(limit)s""",
        {"severities": list(severities), "cooldown": cooldown_s, "limit": limit, "now": read_clock(connection)},
    )


def load_last_sent(connection: Connection, keys: Collection[str]) -> dict[tuple[str, Severity], datetime]:
    """Return when an alert of each key and severity was sent last; where none was it is missing."""
    rows = fetch_all(
        connection,
        SentKey,
        """SELECT dedup_key, severity, max(sent_at) AS sent_at FROM trading.alerts
           WHERE dedup_key = ANY(%s) AND sent_at IS NOT NULL GROUP BY dedup_key, severity""",
        (list(keys),),
    )
    return {(row.dedup_key, row.severity): row.sent_at for row in rows}


def note_no_channel(connection: Connection, severities: Collection[Severity]) -> list[UnsentAlert]:
    """Mark unsent alerts of the severities that no channel takes; return those that were not marked before."""
    return fetch_all(
        connection,
        UnsentAlert,
        """UPDATE trading.alerts SET state = 'no channel', try_after = NULL
           WHERE state IN ('waiting', 'failed') AND alarm_id IS NULL AND kind <> 'test'
               AND severity <> ALL(%s)
           RETURNING alert_id, raised_at, kind, severity, dedup_key, message, detail, attempts,
               cleared_at IS NOT NULL AS is_over""",
        (list(severities),),
    )


def claim_alerts(connection: Connection, alert_ids: Sequence[int]) -> set[int]:
    """Take alerts for an attempt, each if it is still due; return those that are taken now. Two never take one."""
    rows = connection.execute(
        f"""UPDATE trading.alerts SET attempts = attempts + 1,
                try_after = %(now)s + make_interval(secs => %(claim)s)
            WHERE alert_id = ANY(%(ids)s) AND {_IS_DUE} RETURNING alert_id""",
        {"now": read_clock(connection), "claim": CLAIM_S, "ids": list(alert_ids)},
    )
    return {int(row["alert_id"]) for row in rows}


def note_receipt(
    connection: Connection, alert_ids: Sequence[int], *, place: int, channel: str, error: str, took_ms: int
) -> None:
    """Write what became of an attempt to send alerts through a channel; `error` is empty where it was sent."""
    connection.execute(
        """INSERT INTO trading.alert_receipts (alert_id, place, channel, at, took_ms, outcome, error)
           SELECT alert_id, %s, %s, %s, %s, %s, %s FROM unnest(%s::bigint[]) AS alert_id""",
        (
            place,
            channel,
            read_clock(connection),
            took_ms,
            "failed" if error else "sent",
            error[:100],
            list(alert_ids),
        ),
    )


def mark_sent(connection: Connection, alert_ids: Sequence[int]) -> None:
    """Note that a channel took the alerts."""
    connection.execute(
        """UPDATE trading.alerts SET state = 'sent', sent_at = %s, send_error = '', try_after = NULL
           WHERE alert_id = ANY(%s)""",
        (read_clock(connection), list(alert_ids)),
    )


def mark_failed(connection: Connection, alert_ids: Sequence[int], error: str) -> None:
    """Note that every channel failed, the last with this class of error; each next attempt waits longer."""
    connection.execute(
        """UPDATE trading.alerts SET state = 'failed', send_error = %s, try_after = %s
               + make_interval(secs => least(%s * 2 ^ least(greatest(attempts - 1, 0), 10), %s))
           WHERE alert_id = ANY(%s)""",
        (error[:100], read_clock(connection), _FIRST_WAIT_S, _LONGEST_WAIT_S, list(alert_ids)),
    )


def give_back(connection: Connection, alert_ids: Sequence[int]) -> None:
    """Return alerts that were claimed and not tried by every channel."""
    connection.execute(
        "UPDATE trading.alerts SET attempts = greatest(attempts - 1, 0), try_after = NULL WHERE alert_id = ANY(%s)",
        (list(alert_ids),),
    )


def ask_test(connection: Connection, who: str) -> int:
    """Ask for a test of every channel in somebody's name; return the number of its alert, which has the receipts."""
    now = read_clock(connection)
    row = connection.execute(
        """INSERT INTO trading.alerts (kind, severity, dedup_key, message, detail, raised_at, cleared_at)
           VALUES ('test', 'notice', 'test', %s, %s, %s, %s) RETURNING alert_id""",
        (f"This is a test, asked for by {who}: nothing is wrong.", Jsonb({"asked_by": who}), now, now),
    ).fetchone()
    assert row is not None
    return int(row["alert_id"])


def take_test(connection: Connection) -> UnsentAlert | None:
    """Return the oldest test that was asked for and nobody has taken, to one sender and once."""
    return fetch_one(
        connection,
        UnsentAlert,
        """UPDATE trading.alerts SET attempts = 1 WHERE alert_id = (
               SELECT alert_id FROM trading.alerts WHERE kind = 'test' AND state = 'waiting' AND attempts = 0
                   AND raised_at > %s - interval '1 hour'
               ORDER BY alert_id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING alert_id, raised_at, kind, severity, dedup_key, message, detail, attempts, true AS is_over""",
        (read_clock(connection),),
    )


def end_test(connection: Connection, alert_id: int, state: AlertState, error: str = "") -> None:
    """Note what became of a test: it is not tried again."""
    connection.execute(
        """UPDATE trading.alerts SET state = %(state)s, send_error = %(error)s,
               sent_at = CASE WHEN %(state)s = 'sent' THEN %(now)s::timestamptz END WHERE alert_id = %(id)s""",
        {"id": alert_id, "state": state, "error": error[:100], "now": read_clock(connection)},
    )


def note_look(connection: Connection, name: str, channels: Sequence[str] = ()) -> None:
    """Note that the sender or the watcher has looked just now, and by which kinds of channels it sends."""
    connection.execute(
        """INSERT INTO trading.alert_looks (name, looked_at, channels) VALUES (%s, %s, %s)
           ON CONFLICT (name) DO UPDATE SET looked_at = excluded.looked_at, channels = excluded.channels""",
        (name, read_clock(connection), list(channels)),
    )


def load_look_ages_s(connection: Connection) -> dict[str, float]:
    """Return the seconds since each of those who look after alerts looked last; one that never has is missing."""
    rows = connection.execute(
        "SELECT name, extract(epoch FROM %s - looked_at)::float8 AS age_s FROM trading.alert_looks",
        (read_clock(connection),),
    )
    return {str(row["name"]): float(row["age_s"]) for row in rows}


def count_undelivered(connection: Connection, after_s: float) -> int:
    """Return how many open alerts no channel took for so many seconds, alerts of that apart."""
    row = connection.execute(
        """SELECT count(*) AS n FROM trading.alerts WHERE state = 'failed' AND cleared_at IS NULL
           AND kind <> 'undelivered' AND raised_at < %s - make_interval(secs => %s)""",
        (read_clock(connection), after_s),
    ).fetchone()
    return 0 if row is None else int(row["n"])
