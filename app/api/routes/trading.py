"""Opportunities and trades."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from app.api.acts import permit
from app.api.deps import CurrentSettings, WantedPage, Warehouse
from app.api.execution_schemas import ExecutionReport
from app.api.order_schemas import UnknownOrderView
from app.api.schemas import AccountView, Listed, Opportunity, Trade
from app.api.strict_body import StrictRoute
from app.doors.roles import Act
from app.queries.accounts import load_accounts
from app.queries.opportunities import OpportunityFilter, load_opportunities
from app.queries.quality.execution import Period, load_execution_report
from app.queries.trades import TradeFilter, load_trades
from streams.storage.store.hedges.unknown_orders import load_unknown_orders

router = APIRouter(tags=["trading"], route_class=StrictRoute, dependencies=[permit(Act.VIEW)])


@router.get("/opportunities")
def list_opportunities(
    connection: Warehouse,
    page: WantedPage,
    kind: Literal["pair", "ladder", "event", "set"] | None = None,
    outcome: Literal["traded", "refused", "open", "passed"] | None = None,
    reason: Annotated[str | None, Query(max_length=100, description="Refused for this at least once.")] = None,
    open_only: Annotated[bool, Query(description="Only opportunities that are still open.")] = False,
) -> Listed[Opportunity]:
    """List opportunities, newest first, with what became of each and the reasons of refusals."""
    found = load_opportunities(
        connection,
        OpportunityFilter(kind=kind, outcome=outcome, reason=reason, open_only=open_only),
        limit=page.limit,
        cursor=page.cursor,
    )
    return Listed(items=[Opportunity.model_validate(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/trades")
def list_trades(
    connection: Warehouse,
    page: WantedPage,
    state: Annotated[str | None, Query(max_length=40, description="HEDGED, SETTLED, FLAT, ESCALATED, ...")] = None,
    mode: Literal["paper", "live"] | None = None,
    group_id: Annotated[str | None, Query(max_length=200)] = None,
) -> Listed[Trade]:
    """List executions of hedges, newest first."""
    found = load_trades(connection, TradeFilter(None, state, mode, group_id), limit=page.limit, cursor=page.cursor)
    return Listed(items=[Trade.model_validate(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/orders/unknown")
def list_unknown_orders(connection: Warehouse, settings: CurrentSettings) -> list[UnknownOrderView]:
    """List the orders whose fate is not known, the oldest first."""
    found = load_unknown_orders(connection, settings.trading_mode)
    return [UnknownOrderView.model_validate(order) for order in found]


@router.get("/accounts")
def list_accounts(connection: Warehouse, settings: CurrentSettings) -> list[AccountView]:
    """List the account at each venue beside our books: whether it may open, what differs, what others did on it."""
    return [AccountView.model_validate(view) for view in load_accounts(connection, settings.trading_mode)]


@router.get("/execution")
def get_execution(connection: Warehouse, period: Period = "day") -> ExecutionReport:
    """Tell how well trading was executed: missed dollars, fills, slippage, markouts, proof, fees and capital."""
    return ExecutionReport.model_validate(load_execution_report(connection, period))
