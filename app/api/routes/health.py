"""How the system is."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from fastapi import APIRouter, Request, Response

from app.api.acts import permit
from app.api.deps import CurrentSettings
from app.api.errors import TROUBLES
from app.api.schemas import Health, HealthFinding, Mode
from app.api.strict_body import StrictRoute
from app.brief_warehouse import brief_connection
from app.diagnosis.cause import Finding
from app.diagnosis.examination import examine_live
from app.diagnosis.gathering import gather
from app.doors.roles import Act
from app.queries.status import system_status
from streams.market.errors import StreamsError
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.kill_files import is_kill_on_disk
from streams.storage.outages import Trouble, trouble_of
from streams.storage.store.alerts import list_alerts

router = APIRouter(tags=["health"], route_class=StrictRoute, dependencies=[permit(Act.VIEW)])
_LIMIT_S = 8.0


class HealthLook:
    """A look at the system, which all who ask while it is under way share: each takes five of the server's connections.

    Args:
        settings: Of the whole system.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._under_way: asyncio.Task[dict[str, object]] | None = None

    async def __call__(self) -> dict[str, object]:
        """Return what is wrong ("findings") and how much there is of what ("counts"), as far as it was found."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(asyncio.to_thread(self._look))
        return await asyncio.shield(self._under_way)

    def _look(self) -> dict[str, object]:
        settings = self._settings
        return gather({"findings": lambda: examine_live(settings), "counts": lambda: _counts(settings)}, _LIMIT_S)


@router.get("/health", responses={503: {"model": Health}})
async def get_health(request: Request, settings: CurrentSettings, response: Response) -> Health:
    """Return counts, ages and what is wrong, within ten seconds whatever hangs.

    The status is 200 also when degraded, 503 when the database does not answer.
    """
    looked: dict[str, object] = await request.app.state.health_look()
    found = looked.get("counts")
    counts: dict[str, Any] = found if isinstance(found, dict) else {}
    seen = looked.get("findings")
    findings: list[Finding] = seen if isinstance(seen, list) else []
    problems = _problems(counts, findings)
    if not isinstance(seen, list):
        problems.append("looks: the system could not be looked at in time")
    shown: dict[str, Any] = {"mode": Mode(venues=settings.venues, trading=settings.trading_mode)} | counts
    if not counts:
        trouble = found if isinstance(found, Trouble) else Trouble.AWAY
        _, retry_after_s, sentence = TROUBLES[trouble]
        response.status_code = 503
        response.headers["Retry-After"] = str(retry_after_s)
        if trouble is not Trouble.AWAY or not problems:
            problems.insert(0, sentence)
    return Health(
        status="down" if not counts else "degraded" if problems else "ok",
        problems=problems,
        findings=[HealthFinding.model_validate(found) for found in findings],
        **shown,
    )


def _counts(settings: Settings) -> dict[str, Any] | Trouble:
    """Return the counts of the system, or what is the matter: AWAY also where there is no schema."""
    try:
        with brief_connection(settings, "crossbook health") as connection:
            return _status(connection, settings)
    except psycopg.Error as error:
        trouble = trouble_of(error)
        return trouble if trouble in TROUBLES else Trouble.AWAY
    except StreamsError:
        return Trouble.AWAY


def _status(connection: Connection, settings: Settings) -> dict[str, Any]:
    status = system_status(connection, trading_mode=settings.trading_mode)
    counts = {name: value for name, value in status.items() if name != "trades"}
    if is_kill_on_disk(settings.home_dir):
        counts["switch"] = "kill"
    return counts | {"open_alerts": len(list_alerts(connection, open_only=True, limit=1000))}


def _problems(counts: dict[str, Any], findings: list[Finding]) -> list[str]:
    problems = [f"{found.check}: {found.found}" for found in findings]
    if counts and not counts["marts"] and not any(found.check == "marts are built" for found in findings):
        problems.append("The warehouse models have not been built yet.")
    if counts and counts["switch"] == "kill":
        problems.append("Trading is killed.")
    return problems
