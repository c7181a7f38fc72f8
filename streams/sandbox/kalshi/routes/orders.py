"""Kalshi's V2 orders one at a time: create, cancel, cancel all, amend, decrease; and the dead routes before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.market.errors import Refused
from streams.sandbox.core.records import KEEP, Amendment, Keep, Ticket
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import flat, nested, not_found, refusal
from streams.sandbox.kalshi.formats import count
from streams.sandbox.kalshi.limits import DEFAULT_COST, SHARDS
from streams.sandbox.kalshi.objects import exchange_index
from streams.sandbox.kalshi.order_form import (
    AUTO,
    answer,
    averages,
    hundredths_of,
    is_no_expiry,
    json_body,
    missing,
    mistyped,
    place,
    price_e4,
    size_e6,
)
from streams.sandbox.kalshi.paging import whole

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey

CANCEL_COST = 2
_AMEND_NEEDED = ("ticker", "side", "price", "count")


class OrderRest:
    """Handlers that change orders. Every one is signed."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        for method, path, handler in (
            ("POST", "/portfolio/events/orders", self.create),
            ("DELETE", "/portfolio/events/orders", self.cancel_all),
            ("DELETE", "/portfolio/events/orders/{order_id}", self.cancel),
            ("POST", "/portfolio/events/orders/{order_id}/amend", self.amend),
            ("POST", "/portfolio/events/orders/{order_id}/decrease", self.decrease),
        ):
            router.add(method, path, self._face.signed(handler, pays_itself=True))
        for method, path in (
            ("POST", "/portfolio/orders"),
            ("POST", "/portfolio/orders/batched"),
            ("DELETE", "/portfolio/orders/batched"),
            ("DELETE", "/portfolio/orders/{order_id}"),
            ("POST", "/portfolio/orders/{order_id}/amend"),
            ("POST", "/portfolio/orders/{order_id}/decrease"),
        ):
            router.add(method, path, _gone)

    def create(self, request: Request, key: KalshiKey) -> Response:
        """Place one order: 201 with what filled at once and what rests."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        refused = self._face.pay_write(key, DEFAULT_COST, billed_shards(body.get("exchange_index"), is_routed=True))
        if refused is not None:
            return refused
        made = place(self._face, body, key)
        self._face.commit()
        return made if isinstance(made, Response) else Response(self._face.settings.create_status, answer(made))

    def cancel(self, request: Request, key: KalshiKey, order_id: str) -> Response:
        """Cancel what rests. Without a ticker or a shard the order is looked for on shard 0 only."""
        ticker, shard = request.param("market_ticker"), whole(request, "exchange_index")
        refused = self._face.pay_write(key, CANCEL_COST, billed_shards(shard, is_routed=bool(ticker)))
        if refused is not None:
            return refused
        ended = cancel_one(self._face, key, order_id, ticker, shard)
        self._face.commit()
        if isinstance(ended, Response):
            return ended
        ticket, reduced = ended
        body = {"order_id": order_id, "reduced_by": count(reduced), "ts_ms": self._face.now_ms()}
        if ticket.request.client_order_id:
            body["client_order_id"] = ticket.request.client_order_id
        return Response(200, body)

    def cancel_all(self, request: Request, key: KalshiKey) -> Response:
        """Cancel every resting order of the account, on all shards."""
        refused = self._face.pay_write(key, CANCEL_COST, (0,))
        if refused is not None:
            return refused
        now_ms = self._face.now_ms()
        if not whole(request, "subaccount"):
            try:
                self._exchange.cancel_all(key.account_id, now_ms)
            except Refused as error:
                return refusal(error, self._face.settings)
            self._face.lingering_ms[key.account_id] = now_ms + self._face.settings.cancel_all_lingers_ms
        self._face.commit()
        return Response(204)

    def amend(self, request: Request, key: KalshiKey, order_id: str) -> Response:
        """Change price, total size, expiry or client id of a resting order."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        shard = body.get("exchange_index")
        refused = self._face.pay_write(key, DEFAULT_COST, billed_shards(shard, is_routed=True))
        struct = "AmendOrderV2Request"
        wrong = refused or mistyped(body, struct) or missing(body, struct, _AMEND_NEEDED)
        if wrong is not None:
            return wrong
        ticket = find_order(self._face, key, order_id, body["ticker"], shard, may_differ=True)
        if isinstance(ticket, Response):
            return ticket
        change = self._amendment(body, ticket, key)
        if isinstance(change, Response):
            return change
        before = (ticket.filled_e6, ticket.remaining_e6, ticket.taker_cash_e6, ticket.taker_fees_e6)
        try:
            with self._face.broadcast.because("Amend"):
                ticket = self._exchange.amend(key.account_id, order_id, change, self._face.now_ms())
        except Refused as error:
            return refusal(error, self._face.settings)
        if change.client_order_id:
            self._face.client_ids(key.account_id)[change.client_order_id] = self._face.now_ms()
        self._face.commit()
        return Response(200, _amended(ticket, before, self._face.now_ms()))

    def _amendment(self, body: dict[str, Any], ticket: Ticket, key: KalshiKey) -> Amendment | Response:
        request = ticket.request
        if body["ticker"] != request.market_id:
            return nested(400, "order_ticker_mismatch")
        if body["side"] != request.side:
            return nested(400, "order_side_mismatch")
        if body.get("client_order_id") and body["client_order_id"] != request.client_order_id:
            return nested(400, "order_id_and_client_order_id_mismatch")
        price, total = price_e4(body["price"]), size_e6(body["count"])
        if price is None:
            return nested(400, "invalid_price")
        if total is None or total <= ticket.filled_e6:
            return nested(400, "invalid_order_size")
        expires = body.get("expiration_time")
        if expires and is_no_expiry(expires, self._face.now_ms()):
            return nested(400, "invalid_order", "expiration_time")
        name = body.get("updated_client_order_id") or None
        if name and name != request.client_order_id and name in self._face.client_ids(key.account_id):
            return nested(409, "order_already_exists")
        kept: int | Keep | None = KEEP if expires is None else expires * 1000 or None
        return Amendment(price, total, name, kept)

    def decrease(self, request: Request, key: KalshiKey, order_id: str) -> Response:
        """Take contracts out of a resting order; it keeps its place. Down to nothing cancels it."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        ticker, shard = body.get("market_ticker"), body.get("exchange_index")
        refused = self._face.pay_write(key, DEFAULT_COST, billed_shards(shard, is_routed=bool(ticker)))
        wrong = refused or mistyped(body, "DecreaseOrderV2Request")
        if wrong is not None:
            return wrong
        by: str | None = body.get("reduce_by")
        to: str | None = body.get("reduce_to")
        text = by or to
        if (by is None) == (to is None) or text is None:
            return flat(400, "bad_request", "exactly one of reduce_by or reduce_to must be provided")
        ticket = find_order(self._face, key, order_id, ticker or "", shard)
        if isinstance(ticket, Response):
            return ticket
        change = hundredths_of(text)
        if change is None or (by is not None and change == 0):
            return nested(400, "invalid_order_size")
        left = max(0, ticket.remaining_e6 - change * 10_000) if by is not None else change * 10_000
        if left > ticket.remaining_e6:
            return nested(400, "invalid_order_size")
        try:
            with self._face.broadcast.because("Decrease"):
                ticket = self._exchange.decrease(key.account_id, order_id, left, self._face.now_ms())
        except Refused as error:
            return refusal(error, self._face.settings)
        self._face.commit()
        answered = {"order_id": order_id, "remaining_count": count(ticket.remaining_e6), "ts_ms": ticket.updated_ms}
        if ticket.request.client_order_id:
            answered["client_order_id"] = ticket.request.client_order_id
        return Response(200, answered)


def billed_shards(shard: Any, *, is_routed: bool) -> tuple[int, ...]:
    """Whose write buckets a single order write is charged to; routing by ticker bills every shard's."""
    if shard is None or shard == AUTO:
        return SHARDS if is_routed else (0,)
    return (shard,) if shard in SHARDS else (0,)


