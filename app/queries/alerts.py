"""The inbox of alerts and the banner above every page: what is wrong, whether it was told, and the way out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streams.alerting.kinds import Severity, remedy_of
from streams.market.documents import JsonDocument
from streams.storage.database import Connection
from streams.storage.store.alerting import inbox
from streams.storage.store.alerting.inbox import AlertReceipt, AlertState, InboxRow


@dataclass(frozen=True, slots=True)
class InboxAlert:
    """One alert with its way out.

    Attributes:
        subject: What it is about within its kind: its key.
        message: What is wrong, in one sentence. It may quote a venue: show it as text.
        remedy: What to do: a command or a page of the documentation.
        delivery: What became of it: `waiting`, `no channel`, `sent` or `failed`.
        receipts: The newest attempt by each channel, in the channels' order.
        is_open: Whether its cause goes on.
    """

    alert_id: int
    raised_at: datetime
    kind: str
    severity: Severity
    subject: str
    message: str
    remedy: str
    delivery: AlertState
    sent_at: datetime | None
    receipts: tuple[AlertReceipt, ...]
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    cleared_at: datetime | None
    detail: JsonDocument

    @property
    def is_open(self) -> bool:
        """Whether its cause goes on."""
        return self.cleared_at is None


@dataclass(frozen=True, slots=True)
class AlertBanner:
    """What stands above every page.

    Attributes:
        open: Open alerts.
        critical: Critical ones among them that nobody has acknowledged.
        unacknowledged: Open ones that nobody has acknowledged.
        undelivered: Open ones that reached nobody.
        channels: Kinds of the channels that are set, as the sender saw them last; empty: no channel.
        sentences: What to say, the most urgent first; empty: no banner.
    """

    open: int
    critical: int
    unacknowledged: int
    undelivered: int
    channels: list[str]
    sentences: tuple[str, ...]

    @property
    def is_critical(self) -> bool:
        """Whether to say it in the colour of what is critical."""
        return self.critical > 0


NO_CHANNEL = (
    "No channel is set (CROSSBOOK_ALERT_CHANNELS), so alerts reach nobody beyond this inbox; see docs/how-to/alerts.md."
)


def load_inbox(connection: Connection, *, open_only: bool = True, limit: int = 200) -> list[InboxAlert]:
    """Return alerts: open ones first, of these those nobody has acknowledged, critical ones first."""
    return [_with_remedy(row) for row in inbox.load_inbox(connection, open_only=open_only, limit=limit)]


def find_alert(connection: Connection, alert_id: int) -> InboxAlert | None:
    """Return one alert; None where there is none of that number."""
    row = inbox.find_alert(connection, alert_id)
    return None if row is None else _with_remedy(row)


def _with_remedy(row: InboxRow) -> InboxAlert:
    return InboxAlert(
        alert_id=row.alert_id,
        raised_at=row.raised_at,
        kind=row.kind,
        severity=row.severity,
        subject=row.dedup_key,
        message=row.message,
        remedy=remedy_of(row.kind),
        delivery=row.state,
        sent_at=row.sent_at,
        receipts=row.receipts,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        cleared_at=row.cleared_at,
        detail=row.detail,
    )


def load_banner(connection: Connection) -> AlertBanner:
    """Return what stands above every page: critical alerts that nobody acknowledged, and alerts that reached nobody."""
    counts = inbox.count_alerts(connection)
    sentences = []
    if counts.critical:
        sentences.append(f"{_alerts(counts.critical, 'critical ')} nobody has acknowledged.")
    if counts.no_channel and not counts.channels:
        sentences.append(NO_CHANNEL)
    if counts.failed:
        sentences.append(f"{_alerts(counts.failed)} could not be sent by any channel: `crossbook alerts test`.")
    return AlertBanner(
        open=counts.open,
        critical=counts.critical,
        unacknowledged=counts.unacknowledged,
        undelivered=counts.no_channel + counts.failed,
        channels=counts.channels,
        sentences=tuple(sentences),
    )


def _alerts(count: int, word: str = "") -> str:
    return f"{count} {word}alert{'' if count == 1 else 's'}"
