"""Kalshi's V2 orders: create, cancel, amend and decrease one, batches, cancel all; and the dead routes before them."""

from __future__ import annotations

from typing import Any

from streams.market.errors import Refused
from streams.sandbox.core.records import KEEP, Amendment, Keep, OrderRecord
from streams.sandbox.http.routes import Access, Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import flat, nested, not_found, response_to
from streams.sandbox.kalshi.formats import count
from streams.sandbox.kalshi.limits import AUTO, DEFAULT_COST
from streams.sandbox.kalshi.order_form import (
    averages,
    check_types,
    is_no_expiry,
    json_body,
    place,
    placed_object,
    price_e4,
    size_e6,
)
from streams.sandbox.kalshi.paging import whole
from streams.sandbox.kalshi.venue import KalshiVenue

_ORDERS = "/portfolio/events/orders"
_CANCEL_COST = 2
_AMEND_NEEDED = ("ticker", "side", "price", "count")
_NOTHING_CREATED = dict.fromkeys(("fill_count", "remaining_count", "average_fill_price", "average_fee_paid", "ts_ms"))


def create_order(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Place one order: 201 with what filled at once and what rests."""
    body = json_body(request.body)
    venue.pay_order(key, DEFAULT_COST, body.get("exchange_index"), is_routed=True)
    try:
        order_record = place(venue, body, key)
    finally:
        venue.commit()
    return Response(venue.settings.create_status, placed_object(order_record))


def cancel_order(venue: KalshiVenue, request: Request, key: KalshiKey, order_id: str) -> Response:
    """Cancel what rests. Without a ticker or a shard the order is looked for on shard 0 only."""
    ticker, shard = request.param("market_ticker"), whole(request, "exchange_index")
    venue.pay_order(key, _CANCEL_COST, shard, is_routed=bool(ticker))
    try:
        order_record, reduced = _cancel(venue, key, order_id, ticker, shard)
    finally:
        venue.commit()
    body = {"order_id": order_id, "reduced_by": count(reduced), "ts_ms": venue.now_ms()}
    if order_record.request.client_order_id:
        body["client_order_id"] = order_record.request.client_order_id
    return Response(200, body)


def cancel_all_orders(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Cancel every resting order of the account, on all shards."""
    venue.pay_write(key, _CANCEL_COST, (0,))
    now_ms = venue.now_ms()
    if not whole(request, "subaccount"):
        venue.exchange.order_entry.cancel_all(key.account_id, now_ms)
        venue.lingering_ms[key.account_id] = now_ms + venue.settings.cancel_all_lingers_ms
    venue.commit()
    return Response(204)


def amend_order(venue: KalshiVenue, request: Request, key: KalshiKey, order_id: str) -> Response:
    """Change price, total size, expiry or client id of a resting order."""
    body = json_body(request.body)
    shard = body.get("exchange_index")
    venue.pay_order(key, DEFAULT_COST, shard, is_routed=True)
    check_types(body, "AmendOrderV2Request", _AMEND_NEEDED)
    order_record = _find_order(venue, key, order_id, body["ticker"], shard, may_differ=True)
    change = _amendment(venue, body, order_record, key)
    before = (order_record.filled_e6, order_record.remaining_e6, order_record.taker_cash_e6, order_record.taker_fees_e6)
    with venue.because("Amend"):
        order_record = venue.exchange.order_entry.amend(key.account_id, order_id, change, venue.now_ms())
    if change.client_order_id:
        venue.client_ids(key.account_id)[change.client_order_id] = venue.now_ms()
    venue.commit()
    return Response(200, _amended(order_record, before, venue.now_ms()))


def _amendment(venue: KalshiVenue, body: dict[str, Any], order_record: OrderRecord, key: KalshiKey) -> Amendment:
    request, named = order_record.request, body.get("client_order_id")
    for code, is_other in (
        ("order_ticker_mismatch", body["ticker"] != request.market_id),
        ("order_side_mismatch", body["side"] != request.side),
        ("order_id_and_client_order_id_mismatch", named and named != request.client_order_id),
    ):
        if is_other:
            raise Rejected(nested(400, code))
    price, total = price_e4(body["price"]), size_e6(body["count"])
    if price is None:
        raise Rejected(nested(400, "invalid_price"))
    if not total or total <= order_record.filled_e6:
        raise Rejected(nested(400, "invalid_order_size"))
    expires = body.get("expiration_time")
    if expires and is_no_expiry(expires, venue.now_ms()):
        raise Rejected(nested(400, "invalid_order", "expiration_time"))
    name = body.get("updated_client_order_id") or None
    if name and name != request.client_order_id and name in venue.client_ids(key.account_id):
        raise Rejected(nested(409, "order_already_exists"))
    expires_ms: int | Keep | None = KEEP if expires is None else expires * 1000 or None
    return Amendment(price, total, name, expires_ms)


def decrease_order(venue: KalshiVenue, request: Request, key: KalshiKey, order_id: str) -> Response:
    """Take contracts out of a resting order; it keeps its place. Down to nothing cancels it."""
    body = json_body(request.body)
    ticker, shard = body.get("market_ticker"), body.get("exchange_index")
    venue.pay_order(key, DEFAULT_COST, shard, is_routed=bool(ticker))
    check_types(body, "DecreaseOrderV2Request")
    by: str | None = body.get("reduce_by")
    to: str | None = body.get("reduce_to")
    text = by or to
    if (by is None) == (to is None) or text is None:
        raise Rejected(flat(400, "bad_request", "exactly one of reduce_by or reduce_to must be provided"))
    order_record = _find_order(venue, key, order_id, ticker or "", shard)
    change = size_e6(text)
    if change is None or (by is not None and change == 0):
        raise Rejected(nested(400, "invalid_order_size"))
    left = max(0, order_record.remaining_e6 - change) if by is not None else change
    if left > order_record.remaining_e6:
        raise Rejected(nested(400, "invalid_order_size"))
    with venue.because("Decrease"):
        order_record = venue.exchange.order_entry.decrease(key.account_id, order_id, left, venue.now_ms())
    venue.commit()
    decreased = {
        "order_id": order_id,
        "remaining_count": count(order_record.remaining_e6),
        "ts_ms": order_record.updated_ms,
    }
    if order_record.request.client_order_id:
        decreased["client_order_id"] = order_record.request.client_order_id
    return Response(200, decreased)


def _find_order(
    venue: KalshiVenue, key: KalshiKey, order_id: str, ticker: str, shard: int | None, *, may_differ: bool = False
) -> OrderRecord:
    """An order of the key's account on the shard a request leads to.

    `may_differ`: The ticker may be another market's of the same shard; the caller decides what that means.

    Raises:
        Rejected: With the same 404 for all that is not there.
    """
    exchange = venue.exchange
    if shard in (None, AUTO):
        routed = exchange.state.markets.get(ticker)
        if ticker and routed is None:
            raise Rejected(nested(404, "market_not_found"))
        shard = 0 if routed is None else routed.shard
    order_record = exchange.state.orders.get(order_id)
    if order_record is None or order_record.request.account_id != key.account_id:
        raise Rejected(not_found())
    listed = exchange.state.markets[order_record.request.market_id]
    if listed.status not in ("open", "paused"):
        # Past the close every action on an order meets this, whatever became of the order.
        raise Refused("market_closed")
    is_elsewhere = listed.shard != shard or (ticker and ticker != listed.market_id and not may_differ)
    if order_record.status != "resting" or is_elsewhere:
        raise Rejected(not_found())
    return order_record


def _cancel(
    venue: KalshiVenue, key: KalshiKey, order_id: str, ticker: str, shard: int | None
) -> tuple[OrderRecord, int]:
    """Cancel a resting order; its record and the contracts taken out of the book.

    Raises:
        Rejected: If there is no such order.
        Refused: By the exchange.
    """
    order_record = _find_order(venue, key, order_id, ticker, shard)
    reduced = venue.exchange.order_entry.cancel(key.account_id, order_id, venue.now_ms())
    if reduced is None:
        raise Rejected(not_found())
    return order_record, reduced


def _amended(order_record: OrderRecord, before: tuple[int, int, int, int], now_ms: int) -> dict[str, Any]:
    filled, remaining, cash, fees = before
    made = order_record.filled_e6 - filled
    has_changed = made or order_record.remaining_e6 != remaining
    body: dict[str, Any] = {
        "order_id": order_record.order_id,
        "client_order_id": order_record.request.client_order_id,
        "remaining_count": count(order_record.remaining_e6) if has_changed else None,
        "fill_count": count(made) if has_changed else None,
        "average_fill_price": None,
        "average_fee_paid": None,
        "ts_ms": now_ms,
    }
    if made:
        body |= averages(
            order_record.request.side, made, order_record.taker_cash_e6 - cash, order_record.taker_fees_e6 - fees
        )
    return body


def create_batch(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Place several orders, in their order."""
    entries = [_created(venue, order, key) for order in _batch(venue, request, key, DEFAULT_COST)]
    venue.commit()
    return Response(201, {"orders": entries})


def _created(venue: KalshiVenue, order: dict[str, Any], key: KalshiKey) -> dict[str, Any]:
    try:
        order_record = place(venue, order, key)
    except (Rejected, Refused) as error:
        named = {"client_order_id": order.get("client_order_id"), **_NOTHING_CREATED}
        return {**named, "error": _error_object(venue, error)}
    nothing = {"average_fill_price": None, "average_fee_paid": None, "client_order_id": None}
    return {**nothing, **placed_object(order_record), "error": None}


def cancel_batch(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Cancel several orders; the body of this DELETE is JSON."""
    orders = _batch(venue, request, key, _CANCEL_COST)
    for order in orders:
        check_types(order, "BatchCancelOrdersV2Request.orders")
    entries = [_canceled(venue, order, key) for order in orders]
    venue.commit()
    return Response(200, {"orders": entries})


def _canceled(venue: KalshiVenue, order: dict[str, Any], key: KalshiKey) -> dict[str, Any]:
    order_id, ticker = order.get("order_id") or "", order.get("market_ticker") or ""
    try:
        order_record, reduced = _cancel(venue, key, order_id, ticker, order.get("exchange_index"))
    except (Rejected, Refused) as error:
        nothing = {"client_order_id": None, "reduced_by": count(0), "ts_ms": None}
        return {"order_id": order_id, **nothing, "error": _error_object(venue, error)}
    return {
        "order_id": order_id,
        "client_order_id": order_record.request.client_order_id or None,
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


def refuse_deprecated(venue: KalshiVenue, request: Request, **_parts: str) -> Response:
    """The routes of orders before V2 are gone."""
    return nested(410, "deprecated_v1_order_endpoint", message="Please switch to the V2 endpoints")


ROUTES: list[Route[KalshiVenue]] = [
    Route("POST", _ORDERS, create_order, Access.SIGNED, pays_itself=True),
    Route("DELETE", _ORDERS, cancel_all_orders, Access.SIGNED, pays_itself=True),
    Route("POST", _ORDERS + "/batched", create_batch, Access.SIGNED, pays_itself=True),
    Route("DELETE", _ORDERS + "/batched", cancel_batch, Access.SIGNED, pays_itself=True),
    Route("DELETE", _ORDERS + "/{order_id}", cancel_order, Access.SIGNED, pays_itself=True),
    Route("POST", _ORDERS + "/{order_id}/amend", amend_order, Access.SIGNED, pays_itself=True),
    Route("POST", _ORDERS + "/{order_id}/decrease", decrease_order, Access.SIGNED, pays_itself=True),
    Route("POST", "/portfolio/orders", refuse_deprecated, Access.OPEN),
    Route("POST", "/portfolio/orders/batched", refuse_deprecated, Access.OPEN),
    Route("DELETE", "/portfolio/orders/batched", refuse_deprecated, Access.OPEN),
    Route("DELETE", "/portfolio/orders/{order_id}", refuse_deprecated, Access.OPEN),
    Route("POST", "/portfolio/orders/{order_id}/amend", refuse_deprecated, Access.OPEN),
    Route("POST", "/portfolio/orders/{order_id}/decrease", refuse_deprecated, Access.OPEN),
]
