"""The CLOB's order entry: one order or a batch, matched at once, after a delay, or later than it said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.market.errors import Refused
from streams.sandbox.core.accounts import Intent
from streams.sandbox.core.records import OrderRequest, Ticket
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.auth import PolymarketKey, account_of
from streams.sandbox.polymarket.clob.order_checks import check_balance, check_terms
from streams.sandbox.polymarket.clob.order_form import (
    INVALID_PAYLOAD,
    UNFILLED_FOK,
    UNMATCHED_FAK,
    Form,
    Invalid,
    expiry_ms,
    read_order,
)
from streams.sandbox.polymarket.formats import PRICES, decimal_text, parsed, size

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

NOT_READY = "the market is not yet ready to process new orders"
NOT_INSERTED = "could not insert order"
POST_ONLY_MODE = "post-only mode: only post-only orders and cancels are allowed"
_KILLS = {UNFILLED_FOK, UNMATCHED_FAK, "invalid post-only order: order crosses book"}


class OrderRest:
    """Handlers that place orders. Every one carries L2 headers."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("POST", "/clob/order", self._face.signed(self.create))
        router.add("POST", "/clob/orders", self._face.signed(self.create_batch))

    def create(self, request: Request, key: PolymarketKey) -> Response:
        """Place one order."""
        headers, refusal = self._face.charge(key, 1, is_cancel=False)
        return refusal or _with(self._create(parsed(request.body), key), headers)

    def create_batch(self, request: Request, key: PolymarketKey) -> Response:
        """Place up to 15; a refused one is success true with an empty id and its error."""
        bodies = parsed(request.body)
        if not isinstance(bodies, list) or not bodies:
            return Response(400, {"error": INVALID_PAYLOAD})
        most = self._face.settings.batch_limit
        if len(bodies) > most:
            return Response(400, {"error": f"Too many orders in payload: {len(bodies)}, max allowed: {most}"})
        headers, refusal = self._face.charge(key, len(bodies), is_cancel=False)
        return refusal or _with(self._create_batch(bodies, key), headers)

    def _create(self, body: Any, key: PolymarketKey) -> Response:
        is_post_only = isinstance(body, dict) and bool(body.get("postOnly"))
        closed = self._face.mode_refusal(is_post_only=is_post_only)
        if closed is not None:
            return closed
        try:
            ticket = self._place(body, key)
        except Invalid as error:
            self._face.commit()
            return self._refused(str(error))
        self._face.commit()
        if ticket.status != "delayed" or ticket.order_id not in self._face.waited_for:
            return Response(200, self._placed(ticket))
        wait_ms = self._face.waited_for.pop(ticket.order_id) - self._face.now_ms()
        return Response(delay_ms=max(1, wait_ms), resume=lambda: self._after_delay(ticket))

    def _create_batch(self, bodies: list[Any], key: PolymarketKey) -> Response:
        closed = self._face.mode_refusal(is_post_only=True)
        if closed is not None:
            return closed
        answers: list[dict[str, Any]] = []
        tickets: dict[int, Ticket] = {}
        for index, body in enumerate(bodies):
            try:
                if self._exchange.mode == "post_only" and not (isinstance(body, dict) and body.get("postOnly")):
                    raise Invalid(POST_ONLY_MODE)
                ticket = self._place(body, key)
            except Invalid as error:
                answers.append(_answer("", "", error=str(error)))
                continue
            tickets[index] = ticket
            answers.append(self._placed(ticket))
        self._face.commit()
        ends = [self._face.waited_for.pop(t.order_id) for t in tickets.values() if t.order_id in self._face.waited_for]
        if not ends:
            return Response(200, answers)

        def finished() -> Response:
            for index, ticket in tickets.items():
                late = self._after_delay(ticket)
                answers[index] = late.body if "orderID" in late.body else _answer("", "", error=late.body["error"])
            return Response(200, answers)

        return Response(delay_ms=max(1, max(ends) - self._face.now_ms()), resume=finished)

    def _after_delay(self, ticket: Ticket) -> Response:
        """What became of an order the taker delay held back."""
        self._exchange.release(self._face.now_ms())
        self._face.commit()
        if ticket.status == "canceled" and not ticket.filled_e6:
            return self._refused(_end_reason(ticket))
        return Response(200, self._placed(ticket))

    def _refused(self, text: str) -> Response:
        """A refusal. Killed orders are answered by 400 with {error} or by 200 with errorMsg; sources disagree."""
        if text in _KILLS and self._face.settings.kill_status == 200:
            return Response(200, _answer("", "", error=text))
        return Response(500 if text == NOT_INSERTED else 400, {"error": text})

    # -- one order --------------------------------------------------------------------------------------------------

    def _place(self, body: Any, key: PolymarketKey) -> Ticket:
        now = self._face.now_ms()
        form = read_order(body, key, self._face.ring, self._face.tokens)
        if self._face.settings.geoblocked and form.is_buy:
            raise Invalid(f"'{form.order['maker']}' address in closed only mode")
        if form.order_id in self._exchange.tickets:
            raise Invalid(f"order {form.order_id} is invalid. Duplicated.")
        check_terms(form, self._face.settings, now)
        request = self._request(form, key)
        check_balance(self._exchange, self._face.allowances, self._face.balances, form, request, now)
        try:
            held = self._held_until(form, now)
            if held is None:
                ticket = self._exchange.place(request, now)
            else:
                request.extra["shown"] = self._face.settings.delayed_status
                ticket = self._exchange.hold(request, held, now)
        except Refused as error:
            self._face.waited_for.pop(form.order_id, None)
            text = refusal_text(error, form)
            if text == UNFILLED_FOK:
                self._face.user_feed.killed(request, form.listed, text, now)
            raise Invalid(text) from None
        if ticket.status == "canceled" and not ticket.filled_e6:
            # What the venue says to an order that meets an own one is not known.
            raise Invalid(UNMATCHED_FAK if ticket.reason == "immediate" else NOT_INSERTED)
        return ticket

    def _request(self, form: Form, key: PolymarketKey) -> OrderRequest:
        wallet = str(form.order["maker"])
        self._face.ring.open_account(wallet)
        return OrderRequest(
            account_of(wallet),
            form.listed.market_id,
            form.order_id,
            Intent(form.outcome, "buy" if form.is_buy else "sell"),
            form.side,
            form.yes_price_e4,
            form.shares_e6,
            form.tif,
            is_post_only=form.is_post_only,
            expires_ms=expiry_ms(form, self._face.settings),
            spend_e6=form.maker_e6 if form.is_buy and form.is_immediate else None,
            extra={
                "token": str(form.order["tokenId"]),
                "price": form.price_e4,
                "kind": form.kind,
                "expiration": form.expiration,
                "maker": wallet,
                "owner": key.api_key,
            },
        )

    def _held_until(self, form: Form, now_ms: int) -> int | None:
        """When a delayed order is let go, after the market's taker or sports delay; None for one that does not wait."""
        if form.is_post_only or not form.is_marketable:
            return None
        delay_ms = self._face.sports_delay_s(form.listed) * 1000
        if not delay_ms and self._face.has_taker_delay(form.listed):
            delay_ms = self._exchange.behaviour.taker_delay_ms
            if delay_ms:
                self._face.waited_for[form.order_id] = now_ms + delay_ms
        return now_ms + delay_ms if delay_ms else None

    def _placed(self, ticket: Ticket) -> dict[str, Any]:
        """The answer of an accepted order. Its trades are named; their transactions come later.

        An order that a fault holds back looks as if it rested.
        """
        if ticket.status == "delayed":
            return _answer(ticket.order_id, ticket.request.extra.get("shown", "live"))
        if not ticket.filled_e6:
            return _answer(ticket.order_id, "live")
        digits = 0 if self._face.settings.micro_amounts else 6
        dollars, shares = decimal_text(ticket.taker_cash_e6, digits), decimal_text(ticket.filled_e6, digits)
        making, taking = (dollars, shares) if ticket.request.intent.action == "buy" else (shares, dollars)
        answer = _answer(ticket.order_id, "matched", making=making, taking=taking)
        return {**answer, "tradeIDs": list(ticket.trade_ids)}


