"""Kalshi's reads of orders: lists, single ones, places in the queue, what resting ones are worth."""

from __future__ import annotations

from typing import Any

from streams.sandbox.core.records import ListedMarket, Ticket
from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import Rejected, bad_parameter, not_found
from streams.sandbox.kalshi.formats import count, money4
from streams.sandbox.kalshi.paging import limit_of, one_of, paged_after, time_range, whole
from streams.sandbox.kalshi.portfolio_objects import order_object, shown_status
from streams.sandbox.kalshi.routes.portfolio import is_other_subaccount, resting_value
from streams.sandbox.kalshi.venue import KalshiVenue

_MAX_EVENTS = 10


def list_orders(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Orders of the live tier, newest first; resting ones are always there."""
    since = venue.now_ms() - venue.settings.archive_orders_after_ms
    rows = [
        ticket
        for ticket in orders_of(venue, request, key, "GetOrders")
        if shown_status(ticket) == "resting" or ticket.updated_ms >= since
    ]
    return orders_page(venue, request, rows, "GetOrders")


def get_order(venue: KalshiVenue, request: Request, key: KalshiKey, order_id: str) -> Response:
    """One order of the account."""
    ticket = venue.exchange.reads.ticket(order_id, venue.now_ms())
    if ticket is None or ticket.request.account_id != key.account_id:
        return not_found()
    listed = venue.exchange.markets[ticket.request.market_id]
    return Response(200, {"order": order_object(ticket, listed, venue.settings)})


def list_queue_positions(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Contracts ahead of every resting order; markets or an event must be named."""
    tickers, event = set(request.params("market_tickers")), request.param("event_ticker")
    if not tickers and not event:
        raise Rejected(bad_parameter("Need to specify market_tickers or event_ticker"))
    rows = []
    for ticket in venue.exchange.open_tickets(key.account_id):
        listed = venue.exchange.markets[ticket.request.market_id]
        if listed.market_id in tickers or listed.market.event_id == event:
            rows.append({"order_id": ticket.order_id, "market_ticker": listed.market_id, **_queue(listed, ticket)})
    return Response(200, {"queue_positions": [] if is_other_subaccount(request) else rows})


def get_queue_position(venue: KalshiVenue, request: Request, key: KalshiKey, order_id: str) -> Response:
    """Contracts ahead of one resting order."""
    ticket = venue.exchange.tickets.get(order_id)
    if ticket is None or ticket.request.account_id != key.account_id or ticket.status != "resting":
        return not_found()
    return Response(200, _queue(venue.exchange.markets[ticket.request.market_id], ticket))


def get_resting_value(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """What resting orders would cost: integer cents in total, dollars by shard."""
    value = resting_value(venue, key, venue.now_ms())
    rows = [{"exchange_index": shard, "balance": money4(cash)} for shard, cash in sorted(value.items())]
    return Response(
        200,
        {"total_resting_order_value": sum(value.values()) // 10_000, "resting_order_value_breakdown": rows},
    )


def orders_of(venue: KalshiVenue, request: Request, key: KalshiKey, call: str) -> list[Ticket]:
    """The account's orders that a request's filters name, newest first."""
    ticker, events = request.param("ticker"), set(request.params("event_ticker"))
    if len(events) > _MAX_EVENTS:
        raise Rejected(bad_parameter(call, "EventTicker", "max"))
    status = one_of(request, call, "status", ("resting", "canceled", "executed"))
    shard, (low, high) = whole(request, "exchange_index"), time_range(request)
    if is_other_subaccount(request):
        return []
    markets = venue.exchange.markets
    return [
        ticket
        for ticket in reversed(venue.exchange.reads.tickets(key.account_id, venue.now_ms()))
        if (not ticker or ticket.request.market_id == ticker)
        and (not events or markets[ticket.request.market_id].market.event_id in events)
        and (not status or shown_status(ticket) == status)
        and (shard is None or markets[ticket.request.market_id].shard == shard)
        and low <= ticket.created_ms <= high
    ]


def orders_page(venue: KalshiVenue, request: Request, rows: list[Ticket], call: str) -> Response:
    """One page of orders that are newest first."""
    limit = limit_of(request, call, 100, 1000)
    page, cursor = paged_after(rows, request.param("cursor"), limit, lambda ticket: ticket.order_id)
    markets = venue.exchange.markets
    bodies = [order_object(ticket, markets[ticket.request.market_id], venue.settings) for ticket in page]
    return Response(200, {"cursor": cursor, "orders": bodies})


def _queue(listed: ListedMarket, ticket: Ticket) -> dict[str, Any]:
    """Contracts that trade before the order: at better prices, and in front of it at its own."""
    request = ticket.request
    ahead = 0
    for price, level in listed.book.side(request.side).items():
        is_better = price > request.price_e4 if request.side == "bid" else price < request.price_e4
        if is_better:
            ahead += level.total_e6
        elif price == request.price_e4:
            for order in level.orders.values():
                if order.order_id == ticket.order_id:
                    break
                ahead += order.remaining_e6
    return {"queue_position_fp": count(ahead)}


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/portfolio/orders", list_orders, Access.SIGNED),
    Route("GET", "/portfolio/orders/queue_positions", list_queue_positions, Access.SIGNED),
    Route("GET", "/portfolio/orders/{order_id}", get_order, Access.SIGNED),
    Route("GET", "/portfolio/orders/{order_id}/queue_position", get_queue_position, Access.SIGNED),
    Route("GET", "/portfolio/summary/total_resting_order_value", get_resting_value, Access.SIGNED),
]
