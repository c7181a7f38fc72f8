"""Markets of both venues."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.deps import WantedPage, Warehouse
from app.api.schemas import Listed, Market
from app.queries.markets import load_markets
from streams.market.identity import Venue
from streams.market.listing import MarketStatus

router = APIRouter(tags=["markets"])


@router.get("/markets")
def list_markets(
    connection: Warehouse,
    page: WantedPage,
    venue: Venue | None = None,
    status: MarketStatus | None = None,
    category: Annotated[str | None, Query(max_length=200)] = None,
    search: Annotated[str, Query(max_length=200, description="Looks in titles, events and ids, any case.")] = "",
    recorded: Annotated[bool, Query(description="Only markets whose books are being recorded.")] = False,
) -> Listed[Market]:
    """List markets in the order of venue and id, with the last quote of those that are recorded."""
    found = load_markets(
        connection,
        venue=venue,
        status=status,
        category=category,
        search=search,
        recorded_only=recorded,
        limit=page.limit,
        cursor=page.cursor,
    )
    return Listed(items=[Market.model_validate(row) for row in found.rows], next_cursor=found.next_cursor)
