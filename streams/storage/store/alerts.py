"""Alerts: one open row per dedup key, opened and closed by whoever knows. `alerting` has what becomes of them.

What is said may quote a venue, a file or a server: it is written as one inert line without secrets and of a bounded
length, so that nothing in it keeps its own alert from being written.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from streams.alerting.kinds import SEVERITIES, Severity
from streams.inert import one_line
from streams.market.documents import JsonDocument
from streams.redaction import redact_text
from streams.storage.database import Connection, fetch_all, fetch_int, read_clock

_MESSAGE_MAX = 1000
_QUOTED_MAX = 20_000
"""Characters of a text that are looked at: what follows is not kept in any case."""


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """What people see of a row of `trading.alerts`."""

    alert_id: int
    raised_at: datetime
    kind: str
    severity: Severity
    message: str
    sent_at: datetime | None
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True)
class FailedTest:
    """A data test that does not pass, with the marts that stand on what it tests, and since when."""

    test: str
    marts: tuple[str, ...]
    failed_at: datetime


def raise_alert(
    connection: Connection,
    kind: str,
    severity: Severity,
    dedup_key: str,
    message: str,
    detail: JsonDocument | None = None,
) -> bool:
    """Open an alert; returns False when one with the same key is open already.

    That one is left as it is, unless it is less grave: then it ends, and the graver one takes its place, which nobody
    has seen or was told of yet.
    """
    said = (kind, severity, dedup_key, alert_text(message), Jsonb(_storable(detail or {})))
    while not _open(connection, said):
        row = connection.execute(
            "SELECT alert_id, severity FROM trading.alerts WHERE dedup_key = %s AND cleared_at IS NULL", (dedup_key,)
        ).fetchone()
        if row is None:
            continue  # it has ended meanwhile
        if SEVERITIES.index(row["severity"]) >= SEVERITIES.index(severity):
            return False
        with connection.transaction():
            # Somebody else may end it at this moment for one that is graver still: then look again.
            if _end(connection, row["alert_id"]) and _open(connection, said):
                return True
    return True


def _end(connection: Connection, alert_id: int) -> bool:
    cursor = connection.execute(
        "UPDATE trading.alerts SET cleared_at = %s WHERE alert_id = %s AND cleared_at IS NULL",
        (read_clock(connection), alert_id),
    )
    return cursor.rowcount > 0


def _open(connection: Connection, said: tuple[str, Severity, str, str, Jsonb]) -> bool:
    row = connection.execute(
        """INSERT INTO trading.alerts (kind, severity, dedup_key, message, detail, raised_at)
           VALUES (%s, %s, %s, %s, %s, %s)
           ON CONFLICT (dedup_key) WHERE cleared_at IS NULL DO NOTHING RETURNING alert_id""",
        (*said, read_clock(connection)),
    ).fetchone()
    return row is not None


def alert_text(text: str) -> str:
    """Return what an alert says as it is kept and told: one inert line without secrets."""
    return one_line(one_line(redact_text(text[:_QUOTED_MAX])), _MESSAGE_MAX)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return alert_text(value)
    if isinstance(value, dict):
        return {alert_text(str(key)): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value


def clear_alert(connection: Connection, dedup_key: str) -> None:
    """Close the open alert with this key, if there is one."""
    connection.execute(
        "UPDATE trading.alerts SET cleared_at = %s WHERE dedup_key = %s AND cleared_at IS NULL",
        (read_clock(connection), dedup_key),
    )


def clear_other_alerts(connection: Connection, kind: str, dedup_keys: Collection[str]) -> None:
    """Close the open alerts of a kind whose key is none of those given."""
    connection.execute(
        "UPDATE trading.alerts SET cleared_at = %s WHERE kind = %s AND cleared_at IS NULL AND dedup_key <> ALL(%s)",
        (read_clock(connection), kind, list(dedup_keys)),
    )


def clear_alerts_under(connection: Connection, prefix: str, dedup_keys: Collection[str]) -> int:
    """Close the open alerts whose key begins so and is none of those given; return how many there were."""
    return connection.execute(
        """UPDATE trading.alerts SET cleared_at = %s
           WHERE starts_with(dedup_key, %s) AND cleared_at IS NULL AND dedup_key <> ALL(%s)""",
        (read_clock(connection), prefix, list(dedup_keys)),
    ).rowcount


def clear_settled_alerts(connection: Connection) -> None:
    """Close the open alerts about executions that hold nothing any more: they sold all, or were paid out."""
    connection.execute(
        """UPDATE trading.alerts AS a SET cleared_at = %s FROM trading.executions AS e
           WHERE a.cleared_at IS NULL AND a.kind IN ('escalated', 'late_fill', 'over_fill', 'resolved_order',
               'flatten', 'exposed')
               AND e.execution_id = (a.detail ->> 'execution_id')::bigint AND e.settled_at IS NOT NULL""",
        (read_clock(connection),),
    )


def open_alerts(connection: Connection, kind: str) -> list[str]:
    """Return the keys of the open alerts of a kind."""
    rows = connection.execute("SELECT dedup_key FROM trading.alerts WHERE kind = %s AND cleared_at IS NULL", (kind,))
    return [str(row["dedup_key"]) for row in rows]


def alert_detail(connection: Connection, dedup_key: str) -> JsonDocument:
    """Return the detail (JSON) of the open alert with this key, empty where none is open."""
    row = connection.execute(
        "SELECT detail FROM trading.alerts WHERE dedup_key = %s AND cleared_at IS NULL", (dedup_key,)
    ).fetchone()
    return {} if row is None else dict(row["detail"])


def merge_alert_detail(connection: Connection, dedup_key: str, detail: JsonDocument) -> None:
    """Add keys to the detail of the open alert with this key, if there is one."""
    connection.execute(
        "UPDATE trading.alerts SET detail = detail || %s WHERE dedup_key = %s AND cleared_at IS NULL",
        (Jsonb(detail), dedup_key),
    )


def count_critical_alerts(connection: Connection) -> int:
    """Return how many critical alerts are open."""
    return fetch_int(
        connection, "SELECT count(*) FROM trading.alerts WHERE cleared_at IS NULL AND severity = 'critical'"
    )


def list_alerts(connection: Connection, *, open_only: bool = False, limit: int = 50) -> list[AlertStatus]:
    """Return alerts, open ones first, then the newest."""
    return fetch_all(
        connection,
        AlertStatus,
        """SELECT alert_id, raised_at, kind, severity, message, sent_at, cleared_at FROM trading.alerts
           WHERE NOT %s OR cleared_at IS NULL ORDER BY cleared_at IS NOT NULL, alert_id DESC LIMIT %s""",
        (open_only, limit),
    )


def list_failed_tests(connection: Connection, mart: str | None = None) -> list[FailedTest]:
    """Return the data tests that do not pass now, oldest first: all, or those that concern one mart."""
    return fetch_all(
        connection,
        _failed_test,
        """SELECT detail ->> 'test' AS test, ARRAY(SELECT jsonb_array_elements_text(detail -> 'marts')) AS marts,
               raised_at AS failed_at
           FROM trading.alerts WHERE kind = 'data_test' AND cleared_at IS NULL
               AND (%(mart)s::text IS NULL OR detail -> 'marts' ? %(mart)s)
           ORDER BY alert_id""",
        {"mart": mart},
    )


def _failed_test(*, test: str, marts: list[str], failed_at: datetime) -> FailedTest:
    return FailedTest(test, tuple(marts), failed_at)
