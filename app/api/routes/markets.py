"""Markets of both venues."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.acts import permit
from app.api.deps import WantedPage, Warehouse
from app.api.schemas import Listed, Market
from app.api.strict_body import StrictRoute
from app.doors.roles import Act
from app.queries.markets import MarketFilter, load_markets
from streams.market.identity import Venue
from streams.market.listing import MarketStatus

router = APIRouter(tags=["markets"], route_class=StrictRoute, dependencies=[permit(Act.VIEW)])

_SEARCH = (
    "Words, in any case and order: finds markets whose title, subtitle, event or id have, for each, a word that begins"
    " with it. Without letters and digits: finds markets in one of whose texts just these signs stand."
)


@router.get("/markets")
def list_markets(  # noqa: PLR0913 - FastAPI reads each query parameter from an argument
    connection: Warehouse,
    page: WantedPage,
    venue: Venue | None = None,
    status: MarketStatus | None = None,
    category: Annotated[str | None, Query(max_length=200)] = None,
    search: Annotated[str, Query(max_length=200, description=_SEARCH)] = "",
    recorded: Annotated[bool, Query(description="Only markets whose books are being recorded.")] = False,
) -> Listed[Market]:
    """List markets in the order of venue and id, with the last quote of those that are recorded."""
    found = load_markets(
        connection,
        MarketFilter(venue, status, category, search, recorded_only=recorded),
        limit=page.limit,
        cursor=page.cursor,
    )
    return Listed(items=[Market.model_validate(row) for row in found.rows], next_cursor=found.next_cursor)
