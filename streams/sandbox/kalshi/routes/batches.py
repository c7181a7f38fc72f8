"""Kalshi's batched orders: several at once, each entry with its own outcome."""

from __future__ import annotations

from typing import Any

from streams.market.errors import Refused
from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import Rejected, flat, response_to
from streams.sandbox.kalshi.formats import count
from streams.sandbox.kalshi.limits import DEFAULT_COST
from streams.sandbox.kalshi.order_form import check_types, json_body, place, placed_object
from streams.sandbox.kalshi.routes.orders import CANCEL_COST, cancel_one
from streams.sandbox.kalshi.venue import KalshiVenue

_PATH = "/portfolio/events/orders/batched"
_NOTHING_CREATED = dict.fromkeys(("fill_count", "remaining_count", "average_fill_price", "average_fee_paid", "ts_ms"))


def create_batch(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Place several orders, in their order."""
    entries = [_created(venue, order, key) for order in _batch(venue, request, key, DEFAULT_COST)]
    venue.commit()
    return Response(201, {"orders": entries})


def _created(venue: KalshiVenue, order: dict[str, Any], key: KalshiKey) -> dict[str, Any]:
    try:
        ticket = place(venue, order, key)
    except (Rejected, Refused) as error:
        named = {"client_order_id": order.get("client_order_id"), **_NOTHING_CREATED}
        return {**named, "error": _error_object(venue, error)}
    nothing = {"average_fill_price": None, "average_fee_paid": None, "client_order_id": None}
    return {**nothing, **placed_object(ticket), "error": None}


def cancel_batch(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Cancel several orders; the body of this DELETE is JSON."""
    orders = _batch(venue, request, key, CANCEL_COST)
    for order in orders:
        check_types(order, "BatchCancelOrdersV2Request.orders")
    entries = [_canceled(venue, order, key) for order in orders]
    venue.commit()
    return Response(200, {"orders": entries})


def _canceled(venue: KalshiVenue, order: dict[str, Any], key: KalshiKey) -> dict[str, Any]:
    order_id, ticker = order.get("order_id") or "", order.get("market_ticker") or ""
    try:
        ticket, reduced = cancel_one(venue, key, order_id, ticker, order.get("exchange_index"))
    except (Rejected, Refused) as error:
        nothing = {"client_order_id": None, "reduced_by": count(0), "ts_ms": None}
        return {"order_id": order_id, **nothing, "error": _error_object(venue, error)}
    return {
        "order_id": order_id,
        "client_order_id": ticket.request.client_order_id or None,
        "reduced_by": count(reduced),
        "ts_ms": venue.now_ms(),
        "error": None,
    }


def _batch(venue: KalshiVenue, request: Request, key: KalshiKey, cost: int) -> list[dict[str, Any]]:
    """The entries of a batch, which must fit into the unscoped write bucket as a whole."""
    orders, most = json_body(request.body).get("orders"), venue.settings.max_batch
    if not isinstance(orders, list) or not orders or not all(isinstance(order, dict) for order in orders):
        raise Rejected(flat(400, "bad_request", "orders must be a non-empty array of objects"))
    if most is not None and len(orders) > most:
        raise Rejected(flat(400, "bad_request", f"at most {most} orders per batch"))
    venue.pay_write(key, cost * len(orders), (0,))
    return orders


def _error_object(venue: KalshiVenue, error: Rejected | Refused) -> dict[str, Any]:
    body = response_to(error, venue.settings).body
    error_object: dict[str, Any] = body.get("error", body)
    return error_object


ROUTES: list[Route[KalshiVenue]] = [
    Route("POST", _PATH, create_batch, Access.SIGNED, pays_itself=True),
    Route("DELETE", _PATH, cancel_batch, Access.SIGNED, pays_itself=True),
]