def _with(response: Response, headers: dict[str, str]) -> Response:
    """Add headers to the answer that is sent in the end."""
    response.headers = headers | response.headers
    resume = response.resume
    if resume is not None:
        response.resume = lambda: _with(resume(), headers)
    return response


def refusal_text(error: Refused, form: Form) -> str:
    """The venue's words for what the exchange refused."""
    detail = str(error).partition(": ")[2]
    if error.code == "insufficient_balance":
        return f"not enough balance / allowance: the balance is not enough -> {detail}"
    if error.code == "fault":
        return detail
    wrong = f"order {form.order_id} is invalid."
    return {
        "market_closed": NOT_READY,
        "market_paused": NOT_READY,
        "invalid_price": f"{wrong} Price ({PRICES[form.price_e4]}) breaks minimum tick size rule: "
        f"{PRICES[form.listed.tick_e4]}",
        "invalid_size": f"{wrong} Size ({size(form.shares_e6)}) lower than the minimum: "
        f"{size(form.listed.market.min_size_e6)}",
        "post_only_cross": "invalid post-only order: order crosses book",
        "fok_unfilled": UNFILLED_FOK,
        "duplicate": f"{wrong} Duplicated.",
        "post_only_mode": POST_ONLY_MODE,
    }.get(error.code, NOT_INSERTED)


def _end_reason(ticket: Ticket) -> str:
    """Why a held order was not carried out when it was let go."""
    return {
        "insufficient_balance": "not enough balance / allowance: the balance is not enough",
        "fok_unfilled": UNFILLED_FOK,
        "immediate": UNMATCHED_FAK,
        "market_closed": NOT_READY,
        "market_paused": NOT_READY,
        "post_only_mode": POST_ONLY_MODE,
    }.get(ticket.reason, NOT_INSERTED)


def _answer(order_id: str, status: str, *, making: str = "", taking: str = "", error: str = "") -> dict[str, Any]:
    return {
        "errorMsg": error,
        "orderID": order_id,
        "takingAmount": taking,
        "makingAmount": making,
        "status": status,
        "success": True,
    }
