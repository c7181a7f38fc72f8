"""The CLOB's cancels, in every form; all answer which orders were cancelled and why others were not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.clob.order_form import INVALID_PAYLOAD
from streams.sandbox.polymarket.formats import parsed

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_MOST = 1_000
_GONE = "order can't be found - already canceled or matched"
# The text for a delayed order is unpublished.
_DELAYED = "order is delayed and can't be canceled yet"


class CancelRest:
    """Handlers that cancel orders. Every one carries L2 headers; they work in post-only and cancel-only mode."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("DELETE", "/clob/order", signed(self.one))
        router.add("DELETE", "/clob/orders", signed(self.several))
        router.add("DELETE", "/clob/cancel-all", signed(self.everything))
        router.add("DELETE", "/clob/cancel-market-orders", signed(self.of_market))

    def one(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel one order."""
        body = parsed(request.body)
        order_id = body.get("orderID") if isinstance(body, dict) else None
        if not isinstance(order_id, str) or not order_id:
            return Response(400, {"error": INVALID_PAYLOAD})
        return self._cancel([order_id], key, 1)

    def several(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel up to 1000 orders."""
        ids = parsed(request.body)
        if not isinstance(ids, list) or not ids or not all(isinstance(order_id, str) for order_id in ids):
            return Response(400, {"error": INVALID_PAYLOAD})
        if len(ids) > _MOST:
            return Response(400, {"error": f"Too many orders in payload: {len(ids)}, max allowed: {_MOST}"})
        return self._cancel(list(dict.fromkeys(ids)), key, len(ids))

    def everything(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel everything that rests."""
        ids = [ticket.order_id for ticket in self._face.open_tickets(key)]
        return self._cancel(ids, key, 1 + len(ids))

    def of_market(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel what rests in one market or on one token."""
        body = parsed(request.body) if request.body else {}
        if not isinstance(body, dict):
            return Response(400, {"error": INVALID_PAYLOAD})
        market, token = body.get("market"), body.get("asset_id")
        found = [
            ticket.order_id
            for ticket in self._face.open_tickets(key)
            if (not market or ticket.request.market_id == market)
            and (not token or ticket.request.extra["token"] == token)
        ]
        return self._cancel(found, key, 1 + len(found))

    def _cancel(self, order_ids: list[str], key: PolymarketKey, cost: int) -> Response:
        headers, refusal = self._face.charge(key, cost, is_cancel=True)
        if refusal is None:
            refusal = self._face.mode_refusal(is_cancel=True)
        if refusal is not None:
            return refusal
        canceled: list[str] = []
        refused: dict[str, str] = {}
        for order_id in order_ids:
            reason = self._cancel_one(order_id, key)
            if reason:
                refused[order_id] = reason
            else:
                canceled.append(order_id)
        self._face.commit()
        return Response(200, {"canceled": canceled, "not_canceled": refused}, headers)

    def _cancel_one(self, order_id: str, key: PolymarketKey) -> str:
        """Cancel an order; why not, empty when it was."""
        ticket = self._exchange.tickets.get(order_id)
        if ticket is None or ticket.request.extra["owner"] != key.api_key:
            return _GONE
        if ticket.status == "delayed" and "shown" in ticket.request.extra:
            return _DELAYED
        done = self._exchange.cancel(ticket.request.account_id, order_id, self._face.now_ms())
        return _GONE if done is None else ""
