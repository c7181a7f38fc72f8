"""Routes of Kalshi's order groups."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from streams.sandbox.http.routes import Access, Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import flat, not_found
from streams.sandbox.kalshi.formats import count
from streams.sandbox.kalshi.limits import SHARDS
from streams.sandbox.kalshi.order_form import check_types, json_body, size_e6
from streams.sandbox.kalshi.venue import KalshiVenue

_PATH = "/portfolio/order_groups"
_ONE = _PATH + "/{group_id}"


def list_groups(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """All groups of the account."""
    rows = [{"id": group_id, **_shown(group)} for group_id, group in venue.groups.of(key.account_id).items()]
    return Response(200, {"order_groups": rows})


def create_group(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Make a group."""
    body = json_body(request.body)
    check_types(body, "CreateOrderGroupRequest")
    limit, shard = _limit(venue, body), body.get("exchange_index") or 0
    if shard not in SHARDS or body.get("subaccount"):
        return flat(400, "bad_request", "unknown exchange index or subaccount")
    group_id = venue.groups.create(key.account_id, limit, shard)
    venue.commit()
    return Response(201, {"order_group_id": group_id, "subaccount": 0, "exchange_index": shard})


def get_group(venue: KalshiVenue, request: Request, key: KalshiKey, group_id: str) -> Response:
    """One group with the ids of its resting orders."""
    group = venue.groups.find(key.account_id, group_id)
    if group is None:
        return not_found()
    orders = [record.order_id for record in venue.groups.orders(key.account_id, group_id)]
    return Response(200, {**_shown(group), "orders": orders})


def set_limit(venue: KalshiVenue, request: Request, key: KalshiKey, group_id: str) -> Response:
    """Change the limit."""
    body = json_body(request.body)
    limit = _limit(venue, body)
    return _changed(venue, key, group_id, partial(venue.groups.set_limit, limit_e6=limit))


def delete_group(venue: KalshiVenue, request: Request, key: KalshiKey, group_id: str) -> Response:
    """End the group with its orders."""
    return _changed(venue, key, group_id, venue.groups.delete)


def reset_group(venue: KalshiVenue, request: Request, key: KalshiKey, group_id: str) -> Response:
    """Count fills from zero and take orders again."""
    return _changed(venue, key, group_id, venue.groups.reset)


def trigger_group(venue: KalshiVenue, request: Request, key: KalshiKey, group_id: str) -> Response:
    """End the group's orders as if its limit were reached."""
    return _changed(venue, key, group_id, venue.groups.trigger)


def _changed(venue: KalshiVenue, key: KalshiKey, group_id: str, change: Callable[[str, str], None]) -> Response:
    if venue.groups.find(key.account_id, group_id) is None:
        return not_found()
    change(key.account_id, group_id)
    venue.commit()
    return Response(200, {})


def _limit(venue: KalshiVenue, body: dict[str, Any]) -> int:
    """The limit in either of its two forms, as contracts in 1/1,000,000."""
    text, whole = body.get("contracts_limit_fp"), body.get("contracts_limit")
    if text is not None and not isinstance(text, str):
        details = "json: cannot unmarshal number into Go struct field CreateOrderGroupRequest.contracts_limit_fp"
        raise Rejected(flat(400, "bad_request", f"{details} of type string"))
    if whole is not None and (isinstance(whole, bool) or not isinstance(whole, int)):
        raise Rejected(flat(400, "bad_request", "contracts_limit must be a whole number"))
    limit = size_e6(text if text is not None else str(whole or 0))
    if limit is None or not 1_000_000 <= limit <= venue.settings.group_limit_most * 1_000_000:
        raise Rejected(flat(400, "bad_request", "contracts_limit out of range"))
    return limit


def _shown(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "contracts_limit_fp": count(group["limit_e6"]),
        "is_auto_cancel_enabled": True,
        "exchange_index": group["exchange_index"],
    }


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", _PATH, list_groups, Access.SIGNED),
    Route("POST", _PATH + "/create", create_group, Access.SIGNED),
    Route("GET", _ONE, get_group, Access.SIGNED),
    Route("DELETE", _ONE, delete_group, Access.SIGNED),
    Route("PUT", _ONE + "/reset", reset_group, Access.SIGNED),
    Route("PUT", _ONE + "/trigger", trigger_group, Access.SIGNED),
    Route("PUT", _ONE + "/limit", set_limit, Access.SIGNED),
]
