"""Alert delivery: to the log, and to a webhook where one is set."""

from __future__ import annotations

import httpx

from streams.logs import get_logger
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerts import AlertRow, load_unsent_alerts, mark_alert_failed, mark_alert_sent

_TIMEOUT_S = 5.0


def send_alerts(connection: Connection, settings: Settings) -> tuple[int, int]:
    """Send every alert that was not delivered yet; returns (sent, failed). Failed ones are tried again."""
    sent = failed = 0
    for alert in load_unsent_alerts(connection):
        get_logger().warning("alert", kind=alert.kind, severity=alert.severity, message=alert.message)
        error = _post(settings, alert)
        if error:
            failed += 1
            mark_alert_failed(connection, alert.alert_id, error)
        else:
            sent += 1
            mark_alert_sent(connection, alert.alert_id)
    return sent, failed


def _post(settings: Settings, alert: AlertRow) -> str:
    """Post one alert as JSON; returns what went wrong, empty when nothing did. The address is never part of it."""
    if settings.alert_webhook_url is None:
        return ""
    body = {
        "alert_id": alert.alert_id,
        "raised_at": alert.raised_at.isoformat(),
        "kind": alert.kind,
        "severity": alert.severity,
        "message": alert.message,
        "detail": alert.detail,
        "environment": settings.venues,
    }
    try:
        response = httpx.post(settings.alert_webhook_url.get_secret_value(), json=body, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if response.is_success else f"HTTP {response.status_code}"
