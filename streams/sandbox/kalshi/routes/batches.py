"""Kalshi's batched orders: several at once, each entry with its own outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import flat
from streams.sandbox.kalshi.formats import count
from streams.sandbox.kalshi.limits import DEFAULT_COST
from streams.sandbox.kalshi.order_form import answer, json_body, mistyped, place
from streams.sandbox.kalshi.routes.orders import CANCEL_COST, cancel_one

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey

_NOTHING_CREATED = dict.fromkeys(("fill_count", "remaining_count", "average_fill_price", "average_fee_paid", "ts_ms"))


class BatchRest:
    """Handlers of batches. A batch must fit into the unscoped write bucket as a whole."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face

    def register(self, router: Router) -> None:
        """Add the routes."""
        path = "/portfolio/events/orders/batched"
        router.add("POST", path, self._face.signed(self.create, pays_itself=True))
        router.add("DELETE", path, self._face.signed(self.cancel, pays_itself=True))

    def create(self, request: Request, key: KalshiKey) -> Response:
        """Place several orders, in their order."""
        orders = self._entries(request, key, DEFAULT_COST)
        if isinstance(orders, Response):
            return orders
        entries = [self._created(order, key) for order in orders]
        self._face.commit()
        return Response(201, {"orders": entries})

    def _created(self, order: dict[str, Any], key: KalshiKey) -> dict[str, Any]:
        made = place(self._face, order, key)
        if isinstance(made, Response):
            return {"client_order_id": order.get("client_order_id"), **_NOTHING_CREATED, "error": _error_of(made)}
        nothing = {"average_fill_price": None, "average_fee_paid": None, "client_order_id": None}
        return {**nothing, **answer(made), "error": None}

    def cancel(self, request: Request, key: KalshiKey) -> Response:
        """Cancel several orders; the body of this DELETE is JSON."""
        orders = self._entries(request, key, CANCEL_COST)
        if isinstance(orders, Response):
            return orders
        for order in orders:
            wrong = mistyped(order, "BatchCancelOrdersV2Request.orders")
            if wrong is not None:
                return wrong
        entries = [self._canceled(order, key) for order in orders]
        self._face.commit()
        return Response(200, {"orders": entries})

    def _canceled(self, order: dict[str, Any], key: KalshiKey) -> dict[str, Any]:
        order_id = order.get("order_id") or ""
        ended = cancel_one(self._face, key, order_id, order.get("market_ticker") or "", order.get("exchange_index"))
        if isinstance(ended, Response):
            nothing = {"client_order_id": None, "reduced_by": count(0), "ts_ms": None}
            return {"order_id": order_id, **nothing, "error": _error_of(ended)}
        ticket, reduced = ended
        return {
            "order_id": order_id,
            "client_order_id": ticket.request.client_order_id or None,
            "reduced_by": count(reduced),
            "ts_ms": self._face.now_ms(),
            "error": None,
        }

    def _entries(self, request: Request, key: KalshiKey, cost: int) -> list[dict[str, Any]] | Response:
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        orders, most = body.get("orders"), self._face.settings.max_batch
        if not isinstance(orders, list) or not orders or not all(isinstance(order, dict) for order in orders):
            return flat(400, "bad_request", "orders must be a non-empty array of objects")
        if most is not None and len(orders) > most:
            return flat(400, "bad_request", f"at most {most} orders per batch")
        return self._face.pay_write(key, cost * len(orders), (0,)) or orders


def _error_of(response: Response) -> dict[str, Any]:
    error: dict[str, Any] = response.body.get("error", response.body)
    return error