def find_order(
    face: KalshiFace, key: KalshiKey, order_id: str, ticker: str, shard: int | None, *, may_differ: bool = False
) -> Ticket | Response:
    """An order of the key's account on the shard a request leads to; the same 404 for all that is not there.

    `may_differ`: The ticker may be another market's of the same shard; the caller says what that means.
    """
    if shard in (None, AUTO):
        routed = face.exchange.markets.get(ticker)
        if ticker and routed is None:
            return nested(404, "market_not_found")
        shard = 0 if routed is None else exchange_index(routed)
    ticket = face.exchange.tickets.get(order_id)
    if ticket is None or ticket.request.account_id != key.account_id:
        return not_found()
    listed = face.exchange.markets[ticket.request.market_id]
    if listed.status not in ("open", "paused"):
        # Past the close every action on an order meets this, whatever became of the order.
        return refusal(Refused("market_closed"), face.settings)
    if ticket.status != "resting":
        return not_found()
    if exchange_index(listed) != shard or (ticker and ticker != listed.market_id and not may_differ):
        return not_found()
    return ticket


def cancel_one(
    face: KalshiFace, key: KalshiKey, order_id: str, ticker: str, shard: int | None
) -> tuple[Ticket, int] | Response:
    """Cancel a resting order; its ticket and the contracts taken out of the book, or the venue's refusal."""
    ticket = find_order(face, key, order_id, ticker, shard)
    if isinstance(ticket, Response):
        return ticket
    try:
        reduced = face.exchange.cancel(key.account_id, order_id, face.now_ms())
    except Refused as error:
        return refusal(error, face.settings)
    return not_found() if reduced is None else (ticket, reduced)


def _amended(ticket: Ticket, before: tuple[int, int, int, int], now_ms: int) -> dict[str, Any]:
    filled, remaining, cash, fees = before
    made = ticket.filled_e6 - filled
    has_changed = made or ticket.remaining_e6 != remaining
    body: dict[str, Any] = {
        "order_id": ticket.order_id,
        "client_order_id": ticket.request.client_order_id,
        "remaining_count": count(ticket.remaining_e6) if has_changed else None,
        "fill_count": count(made) if has_changed else None,
        "average_fill_price": None,
        "average_fee_paid": None,
        "ts_ms": now_ms,
    }
    if made:
        body |= averages(ticket.request.side, made, ticket.taker_cash_e6 - cash, ticket.taker_fees_e6 - fees)
    return body


def _gone(request: Request, **_arguments: str) -> Response:
    return nested(410, "deprecated_v1_order_endpoint", message="Please switch to the V2 endpoints")
