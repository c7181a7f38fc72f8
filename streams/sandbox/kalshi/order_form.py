"""From the JSON body of a V2 order to what the exchange understands, and its answer back."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from streams.market.errors import Refused
from streams.market.units import SIZE_SCALE
from streams.sandbox.core.accounts import buying
from streams.sandbox.core.records import OrderRequest, Ticket
from streams.sandbox.http.server import Response
from streams.sandbox.kalshi.errors import flat, nested, refusal
from streams.sandbox.kalshi.formats import count, money4
from streams.sandbox.kalshi.objects import exchange_index

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey

AUTO = -1
"""`exchange_index` that asks for routing by ticker, as leaving it out does."""
_TIMES_IN_FORCE: dict[str, Any] = {"fill_or_kill": "fok", "good_till_canceled": "gtc", "immediate_or_cancel": "ioc"}
_TYPES: dict[str, type] = {
    "ticker": str,
    "client_order_id": str,
    "side": str,
    "count": str,
    "price": str,
    "time_in_force": str,
    "self_trade_prevention_type": str,
    "order_group_id": str,
    "updated_client_order_id": str,
    "reduce_by": str,
    "reduce_to": str,
    "market_ticker": str,
    "order_id": str,
    "post_only": bool,
    "reduce_only": bool,
    "cancel_order_on_pause": bool,
    "expiration_time": int,
    "subaccount": int,
    "exchange_index": int,
}
_GO_NAMES = {str: "string", bool: "bool", int: "int"}
_PRICE = re.compile(r"[0-9]{1,9}\.[0-9]{2,4}")
_COUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
_LATEST_S = 253_402_300_799
"""The last second of the year 9999: what a later expiry is answered with is not known."""
_NEEDED = ("ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type")


def json_body(body: bytes) -> dict[str, Any] | Response:
    """A JSON object, or the venue's answer to what is none."""
    try:
        value = orjson.loads(body)
    except ValueError:
        return flat(400, "bad_request", "invalid character in JSON body" if body else "EOF")
    return value if isinstance(value, dict) else flat(400, "bad_request", "json: cannot unmarshal into Go value")


def mistyped(body: dict[str, Any], struct: str) -> Response | None:
    """The answer to a field of the wrong JSON type: numbers of orders are strings."""
    for name, value in body.items():
        wanted = _TYPES.get(name)
        if wanted is None or value is None or type(value) is wanted:
            continue
        kind = "bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else _kind(value)
        details = f"json: cannot unmarshal {kind} into Go struct field {struct}.{name} of type {_GO_NAMES[wanted]}"
        return flat(400, "bad_request", details)
    return None


def missing(body: dict[str, Any], struct: str, names: tuple[str, ...]) -> Response | None:
    """The answer to a required field that is absent. Its exact text was never recorded."""
    for name in names:
        if not body.get(name):
            field = name.title().replace("_", "")
            details = f"Key: '{struct}.{field}' Error:Field validation for '{field}' failed on the 'required' tag"
            return flat(400, "bad_request", details)
    return None


def price_e4(text: str) -> int | None:
    """Dollars of a decimal string with two to four decimals, as in the reference; None for anything else."""
    return int(Decimal(text) * 10_000) if _PRICE.fullmatch(text) else None


def hundredths_of(text: str) -> int | None:
    """Contracts of a decimal string with up to two decimals; None for anything else."""
    return int(Decimal(text) * 100) if _COUNT.fullmatch(text) else None


