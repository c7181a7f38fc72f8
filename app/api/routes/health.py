"""How the system is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from app.api.deps import CurrentSettings, Warehouse
from app.api.schemas import Health
from app.queries.status import system_status
from streams.settings import Settings
from streams.storage.store.alerts import list_alerts

router = APIRouter(tags=["health"])


@router.get("/health")
def get_health(connection: Warehouse, settings: CurrentSettings) -> Health:
    """Return counts, ages and what is wrong. The status is 200 also when degraded: the API itself answers."""
    status = system_status(connection, trading_mode=settings.trading_mode)
    alerts = list_alerts(connection, open_only=True, limit=1000)
    problems = _problems(status, settings) + [alert.message for alert in alerts if alert.severity == "critical"]
    fields = {name: value for name, value in status.items() if name != "trades"}
    return Health(status="degraded" if problems else "ok", problems=problems, open_alerts=len(alerts), **fields)


def _problems(status: dict[str, Any], settings: Settings) -> list[str]:
    problems = []
    recorder = status["recorder_age_s"]
    if recorder is None:
        problems.append("No recorder has run yet.")
    elif recorder > settings.recorder_stale_after_s:
        problems.append(f"The recorder had no heartbeat for {recorder:.0f} s.")
    if not status["marts"]:
        problems.append("The warehouse models have not been built yet.")
    failed = {test["test"]: test for mart in [*status["marts"], *status["views"]] for test in mart["failed_tests"]}
    problems += [
        f"Data test {name} does not pass since {test['failed_at']:%Y-%m-%d %H:%M} UTC; it concerns "
        f"{', '.join(test['marts'])}."
        for name, test in failed.items()
    ]
    if status["switch"] == "kill":
        problems.append("Trading is killed.")
    return problems
