"""Kalshi's error bodies: four shapes, all of which its clients meet; and the exception that carries one."""

from __future__ import annotations

from typing import Any

from streams.market.errors import Refused
from streams.sandbox.http.routes import Rejected
from streams.sandbox.http.server import Response
from streams.sandbox.kalshi.settings import KalshiVenueSettings

_REFUSALS: dict[str, tuple[int, str, str]] = {
    "market_not_found": (404, "market_not_found", ""),
    "not_found": (404, "not_found", ""),
    "invalid_price": (400, "invalid_price", ""),
    "invalid_size": (400, "invalid_order_size", ""),
    "post_only_cross": (400, "invalid_order", "post only cross"),
    "insufficient_balance": (400, "insufficient_balance", ""),
    "insufficient_shard_balance": (
        404,
        "insufficient_shard_balance",
        "Exchange user not found. For Predictions: reference documentation Exchange Sharding documentation.",
    ),
    "fok_unfilled": (409, "fill_or_kill_insufficient_resting_volume", ""),
    "duplicate": (409, "order_already_exists", ""),
    # Nothing was ever recorded of these three; they follow the form of trading_is_paused.
    "exchange_closed": (409, "exchange_is_paused", ""),
    "restarting": (503, "service_unavailable", ""),
    "cancel_only_mode": (409, "trading_is_paused", ""),
    "post_only_mode": (400, "invalid_order", "post only mode"),
}


def nested(status: int, code: str, details: str = "", message: str = "") -> Response:
    """The common shape: {"error": {"code", "message", "details"?}}."""
    return Response(status, {"error": error_object(code, details, message)})


def error_object(code: str, details: str = "", message: str = "") -> dict[str, Any]:
    """What stands under `error`, in responses and in the entries of a batch."""
    error: dict[str, Any] = {"code": code, "message": message or (code.replace("_", " ") if code.islower() else code)}
    if details:
        error["details"] = details
    return error


def flat(status: int, code: str, details: str) -> Response:
    """What JSON decoding errors look like: {"code", "message", "details"}."""
    return Response(status, {"code": code, "message": code.replace("_", " "), "details": details})


def bad_parameter(call: str, field: str = "", tag: str = "") -> Response:
    """What query validation responds with: a bare {"msg"}.

    Args:
        call: Operation name, such as `GetMarkets`, or the whole sentence when no field is given.
        field: The parameter's name in the venue's code, such as `Limit`.
        tag: The rule that failed, such as `lte`.
    """
    if not field:
        return Response(400, {"msg": call})
    key = f"{call}Params.{field}"
    what = f"Key: '{key}' Error:Field validation for '{field}' failed on the '{tag}' tag"
    return Response(400, {"msg": f"Parameter validation failed for {call}: {what}"})


def too_many_requests(settings: KalshiVenueSettings) -> Response:
    """A 429, without Retry-After as at the venue."""
    if settings.rate_limit_body == "documented":
        return Response(429, {"error": "too many requests"})
    return nested(429, "too_many_requests")


def not_found() -> Response:
    """The same response for whatever does not exist (any more)."""
    return nested(404, "not_found")


def response_to(error: Rejected | Refused, settings: KalshiVenueSettings) -> Response:
    """The response to a request that a handler rejected, or the exchange refused."""
    if isinstance(error, Rejected):
        return error.response
    if error.code == "fault":
        return nested(400, str(error).partition(": ")[2])
    if error.code == "trading_paused":
        return nested(settings.pause_status, "trading_is_paused")
    if error.code == "market_closed":
        return nested(400, settings.closed_market_code)
    if error.code == "market_paused":
        return nested(400, "MARKET_NOT_ACTIVE")
    status, code, details = _REFUSALS.get(error.code, (400, "invalid_order", error.code.replace("_", " ")))
    return nested(status, code, details)