def size_e6(text: str) -> int | None:
    """The same in 1/1,000,000 of a contract, above zero."""
    hundredths = hundredths_of(text)
    return hundredths * (SIZE_SCALE // 100) if hundredths is not None and hundredths > 0 else None


def place(face: KalshiFace, body: dict[str, Any], key: KalshiKey) -> Ticket | Response:
    """Place an order; its ticket, or the venue's refusal."""
    struct = "CreateOrderV2Request"
    wrong = mistyped(body, struct) or missing(body, struct, _NEEDED)
    if wrong is not None:
        return wrong
    made = _request(face, body, key)
    if isinstance(made, Response):
        return made
    taken, name, now_ms = face.client_ids(key.account_id), made.client_order_id, face.now_ms()
    horizon = face.settings.duplicate_horizon_ms
    if name in taken and (horizon is None or now_ms - taken[name] < horizon):
        return nested(409, "order_already_exists")
    try:
        ticket = face.exchange.place(made, now_ms)
    except Refused as error:
        return refusal(error, face.settings)
    if name:
        taken[name] = now_ms
    if ticket.status == "resting" and now_ms < face.lingering_ms.get(key.account_id, 0):
        face.exchange.cancel(key.account_id, ticket.order_id, now_ms)
    return ticket


def _request(face: KalshiFace, body: dict[str, Any], key: KalshiKey) -> OrderRequest | Response:
    listed = face.exchange.markets.get(body["ticker"])
    shard = body.get("exchange_index")
    if listed is None or (shard not in (None, AUTO) and shard != exchange_index(listed)):
        return nested(404, "market_not_found")
    tif: Any = _TIMES_IN_FORCE.get(body["time_in_force"])
    if tif is None or body["side"] not in ("bid", "ask"):
        return nested(400, "invalid_order", "time_in_force" if tif is None else "side")
    if body["self_trade_prevention_type"] not in ("taker_at_cross", "maker"):
        return nested(400, "invalid_order", "self_trade_prevention_type")
    price, size = price_e4(body["price"]), size_e6(body["count"])
    if price is None:
        return nested(400, "invalid_price")
    if size is None:
        return nested(400, "invalid_order_size")
    wrong = _misfit(face, body, key, tif)
    if wrong is not None:
        return wrong
    expires, group = body.get("expiration_time"), body.get("order_group_id")
    return OrderRequest(
        key.account_id,
        body["ticker"],
        str(uuid.uuid4()),
        buying(body["side"]),
        body["side"],
        price,
        size,
        "gtd" if expires else tif,
        body.get("client_order_id") or "",
        bool(body.get("post_only")),
        body["self_trade_prevention_type"],
        expires * 1000 if expires else None,
        is_reduce_only=bool(body.get("reduce_only")),
        cancel_on_pause=bool(body.get("cancel_order_on_pause")),
        extra={"order_group_id": group} if group else {},
    )


def _misfit(face: KalshiFace, body: dict[str, Any], key: KalshiKey, tif: str) -> Response | None:
    """Fields that do not go together, and groups that take no orders."""
    expires = body.get("expiration_time")
    if expires and (tif != "gtc" or is_no_expiry(expires, face.now_ms())):
        return nested(400, "invalid_order", "expiration_time")
    if body.get("post_only") and tif != "gtc":
        return nested(400, "invalid_order", "post only orders must be good till canceled")
    if body.get("reduce_only") and tif != "ioc":
        return nested(400, "invalid_order", "reduce only orders must be immediate or cancel")
    if body.get("subaccount"):
        return nested(400, "invalid_order", "unknown subaccount")
    group = body.get("order_group_id")
    if not group:
        return None
    known = face.groups.find(key.account_id, group)
    if known is None or known["exchange_index"] != exchange_index(face.exchange.markets[body["ticker"]]):
        return nested(404, "not_found")
    return nested(400, "invalid_order", "order group has been triggered") if known["is_triggered"] else None


def is_no_expiry(expires_s: int, now_ms: int) -> bool:
    """Whether an order cannot end then: it is past, or beyond what a date can say."""
    return expires_s * 1000 <= now_ms or expires_s > _LATEST_S


def answer(ticket: Ticket) -> dict[str, Any]:
    """What a placed order is answered with: what filled at once and what rests; averages only if something did."""
    body: dict[str, Any] = {
        "order_id": ticket.order_id,
        "fill_count": count(ticket.filled_e6),
        "remaining_count": count(ticket.remaining_e6),
        "ts_ms": ticket.updated_ms,
    }
    if ticket.request.client_order_id:
        body["client_order_id"] = ticket.request.client_order_id
    if ticket.filled_e6:
        body |= averages(ticket.request.side, ticket.filled_e6, ticket.taker_cash_e6, ticket.taker_fees_e6)
    return body


def averages(side: str, filled_e6: int, cash_e6: int, fees_e6: int) -> dict[str, str]:
    """Price in YES terms and fee, per contract, to the four decimals the venue shows."""
    paid = cash_e6 * 1_000_000 // filled_e6
    return {
        "average_fill_price": money4(paid if side == "bid" else 1_000_000 - paid),
        "average_fee_paid": money4(fees_e6 * 1_000_000 // filled_e6),
    }


def _kind(value: Any) -> str:
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
