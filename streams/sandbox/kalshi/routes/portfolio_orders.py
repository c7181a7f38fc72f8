"""Kalshi's reads of orders: lists, single ones, places in the queue, what resting ones are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.sandbox.core.records import ListedMarket, Ticket
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import bad_parameter, not_found
from streams.sandbox.kalshi.formats import count, money4
from streams.sandbox.kalshi.objects import exchange_index
from streams.sandbox.kalshi.paging import BadParameter, limit_of, one_of, paged_after, time_range, whole
from streams.sandbox.kalshi.portfolio_objects import order_object, shown_status
from streams.sandbox.kalshi.routes.portfolio import is_other_subaccount, resting_value

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey

_MAX_EVENTS = 10


class PortfolioOrderRest:
    """Every handler is signed."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("GET", "/portfolio/orders", signed(self.orders))
        router.add("GET", "/portfolio/orders/queue_positions", signed(self.queue_positions))
        router.add("GET", "/portfolio/orders/{order_id}", signed(self.order))
        router.add("GET", "/portfolio/orders/{order_id}/queue_position", signed(self.queue_position))
        router.add("GET", "/portfolio/summary/total_resting_order_value", signed(self.total_resting))

    def orders(self, request: Request, key: KalshiKey) -> Response:
        """Orders of the live tier, newest first; resting ones are always there."""
        since = self._face.now_ms() - self._face.settings.archive_orders_after_ms
        rows = [
            ticket
            for ticket in orders_of(self._face, request, key, "GetOrders")
            if shown_status(ticket) == "resting" or ticket.updated_ms >= since
        ]
        return orders_page(self._face, request, rows, "GetOrders")

    def order(self, request: Request, key: KalshiKey, order_id: str) -> Response:
        """One order of the account."""
        ticket = self._exchange.reads.ticket(order_id, self._face.now_ms())
        if ticket is None or ticket.request.account_id != key.account_id:
            return not_found()
        listed = self._exchange.markets[ticket.request.market_id]
        return Response(200, {"order": order_object(ticket, listed, self._face.settings)})

    def queue_positions(self, request: Request, key: KalshiKey) -> Response:
        """Contracts ahead of every resting order; markets or an event must be named."""
        tickers, event = set(request.params("market_tickers")), request.param("event_ticker")
        if not tickers and not event:
            raise BadParameter(bad_parameter("Need to specify market_tickers or event_ticker"))
        rows = []
        for ticket in self._exchange.open_tickets(key.account_id):
            listed = self._exchange.markets[ticket.request.market_id]
            if listed.market_id in tickers or listed.market.event_id == event:
                rows.append({"order_id": ticket.order_id, "market_ticker": listed.market_id, **_queue(listed, ticket)})
        return Response(200, {"queue_positions": [] if is_other_subaccount(request) else rows})

    def queue_position(self, request: Request, key: KalshiKey, order_id: str) -> Response:
        """Contracts ahead of one resting order."""
        ticket = self._exchange.tickets.get(order_id)
        if ticket is None or ticket.request.account_id != key.account_id or ticket.status != "resting":
            return not_found()
        return Response(200, _queue(self._exchange.markets[ticket.request.market_id], ticket))

    def total_resting(self, request: Request, key: KalshiKey) -> Response:
        """What resting orders would cost: integer cents in total, dollars by shard."""
        value = resting_value(self._face, key, self._face.now_ms())
        rows = [{"exchange_index": shard, "balance": money4(cash)} for shard, cash in sorted(value.items())]
        return Response(
            200,
            {"total_resting_order_value": sum(value.values()) // 10_000, "resting_order_value_breakdown": rows},
        )


def orders_of(face: KalshiFace, request: Request, key: KalshiKey, call: str) -> list[Ticket]:
    """The account's orders that a request's filters name, newest first."""
    ticker, events = request.param("ticker"), set(request.params("event_ticker"))
    if len(events) > _MAX_EVENTS:
        raise BadParameter(bad_parameter(call, "EventTicker", "max"))
    status = one_of(request, call, "status", ("resting", "canceled", "executed"))
    shard, (low, high) = whole(request, "exchange_index"), time_range(request)
    if is_other_subaccount(request):
        return []
    markets = face.exchange.markets
    return [
        ticket
        for ticket in reversed(face.exchange.reads.tickets(key.account_id, face.now_ms()))
        if (not ticker or ticket.request.market_id == ticker)
        and (not events or markets[ticket.request.market_id].market.event_id in events)
        and (not status or shown_status(ticket) == status)
        and (shard is None or exchange_index(markets[ticket.request.market_id]) == shard)
        and low <= ticket.created_ms <= high
    ]


def orders_page(face: KalshiFace, request: Request, rows: list[Ticket], call: str) -> Response:
    """One page of orders that are newest first."""
    limit = limit_of(request, call, 100, 1000)
    page, cursor = paged_after(rows, request.param("cursor"), limit, lambda ticket: ticket.order_id)
    markets = face.exchange.markets
    bodies = [order_object(ticket, markets[ticket.request.market_id], face.settings) for ticket in page]
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
