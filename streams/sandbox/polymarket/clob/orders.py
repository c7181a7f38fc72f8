"""The CLOB's order entry: one order or a batch, matched at once, after a delay, or after it was answered."""

from __future__ import annotations

from typing import Any

from streams.market.errors import Refused
from streams.sandbox.core.accounts import Intent
from streams.sandbox.core.records import OrderRecord, OrderRequest
from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import PolymarketKey, account_of
from streams.sandbox.polymarket.clob.order_checks import check_balance, check_terms
from streams.sandbox.polymarket.clob.order_form import Form, expiry_ms, read_order
from streams.sandbox.polymarket.clob.refusals import (
    INVALID_PAYLOAD,
    NOT_INSERTED,
    NOT_READY,
    POST_ONLY_CROSS,
    POST_ONLY_MODE,
    UNFILLED_FOK,
    UNMATCHED_FAK,
    Invalid,
    trading_refusal,
)
from streams.sandbox.polymarket.formats import PRICES, decimal_text, parsed, size
from streams.sandbox.polymarket.venue import PolymarketVenue

_KILLS = {UNFILLED_FOK, UNMATCHED_FAK, POST_ONLY_CROSS}


def create_order(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Place one order."""
    headers = venue.charge(key, 1, is_cancel=False)
    return _with(_create_order(venue, parsed(request.body), key), headers)


def create_orders(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Place up to 15; a refused one is success true with an empty id and its error."""
    bodies = parsed(request.body)
    if not isinstance(bodies, list) or not bodies:
        return Response(400, {"error": INVALID_PAYLOAD})
    most = venue.settings.batch_limit
    if len(bodies) > most:
        return Response(400, {"error": f"Too many orders in payload: {len(bodies)}, max allowed: {most}"})
    headers = venue.charge(key, len(bodies), is_cancel=False)
    return _with(_create_orders(venue, bodies, key), headers)


def _create_order(venue: PolymarketVenue, body: Any, key: PolymarketKey) -> Response:
    is_post_only = isinstance(body, dict) and bool(body.get("postOnly"))
    refusal = trading_refusal(venue.exchange, venue.now_ms(), is_post_only=is_post_only)
    if refusal is not None:
        return refusal
    try:
        record = _place(venue, body, key)
    except Invalid as error:
        venue.commit()
        return _refused(venue, str(error))
    venue.commit()
    if record.status != "delayed" or record.order_id not in venue.held_until_ms:
        return Response(200, _placed(venue, record))
    wait_ms = venue.held_until_ms.pop(record.order_id) - venue.now_ms()
    return Response(delay_ms=max(1, wait_ms), resume=lambda: _after_delay(venue, record))


def _create_orders(venue: PolymarketVenue, bodies: list[Any], key: PolymarketKey) -> Response:
    refusal = trading_refusal(venue.exchange, venue.now_ms(), is_post_only=True)
    if refusal is not None:
        return refusal
    results: list[dict[str, Any]] = []
    records: dict[int, OrderRecord] = {}
    for index, body in enumerate(bodies):
        try:
            if venue.exchange.state.mode == "post_only" and not (isinstance(body, dict) and body.get("postOnly")):
                raise Invalid(POST_ONLY_MODE)
            record = _place(venue, body, key)
        except Invalid as error:
            results.append(_result("", "", error=str(error)))
            continue
        records[index] = record
        results.append(_placed(venue, record))
    venue.commit()
    ends = [venue.held_until_ms.pop(t.order_id) for t in records.values() if t.order_id in venue.held_until_ms]
    if not ends:
        return Response(200, results)

    def finished() -> Response:
        for index, record in records.items():
            late = _after_delay(venue, record)
            results[index] = late.body if "orderID" in late.body else _result("", "", error=late.body["error"])
        return Response(200, results)

    return Response(delay_ms=max(1, max(ends) - venue.now_ms()), resume=finished)


def _after_delay(venue: PolymarketVenue, record: OrderRecord) -> Response:
    """What became of an order the taker delay held back."""
    venue.exchange.order_entry.release(venue.now_ms())
    venue.commit()
    if record.status == "canceled" and not record.filled_e6:
        return _refused(venue, _end_reason(record))
    return Response(200, _placed(venue, record))


def _refused(venue: PolymarketVenue, text: str) -> Response:
    """A refusal. Killed orders are answered by 400 with {error} or by 200 with errorMsg; sources disagree."""
    if text in _KILLS and venue.settings.kill_status == 200:
        return Response(200, _result("", "", error=text))
    return Response(500 if text == NOT_INSERTED else 400, {"error": text})


# -- one order --------------------------------------------------------------------------------------------------------


def _place(venue: PolymarketVenue, body: Any, key: PolymarketKey) -> OrderRecord:
    """Read, check and place one order.

    Raises:
        Invalid: With the venue's text.
    """
    now, exchange = venue.now_ms(), venue.exchange
    form = read_order(body, key, venue.keyring, venue.tokens)
    if venue.settings.geoblocked and form.is_buy:
        raise Invalid(f"'{form.order['maker']}' address in closed only mode")
    if form.order_id in exchange.state.orders:
        raise Invalid(f"order {form.order_id} is invalid. Duplicated.")
    check_terms(form, venue.settings, now)
    request = _request(venue, form, key)
    check_balance(venue, form, request, now)
    try:
        held = _held_until(venue, form, now)
        if held is None:
            record = exchange.order_entry.place(request, now)
        else:
            request.extra["shown"] = venue.settings.delayed_status
            record = exchange.order_entry.hold(request, held, now)
    except Refused as error:
        venue.held_until_ms.pop(form.order_id, None)
        text = refusal_text(error, form)
        if text == UNFILLED_FOK:
            venue.feeds.publish_kill(request, form.listed, text, now)
        raise Invalid(text) from None
    if record.status == "canceled" and not record.filled_e6:
        # What the venue answers to an order that meets an own one is not known.
        raise Invalid(UNMATCHED_FAK if record.reason == "immediate" else NOT_INSERTED)
    return record


def _request(venue: PolymarketVenue, form: Form, key: PolymarketKey) -> OrderRequest:
    wallet = str(form.order["maker"])
    venue.keyring.open_account(wallet)
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
        expires_ms=expiry_ms(form, venue.settings),
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


def _held_until(venue: PolymarketVenue, form: Form, now_ms: int) -> int | None:
    """When a delayed order is released, after the market's taker or sports delay; None for one that does not wait."""
    if form.is_post_only or not form.is_marketable:
        return None
    delay_ms = venue.sports_delay_s(form.listed) * 1000
    if not delay_ms and venue.has_taker_delay(form.listed):
        delay_ms = venue.exchange.state.profile.taker_delay_ms
        if delay_ms:
            venue.held_until_ms[form.order_id] = now_ms + delay_ms
    return now_ms + delay_ms if delay_ms else None


def _placed(venue: PolymarketVenue, record: OrderRecord) -> dict[str, Any]:
    """The result of an accepted order. Its trades are named; their transactions come later.

    An order that a fault holds back looks as if it rested.
    """
    if record.status == "delayed":
        return _result(record.order_id, record.request.extra.get("shown", "live"))
    if not record.filled_e6:
        return _result(record.order_id, "live")
    digits = 0 if venue.settings.micro_amounts else 6
    dollars, shares = decimal_text(record.taker_cash_e6, digits), decimal_text(record.filled_e6, digits)
    making, taking = (dollars, shares) if record.request.intent.action == "buy" else (shares, dollars)
    result = _result(record.order_id, "matched", making=making, taking=taking)
    return {**result, "tradeIDs": list(record.trade_ids)}


def _with(response: Response, headers: dict[str, str]) -> Response:
    """Add headers to the response that is sent in the end."""
    response.headers = headers | response.headers
    resume = response.resume
    if resume is not None:
        response.resume = lambda: _with(resume(), headers)
    return response


def refusal_text(error: Refused, form: Form) -> str:
    """The venue's text for what the exchange refused."""
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
        "post_only_cross": POST_ONLY_CROSS,
        "fok_unfilled": UNFILLED_FOK,
        "duplicate": f"{wrong} Duplicated.",
        "post_only_mode": POST_ONLY_MODE,
    }.get(error.code, NOT_INSERTED)


def _end_reason(record: OrderRecord) -> str:
    """Why a held order was not carried out when it was released."""
    return {
        "insufficient_balance": "not enough balance / allowance: the balance is not enough",
        "fok_unfilled": UNFILLED_FOK,
        "immediate": UNMATCHED_FAK,
        "market_closed": NOT_READY,
        "market_paused": NOT_READY,
        "post_only_mode": POST_ONLY_MODE,
    }.get(record.reason, NOT_INSERTED)


def _result(order_id: str, status: str, *, making: str = "", taking: str = "", error: str = "") -> dict[str, Any]:
    return {
        "errorMsg": error,
        "orderID": order_id,
        "takingAmount": taking,
        "makingAmount": making,
        "status": status,
        "success": True,
    }


ROUTES: list[Route[PolymarketVenue]] = [
    Route("POST", "/order", create_order, Access.SIGNED),
    Route("POST", "/orders", create_orders, Access.SIGNED),
]
