"""Kalshi's V2 orders: create, batched create, cancel, cancel all."""

from __future__ import annotations

import uuid
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import orjson

from streams.market.errors import Refused
from streams.market.units import SIZE_SCALE
from streams.sandbox.accounts import buying
from streams.sandbox.kalshi_face.errors import flat, nested, not_found, refusal
from streams.sandbox.kalshi_face.formats import count, money4
from streams.sandbox.kalshi_face.objects import exchange_index
from streams.sandbox.records import OrderRequest, Ticket
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.kalshi_face.auth import KalshiKey
    from streams.sandbox.kalshi_face.face import KalshiFace

_TIMES_IN_FORCE: dict[str, Any] = {"fill_or_kill": "fok", "good_till_canceled": "gtc", "immediate_or_cancel": "ioc"}
_TEXT_FIELDS = ("ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type", "client_order_id")
_NEEDED = _TEXT_FIELDS[:-1]


class OrderRest:
    """Handlers that change orders. Every one is signed."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("POST", "/portfolio/events/orders", signed(self.create))
        router.add("POST", "/portfolio/events/orders/batched", signed(self.create_batch))
        router.add("DELETE", "/portfolio/events/orders", signed(self.cancel_all))
        router.add("DELETE", "/portfolio/events/orders/{order_id}", signed(self.cancel))
        for method, path in (("POST", "/portfolio/orders"), ("DELETE", "/portfolio/orders/{order_id}")):
            router.add(method, path, _gone)

    def create(self, request: Request, key: KalshiKey) -> Response:
        """Place one order: 201 with what filled at once and what rests."""
        body = _json(request.body)
        if body is None:
            return flat(400, "bad_request", "invalid JSON body")
        made = self._place(body, key)
        self._face.commit()
        return made if isinstance(made, Response) else Response(201, self._answer(made))

    def create_batch(self, request: Request, key: KalshiKey) -> Response:
        """Place several; each entry answers for itself."""
        body = _json(request.body)
        orders = body.get("orders") if body is not None else None
        if not isinstance(orders, list):
            return flat(400, "bad_request", "orders must be an array")
        entries = []
        for order in orders:
            made = self._place(order if isinstance(order, dict) else {}, key)
            if isinstance(made, Response):
                error = made.body.get("error", made.body)
                entries.append({"order_id": None, "client_order_id": None, "error": error})
            else:
                entries.append(self._answer(made))
        self._face.commit()
        return Response(201, {"orders": entries})

    def cancel(self, request: Request, key: KalshiKey, order_id: str) -> Response:
        """Cancel what rests; 404 alike for canceled, executed and unknown orders."""
        ticket = self._exchange.tickets.get(order_id)
        if ticket is not None and self._exchange.markets[ticket.request.market_id].status != "open":
            return nested(400, "MARKET_NOT_ACTIVE")
        reduced = self._exchange.cancel(key.account_id, order_id, self._face.now_ms())
        if reduced is None or ticket is None:
            return not_found()
        self._face.commit()
        answer = {"order_id": order_id, "reduced_by": count(reduced), "ts_ms": self._face.now_ms()}
        if ticket.request.client_order_id:
            answer["client_order_id"] = ticket.request.client_order_id
        return Response(200, answer)

    def cancel_all(self, request: Request, key: KalshiKey) -> Response:
        """Cancel every resting order of the account."""
        for ticket in self._exchange.open_tickets(key.account_id):
            self._exchange.cancel(key.account_id, ticket.order_id, self._face.now_ms())
        self._face.commit()
        return Response(204)

    def _place(self, body: dict[str, Any], key: KalshiKey) -> Ticket | Response:
        for name in _TEXT_FIELDS:
            value = body.get(name)
            if value is not None and not isinstance(value, str):
                kind = "number" if isinstance(value, int | float) else type(value).__name__
                details = (
                    f"json: cannot unmarshal {kind} into Go struct field CreateOrderV2Request.{name} of type string"
                )
                return flat(400, "bad_request", details)
        missing = [name for name in _NEEDED if not body.get(name)]
        if missing:
            return flat(400, "bad_request", f"missing required field {missing[0]}")
        made = self._order(body, key)
        if isinstance(made, Response):
            return made
        if made.client_order_id and made.client_order_id in self._face.client_ids(key.account_id):
            return nested(409, "order_already_exists")
        try:
            ticket = self._exchange.place(made, self._face.now_ms())
        except Refused as error:
            return refusal(error)
        self._face.client_ids(key.account_id).add(made.client_order_id)
        return ticket

    def _order(self, body: dict[str, Any], key: KalshiKey) -> OrderRequest | Response:
        listed = self._exchange.markets.get(body["ticker"])
        if listed is None or body.get("exchange_index", exchange_index(listed)) != exchange_index(listed):
            return nested(404, "market_not_found")
        tif: Any = _TIMES_IN_FORCE.get(body["time_in_force"])
        if tif is None or body["side"] not in ("bid", "ask"):
            return nested(400, "invalid_order", "side or time_in_force")
        if body["self_trade_prevention_type"] not in ("taker_at_cross", "maker"):
            return nested(400, "invalid_order", "self_trade_prevention_type")
        price, size = _scaled(body["price"], 10_000), _scaled(body["count"], 100)
        if price is None:
            return nested(400, "invalid_price")
        if size is None or size <= 0:
            return nested(400, "invalid_order_size")
        expires = body.get("expiration_time")
        if expires is not None:
            if tif != "gtc" or not isinstance(expires, int) or expires * 1000 <= self._face.now_ms():
                return nested(400, "invalid_order", "expiration_time")
            tif = "gtd"
        if body.get("post_only") and tif not in ("gtc", "gtd"):
            return nested(400, "invalid_order", "post only")
        return OrderRequest(
            key.account_id,
            body["ticker"],
            str(uuid.uuid4()),
            buying(body["side"]),
            body["side"],
            price,
            size * (SIZE_SCALE // 100),
            tif,
            body.get("client_order_id") or "",
            bool(body.get("post_only")),
            body["self_trade_prevention_type"],
            None if expires is None else expires * 1000,
        )

    def _answer(self, ticket: Ticket) -> dict[str, Any]:
        body: dict[str, Any] = {
            "order_id": ticket.order_id,
            "fill_count": count(ticket.filled_e6),
            "remaining_count": count(ticket.remaining_e6),
            "ts_ms": ticket.updated_ms,
        }
        if ticket.request.client_order_id:
            body["client_order_id"] = ticket.request.client_order_id
        if ticket.filled_e6:
            # Averages are per contract, rounded to the four decimals the venue shows.
            cash = ticket.taker_cash_e6 * 1_000_000 // ticket.filled_e6
            yes_cash = cash if ticket.request.side == "bid" else 1_000_000 - cash
            body["average_fill_price"] = money4(yes_cash)
            body["average_fee_paid"] = money4(ticket.taker_fees_e6 * 1_000_000 // ticket.filled_e6)
        return body


def _gone(request: Request, **_arguments: str) -> Response:
    return nested(410, "deprecated_v1_order_endpoint", message="Please switch to the V2 endpoints")


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _scaled(text: str, scale: int) -> int | None:
    """A decimal string as an integer of 1/scale; None when it is finer, or no number."""
    try:
        value = Decimal(text) * scale
    except InvalidOperation:
        return None
    return int(value) if value.is_finite() and value == int(value) else None
