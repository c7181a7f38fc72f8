"""One look of the watcher: the facts are judged, and the table of alerts is brought to what follows."""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.alerting.rules import Judged, Limits
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerts import clear_alerts_under, raise_alert

WATCHER = "watcher"
"""Name under which a look is noted."""


def limits_of(settings: Settings) -> Limits:
    """Return the limits of these settings."""
    is_sandbox = settings.venues == "sandbox"
    return Limits(
        discovery_interval_s=settings.sandbox_discovery_interval_s if is_sandbox else settings.discovery_interval_s,
        dead_letter_share=settings.discovery_dead_letter_share,
    )


def apply(connection: Connection, judged: Sequence[Judged]) -> tuple[int, int]:
    """Open what is wanted and not open, close what is over; returns (opened, closed).

    Two watchers at once open nothing twice: the table has one open alert of a key.
    """
    opened = closed = 0
    for part in judged:
        keys = [*part.unknown, *(alert.key for alert in part.wanted)]
        closed += clear_alerts_under(connection, part.prefix, keys)
        for alert in part.wanted:
            opened += raise_alert(connection, alert.kind, alert.severity, alert.key, alert.message, alert.detail)
    return opened, closed
