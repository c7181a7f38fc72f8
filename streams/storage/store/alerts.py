"""Alerts: one open row per dedup key, opened and closed by whoever knows. `alerting` has what becomes of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from streams.alerting.kinds import Severity
from streams.market.documents import JsonDocument, storable_text
from streams.storage.database import Connection, fetch_all, fetch_int


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
    """Open an alert; returns False when one with the same key is open already (it is left as it is)."""
    row = connection.execute(
        """INSERT INTO trading.alerts (kind, severity, dedup_key, message, detail) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (dedup_key) WHERE cleared_at IS NULL DO NOTHING RETURNING alert_id""",
        (kind, severity, dedup_key, storable_text(message), Jsonb(detail or {})),
    ).fetchone()
    return row is not None


def clear_alert(connection: Connection, dedup_key: str) -> None:
    """Close the open alert with this key, if there is one."""
    connection.execute(
        "UPDATE trading.alerts SET cleared_at = clock_timestamp() WHERE dedup_key = %s AND cleared_at IS NULL",
        (dedup_key,),
    )


def clear_other_alerts(connection: Connection, kind: str, dedup_keys: Collection[str]) -> None:
    """Close the open alerts of a kind whose key is none of those given."""
    connection.execute(
        "UPDATE trading.alerts SET cleared_at = clock_timestamp()"
        " WHERE kind = %s AND cleared_at IS NULL AND dedup_key <> ALL(%s)",
        (kind, list(dedup_keys)),
    )


def clear_alerts_under(connection: Connection, prefix: str, dedup_keys: Collection[str]) -> int:
    """Close the open alerts whose key begins so and is none of those given; return how many there were."""
    return connection.execute(
        """UPDATE trading.alerts SET cleared_at = clock_timestamp()
           WHERE starts_with(dedup_key, %s) AND cleared_at IS NULL AND dedup_key <> ALL(%s)""",
        (prefix, list(dedup_keys)),
    ).rowcount


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
