"""Kalshi's error bodies, in the shapes that were recorded."""

from __future__ import annotations

from typing import Any

from streams.market.errors import Refused
from streams.sandbox.server import Response

_REFUSALS: dict[str, tuple[int, str, str]] = {
    "market_not_found": (404, "market_not_found", ""),
    "market_closed": (400, "MARKET_NOT_ACTIVE", ""),
    "invalid_price": (400, "invalid_price", ""),
    "invalid_size": (400, "invalid_order_size", ""),
    "post_only_cross": (400, "invalid_order", "post only cross"),
    "insufficient_balance": (400, "insufficient_balance", ""),
    "fok_unfilled": (409, "fill_or_kill_insufficient_resting_volume", ""),
    "duplicate": (409, "order_already_exists", ""),
}


def nested(status: int, code: str, details: str = "", message: str = "") -> Response:
    """The common shape: {"error": {"code", "message", "details"?}}."""
    error: dict[str, Any] = {"code": code, "message": message or code.replace("_", " ") if code.islower() else code}
    if details:
        error["details"] = details
    return Response(status, {"error": error})


def flat(status: int, code: str, details: str) -> Response:
    """What JSON decoding errors look like: {"code", "message", "details"}."""
    return Response(status, {"code": code, "message": code.replace("_", " "), "details": details})


def bad_parameter(what: str) -> Response:
    """What query validation answers: a bare {"msg"}."""
    return Response(400, {"msg": f"Parameter validation failed for {what}"})


def not_found() -> Response:
    """The same answer for whatever does not exist (any more)."""
    return nested(404, "not_found")


def refusal(error: Refused) -> Response:
    """Turn the exchange's refusal into Kalshi's words."""
    if error.code == "fault":
        return nested(400, str(error).partition(": ")[2])
    status, code, details = _REFUSALS.get(error.code, (400, "invalid_order", error.code))
    return nested(status, code, details)
