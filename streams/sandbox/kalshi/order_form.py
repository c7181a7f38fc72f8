"""From the JSON body of a V2 order to what the exchange understands, and back to the response."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from streams.market.units import SIZE_SCALE
from streams.sandbox.core.accounts import buying
from streams.sandbox.core.records import ListedMarket, OrderRecord, OrderRequest
from streams.sandbox.http.routes import Rejected
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import flat, nested
from streams.sandbox.kalshi.formats import count, money4
from streams.sandbox.kalshi.limits import AUTO
from streams.sandbox.kalshi.venue import KalshiVenue

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
"""The last second of the year 9999: the response to a later expiry is not known."""
_NEEDED = ("ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type")


def json_body(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Rejected: If it is none.
    """
    try:
        value = orjson.loads(body)
    except ValueError:
        raise Rejected(flat(400, "bad_request", "invalid character in JSON body" if body else "EOF")) from None
    if not isinstance(value, dict):
        raise Rejected(flat(400, "bad_request", "json: cannot unmarshal into Go value"))
    return value


def check_types(body: dict[str, Any], struct: str, needed: Sequence[str] = ()) -> None:
    """Check the JSON types of a body's fields (numbers of orders are strings), and that the needed ones are there.

    Raises:
        Rejected: For the first field that is wrong. The exact text about a missing one was never recorded.
    """
    for name, value in body.items():
        expected = _TYPES.get(name)
        if expected is not None and value is not None and type(value) is not expected:
            details = f"json: cannot unmarshal {_kind(value)} into Go struct field {struct}.{name}"
            raise Rejected(flat(400, "bad_request", f"{details} of type {_GO_NAMES[expected]}"))
    for name in needed:
        if not body.get(name):
            field = name.title().replace("_", "")
            details = f"Key: '{struct}.{field}' Error:Field validation for '{field}' failed on the 'required' tag"
            raise Rejected(flat(400, "bad_request", details))


def price_e4(text: str) -> int | None:
    """Dollars of a decimal string with two to four decimals, as in the reference; None for anything else."""
    return int(Decimal(text) * 10_000) if _PRICE.fullmatch(text) else None


def size_e6(text: str) -> int | None:
    """1/1,000,000 of a contract of a decimal string with up to two decimals; None for anything else."""
    return int(Decimal(text) * 100) * (SIZE_SCALE // 100) if _COUNT.fullmatch(text) else None


def place(venue: KalshiVenue, body: dict[str, Any], key: KalshiKey) -> OrderRecord:
    """Place an order and return its record.

    Raises:
        Rejected: If the form is wrong, or the client order id is taken.
        Refused: By the exchange.
    """
    request, now_ms = _order_request(venue, body, key), venue.now_ms()
    taken, name = venue.client_ids(key.account_id), request.client_order_id
    horizon = venue.settings.duplicate_horizon_ms
    if name in taken and (horizon is None or now_ms - taken[name] < horizon):
        raise Rejected(nested(409, "order_already_exists"))
    order_record = venue.exchange.order_entry.place(request, now_ms)
    if name:
        taken[name] = now_ms
    if order_record.status == "resting" and now_ms < venue.lingering_ms.get(key.account_id, 0):
        venue.exchange.order_entry.cancel(key.account_id, order_record.order_id, now_ms)
    return order_record


def _order_request(venue: KalshiVenue, body: dict[str, Any], key: KalshiKey) -> OrderRequest:
    check_types(body, "CreateOrderV2Request", _NEEDED)
    listed, shard = venue.exchange.state.markets.get(body["ticker"]), body.get("exchange_index")
    if listed is None or shard not in (None, AUTO, listed.shard):
        raise Rejected(nested(404, "market_not_found"))
    tif: Any = _TIMES_IN_FORCE.get(body["time_in_force"])
    if tif is None or body["side"] not in ("bid", "ask"):
        raise Rejected(nested(400, "invalid_order", "time_in_force" if tif is None else "side"))
    if body["self_trade_prevention_type"] not in ("taker_at_cross", "maker"):
        raise Rejected(nested(400, "invalid_order", "self_trade_prevention_type"))
    price, size = price_e4(body["price"]), size_e6(body["count"])
    if price is None:
        raise Rejected(nested(400, "invalid_price"))
    if not size:
        raise Rejected(nested(400, "invalid_order_size"))
    _check_fit(venue, body, tif)
    expires, group_id = body.get("expiration_time"), body.get("order_group_id")
    if group_id:
        _check_group(venue, key, group_id, listed)
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
        extra={"order_group_id": group_id} if group_id else {},
    )


def _check_fit(venue: KalshiVenue, body: dict[str, Any], tif: str) -> None:
    """Reject fields that do not go together."""
    expires = body.get("expiration_time")
    if expires and (tif != "gtc" or is_no_expiry(expires, venue.now_ms())):
        raise Rejected(nested(400, "invalid_order", "expiration_time"))
    if body.get("post_only") and tif != "gtc":
        raise Rejected(nested(400, "invalid_order", "post only orders must be good till canceled"))
    if body.get("reduce_only") and tif != "ioc":
        raise Rejected(nested(400, "invalid_order", "reduce only orders must be immediate or cancel"))
    if body.get("subaccount"):
        raise Rejected(nested(400, "invalid_order", "unknown subaccount"))


def _check_group(venue: KalshiVenue, key: KalshiKey, group_id: str, listed: ListedMarket) -> None:
    """Reject an order for a group that takes none."""
    group = venue.groups.find(key.account_id, group_id)
    if group is None or group["exchange_index"] != listed.shard:
        raise Rejected(nested(404, "not_found"))
    if group["is_triggered"]:
        raise Rejected(nested(400, "invalid_order", "order group has been triggered"))


def is_no_expiry(expires_s: int, now_ms: int) -> bool:
    """Whether an order cannot end then: it is past, or later than a date can be."""
    return expires_s * 1000 <= now_ms or expires_s > _LATEST_S


def placed_object(order_record: OrderRecord) -> dict[str, Any]:
    """A placed order in the response: what filled at once and what rests; averages only if something did."""
    body: dict[str, Any] = {
        "order_id": order_record.order_id,
        "fill_count": count(order_record.filled_e6),
        "remaining_count": count(order_record.remaining_e6),
        "ts_ms": order_record.updated_ms,
    }
    if order_record.request.client_order_id:
        body["client_order_id"] = order_record.request.client_order_id
    if order_record.filled_e6:
        body |= averages(
            order_record.request.side, order_record.filled_e6, order_record.taker_cash_e6, order_record.taker_fees_e6
        )
    return body


def averages(side: str, filled_e6: int, cash_e6: int, fees_e6: int) -> dict[str, str]:
    """Price in YES terms and fee, per contract, to the four decimals the venue shows."""
    paid = cash_e6 * 1_000_000 // filled_e6
    return {
        "average_fill_price": money4(paid if side == "bid" else 1_000_000 - paid),
        "average_fee_paid": money4(fees_e6 * 1_000_000 // filled_e6),
    }


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
