"""The inbox: alerts with what became of each by every channel, and who has seen them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from streams.alerting.kinds import Severity
from streams.market.documents import JsonDocument
from streams.storage.database import Connection, fetch_all, fetch_one, read_clock

AlertState = Literal["waiting", "no channel", "sent", "failed"]
"""`waiting`: not sent yet; `no channel`: there is none that takes it; `failed`: every channel failed, and it is tried
again."""


@dataclass(frozen=True, slots=True)
class AlertReceipt:
    """The newest attempt to send an alert through one channel.

    Attributes:
        place: Of the channel in the list, from 1.
        channel: Its kind, like "json" or "mailto"; never its address.
        took_ms: Milliseconds the attempt took.
        error: Class of what went wrong, like "HTTP 500" or "timeout"; empty where it was sent.
    """

    alert_id: int
    place: int
    channel: str
    at: datetime
    took_ms: int
    outcome: Literal["sent", "failed"]
    error: str


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One row of `trading.alerts` as the inbox shows it; `try_after`: not tried again before."""

    alert_id: int
    raised_at: datetime
    kind: str
    severity: Severity
    dedup_key: str
    message: str
    detail: JsonDocument
    state: AlertState
    attempts: int
    try_after: datetime | None
    sent_at: datetime | None
    send_error: str
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    cleared_at: datetime | None
    receipts: tuple[AlertReceipt, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """Open alerts, counted.

    Attributes:
        open: All that are not over.
        critical: Of these the critical ones that nobody has acknowledged.
        unacknowledged: Of these those that nobody has acknowledged.
        no_channel: Of these those for which there is no channel.
        failed: Of these those that no channel took.
        channels: Kinds of the channels that are set, in their order, as the sender saw them last.
        sender_age_s: Since the sender looked last (seconds); None: it never has.
    """

    open: int
    critical: int
    unacknowledged: int
    no_channel: int
    failed: int
    channels: list[str]
    sender_age_s: float | None


_COLUMNS = """alert_id, raised_at, kind, severity, dedup_key, message, detail, state, attempts, try_after, sent_at,
    send_error, acknowledged_by, acknowledged_at, cleared_at"""
_ORDER = """cleared_at IS NOT NULL, acknowledged_at IS NOT NULL,
    array_position(ARRAY['critical', 'warning', 'notice'], severity), alert_id DESC"""


def load_inbox(connection: Connection, *, open_only: bool = True, limit: int = 200) -> list[InboxRow]:
    """Return alerts with their receipts: open ones first, of these those nobody acknowledged, critical ones first."""
    rows = fetch_all(
        connection,
        InboxRow,
        f"SELECT {_COLUMNS} FROM trading.alerts WHERE NOT %s OR cleared_at IS NULL ORDER BY {_ORDER} LIMIT %s",
        (open_only, limit),
    )
    return _with_receipts(connection, rows)


def find_alert(connection: Connection, alert_id: int) -> InboxRow | None:
    """Return one alert with its receipts; None where there is none of that number."""
    rows = fetch_all(connection, InboxRow, f"SELECT {_COLUMNS} FROM trading.alerts WHERE alert_id = %s", (alert_id,))
    return next(iter(_with_receipts(connection, rows)), None)


def _with_receipts(connection: Connection, rows: Sequence[InboxRow]) -> list[InboxRow]:
    found: defaultdict[int, list[AlertReceipt]] = defaultdict(list)
    for receipt in fetch_all(
        connection,
        AlertReceipt,
        """SELECT DISTINCT ON (alert_id, place) alert_id, place, channel, at, took_ms, outcome, error
           FROM trading.alert_receipts WHERE alert_id = ANY(%s) ORDER BY alert_id, place, receipt_id DESC""",
        ([row.alert_id for row in rows],),
    ):
        found[receipt.alert_id].append(receipt)
    return [replace(row, receipts=tuple(found[row.alert_id])) for row in rows]


def count_alerts(connection: Connection) -> AlertCounts:
    """Count the open alerts."""
    counts = fetch_one(
        connection,
        AlertCounts,
        """SELECT count(*) AS open,
               count(*) FILTER (WHERE severity = 'critical' AND acknowledged_at IS NULL) AS critical,
               count(*) FILTER (WHERE acknowledged_at IS NULL) AS unacknowledged,
               count(*) FILTER (WHERE state = 'no channel') AS no_channel,
               count(*) FILTER (WHERE state = 'failed') AS failed,
               coalesce((SELECT channels FROM trading.alert_looks WHERE name = 'sender'), '{}') AS channels,
               (SELECT extract(epoch FROM %s - looked_at)::float8 FROM trading.alert_looks
                   WHERE name = 'sender') AS sender_age_s
           FROM trading.alerts WHERE cleared_at IS NULL""",
        (read_clock(connection),),
    )
    assert counts is not None
    return counts


def note_acknowledgement(connection: Connection, alert_id: int, who: str) -> bool:
    """Note who has seen an alert, unless somebody has already; returns whether there is such an alert."""
    row = connection.execute(
        """WITH noted AS (
               UPDATE trading.alerts SET acknowledged_by = %(who)s, acknowledged_at = %(now)s
               WHERE alert_id = %(alert_id)s AND acknowledged_at IS NULL)
           SELECT 1 AS found FROM trading.alerts WHERE alert_id = %(alert_id)s""",
        {"alert_id": alert_id, "who": who, "now": read_clock(connection)},
    ).fetchone()
    return row is not None
