"""Pairs and their spreads, and market groups of any kind."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from app.api.acts import permit
from app.api.deps import WantedPage, Warehouse
from app.api.errors import ApiProblem
from app.api.routes.group_schemas import GroupReview, GroupState, GroupText
from app.api.schemas import Listed, MarketPair, Spread
from app.api.strict_body import StrictRoute
from app.doors.roles import Act
from app.queries.pairs import load_group_detail, load_pairs
from app.queries.spreads import load_spreads
from streams.storage.store.decisions.group_decisions import list_group_states

router = APIRouter(tags=["pairs"], route_class=StrictRoute, dependencies=[permit(Act.VIEW)])


@router.get("/get_market_pairs")
def list_pairs(
    connection: Warehouse,
    page: WantedPage,
    state: Literal["proposed", "approved", "rejected", "paused", "lapsed"] | None = None,
    market_id: Annotated[str | None, Query(max_length=200, description="Of either venue.")] = None,
) -> Listed[MarketPair]:
    """List pairs of markets that settle alike, in the order of their id."""
    found = load_pairs(connection, state=state, market_id=market_id, limit=page.limit, cursor=page.cursor)
    return Listed(items=[MarketPair.model_validate(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/groups")
def list_groups(
    connection: Warehouse,
    kind: Literal["pair", "ladder", "event", "set"] | None = None,
    state: Literal["proposed", "approved", "rejected", "paused", "lapsed"] | None = None,
    market_id: Annotated[str | None, Query(max_length=200, description="Of either venue.")] = None,
) -> list[GroupState]:
    """List market groups with the state their last decision leaves them in, in the order of their id."""
    found = list_group_states(connection, kind=kind, state=state, market_id=market_id)
    return [GroupState.model_validate(row) for row in found]


@router.get("/groups/{group_id}")
def show_group(
    connection: Warehouse, group_id: Annotated[str, Path(max_length=300, pattern=r"^[0-9A-Za-z_.:-]+$")]
) -> GroupReview:
    """Return one group with the texts of all its markets."""
    detail = load_group_detail(connection, group_id)
    if detail is None:
        raise ApiProblem(404, "unknown_subject", f"There is no group {group_id}.")
    texts = [GroupText.model_validate(text) for text in detail.texts]
    return GroupReview(group=GroupState.model_validate(detail.group), texts=texts)


@router.get("/spreads")
def list_spreads(
    connection: Warehouse,
    page: WantedPage,
    pair_id: Annotated[str | None, Query(max_length=64)] = None,
    since: Annotated[datetime | None, Query(description="Only minutes from here on (ISO 8601).")] = None,
    source: Literal["recorded", "backfilled"] | None = None,
) -> Listed[Spread]:
    """List spreads by minute, in the order of pair and minute."""
    found, problem = load_spreads(
        connection, pair_id=pair_id, since=since, source=source, limit=page.limit, cursor=page.cursor
    )
    items = [Spread.model_validate(row) for row in found.rows]
    return Listed(items=items, next_cursor=found.next_cursor, note=problem)
