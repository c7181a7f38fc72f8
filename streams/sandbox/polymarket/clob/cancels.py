"""The CLOB's cancels, in every form; responses name which orders were cancelled and why others were not.

They work in post-only and cancel-only mode.
"""

from __future__ import annotations

from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.clob.refusals import INVALID_PAYLOAD, trading_refusal
from streams.sandbox.polymarket.formats import parsed
from streams.sandbox.polymarket.venue import PolymarketVenue

_MOST = 1_000
_GONE = "order can't be found - already canceled or matched"
# The text for a delayed order is unpublished.
_DELAYED = "order is delayed and can't be canceled yet"


def cancel_order(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Cancel one order."""
    body = parsed(request.body)
    order_id = body.get("orderID") if isinstance(body, dict) else None
    if not isinstance(order_id, str) or not order_id:
        return Response(400, {"error": INVALID_PAYLOAD})
    return _cancel(venue, [order_id], key, 1)


def cancel_orders(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Cancel up to 1000 orders."""
    ids = parsed(request.body)
    if not isinstance(ids, list) or not ids or not all(isinstance(order_id, str) for order_id in ids):
        return Response(400, {"error": INVALID_PAYLOAD})
    if len(ids) > _MOST:
        return Response(400, {"error": f"Too many orders in payload: {len(ids)}, max allowed: {_MOST}"})
    return _cancel(venue, list(dict.fromkeys(ids)), key, len(ids))


def cancel_all(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Cancel everything that rests."""
    ids = [record.order_id for record in venue.open_tickets(key)]
    return _cancel(venue, ids, key, 1 + len(ids))


def cancel_market_orders(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Cancel what rests in one market or on one token."""
    body = parsed(request.body) if request.body else {}
    if not isinstance(body, dict):
        return Response(400, {"error": INVALID_PAYLOAD})
    market, token = body.get("market"), body.get("asset_id")
    found = [
        record.order_id
        for record in venue.open_tickets(key)
        if (not market or record.request.market_id == market) and (not token or record.request.extra["token"] == token)
    ]
    return _cancel(venue, found, key, 1 + len(found))


def _cancel(venue: PolymarketVenue, order_ids: list[str], key: PolymarketKey, cost: int) -> Response:
    headers = venue.charge(key, cost, is_cancel=True)
    refusal = trading_refusal(venue.exchange, venue.now_ms(), is_cancel=True)
    if refusal is not None:
        return refusal
    canceled: list[str] = []
    refused: dict[str, str] = {}
    for order_id in order_ids:
        reason = _cancel_one(venue, order_id, key)
        if reason:
            refused[order_id] = reason
        else:
            canceled.append(order_id)
    venue.commit()
    return Response(200, {"canceled": canceled, "not_canceled": refused}, headers)


def _cancel_one(venue: PolymarketVenue, order_id: str, key: PolymarketKey) -> str:
    """Cancel an order; why not, empty when it was."""
    record = venue.exchange.state.orders.get(order_id)
    if record is None or record.request.extra["owner"] != key.api_key:
        return _GONE
    if record.status == "delayed" and "shown" in record.request.extra:
        return _DELAYED
    done = venue.exchange.order_entry.cancel(record.request.account_id, order_id, venue.now_ms())
    return _GONE if done is None else ""


ROUTES: list[Route[PolymarketVenue]] = [
    Route("DELETE", "/order", cancel_order, Access.SIGNED),
    Route("DELETE", "/orders", cancel_orders, Access.SIGNED),
    Route("DELETE", "/cancel-all", cancel_all, Access.SIGNED),
    Route("DELETE", "/cancel-market-orders", cancel_market_orders, Access.SIGNED),
]
