"""The limits, what waits for a person, and the release of an edge that was too good to be taken unasked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from app.api.acts import permit
from app.api.deps import ActingPerson, CurrentSettings, Warehouse, act_on
from app.api.risk_schemas import LimitAnswer, LimitBody, LimitInForce, ReleaseAnswer, ReleaseBody, WaitingThing
from app.api.schemas import Listed
from app.api.strict_body import StrictRoute
from app.doors.names import reason_for
from app.doors.roles import Act
from app.edge_release import release_edge
from app.operator_actions import set_limit
from streams.market.limits import KINDS, LIMIT_NAMES, LimitName
from streams.storage.store.gate.waiting import list_waiting
from streams.storage.store.risk import first_limit, load_limits

router = APIRouter(tags=["risk"], route_class=StrictRoute)
_ID_MAX = 2**63 - 1


@router.get("/limits", dependencies=[permit(Act.VIEW)])
def get_limits(connection: Warehouse, settings: CurrentSettings) -> Listed[LimitInForce]:
    """List the limits in force. One that nobody has set has its first value, from the settings."""
    given = load_limits(connection)
    items = []
    for name in LIMIT_NAMES:
        row, kind = given.get(name), KINDS[name]
        value = first_limit(settings, name) if row is None else row.value
        items.append(
            LimitInForce(
                name=name,
                value=f"{value:f}",
                unit=kind.unit,
                meaning=kind.label,
                set_by=None if row is None else row.set_by,
                set_at=None if row is None else row.set_at,
                reason="" if row is None else row.reason,
            )
        )
    return Listed(items=items, next_cursor=None)


@router.post("/limits/{name}", status_code=201, dependencies=[permit(Act.LIMITS)])
async def post_limit(request: Request, person: ActingPerson, name: LimitName, body: LimitBody) -> LimitAnswer:
    """Set a limit; it holds from the next order on."""
    reason = reason_for(body.reason, person.name, body.who or "")
    limit_id = await act_on(
        request,
        lambda connection: set_limit(
            connection, name, body.value, who=person.name, reason=reason, seen=body.seen_value
        ),
    )
    return LimitAnswer(limit_id=limit_id, name=name, value=f"{body.value:f}", set_by=person.name)


@router.get("/waiting", dependencies=[permit(Act.VIEW)])
def get_waiting(connection: Warehouse, settings: CurrentSettings) -> Listed[WaitingThing]:
    """List what waits for a person, the longest first, each with the command that ends it."""
    items = list_waiting(connection, settings.trading_mode)
    return Listed(items=[WaitingThing.model_validate(item) for item in items], next_cursor=None)


@router.post("/opportunities/{signal_id}/release", status_code=201, dependencies=[permit(Act.LIMITS)])
async def post_release(
    request: Request, person: ActingPerson, signal_id: Annotated[int, Path(ge=1, le=_ID_MAX)], body: ReleaseBody
) -> ReleaseAnswer:
    """Let an edge be taken that was too good to be taken unasked, up to a size, while its episode lasts."""
    reason = reason_for(body.reason, person.name, body.who or "")
    release_id = await act_on(
        request, lambda connection: release_edge(connection, signal_id, body.up_to, who=person.name, reason=reason)
    )
    return ReleaseAnswer(release_id=release_id, signal_id=signal_id)
