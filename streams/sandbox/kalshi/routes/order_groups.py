"""Routes of Kalshi's order groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import flat, not_found
from streams.sandbox.kalshi.formats import count
from streams.sandbox.kalshi.limits import SHARDS
from streams.sandbox.kalshi.order_form import json_body, mistyped, size_e6

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey

_PATH = "/portfolio/order_groups"
_ONE = _PATH + "/{group_id}"


class GroupRest:
    """Every handler is signed."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed, groups = self._face.signed, self._face.groups
        router.add("GET", _PATH, signed(self.groups))
        router.add("POST", _PATH + "/create", signed(self.create))
        router.add("GET", _ONE, signed(self.group))
        router.add("DELETE", _ONE, signed(self._done(groups.delete)))
        router.add("PUT", _ONE + "/reset", signed(self._done(groups.reset)))
        router.add("PUT", _ONE + "/trigger", signed(self._done(groups.trigger)))
        router.add("PUT", _ONE + "/limit", signed(self.limit))

    def groups(self, request: Request, key: KalshiKey) -> Response:
        """All groups of the account."""
        rows = [{"id": group_id, **_shown(group)} for group_id, group in self._face.groups.of(key.account_id).items()]
        return Response(200, {"order_groups": rows})

    def create(self, request: Request, key: KalshiKey) -> Response:
        """Make a group."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        wrong = mistyped(body, "CreateOrderGroupRequest")
        if wrong is not None:
            return wrong
        limit, shard = self._limit(body), body.get("exchange_index") or 0
        if isinstance(limit, Response):
            return limit
        if shard not in SHARDS or body.get("subaccount"):
            return flat(400, "bad_request", "unknown exchange index or subaccount")
        group_id = self._face.groups.create(key.account_id, limit, shard)
        self._face.commit()
        return Response(201, {"order_group_id": group_id, "subaccount": 0, "exchange_index": shard})

    def group(self, request: Request, key: KalshiKey, group_id: str) -> Response:
        """One group with the ids of its resting orders."""
        group = self._face.groups.find(key.account_id, group_id)
        if group is None:
            return not_found()
        orders = [ticket.order_id for ticket in self._face.groups.orders(key.account_id, group_id)]
        return Response(200, {**_shown(group), "orders": orders})

    def limit(self, request: Request, key: KalshiKey, group_id: str) -> Response:
        """Change the limit."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        limit = self._limit(body)
        if isinstance(limit, Response):
            return limit
        if self._face.groups.find(key.account_id, group_id) is None:
            return not_found()
        self._face.groups.set_limit(key.account_id, group_id, limit)
        self._face.commit()
        return Response(200, {})

    def _done(self, act: Callable[[str, str], None]) -> Callable[..., Response]:
        def handler(request: Request, key: KalshiKey, group_id: str) -> Response:
            if self._face.groups.find(key.account_id, group_id) is None:
                return not_found()
            act(key.account_id, group_id)
            self._face.commit()
            return Response(200, {})

        return handler

    def _limit(self, body: dict[str, Any]) -> int | Response:
        """The limit in either of its two forms, as contracts in 1/1,000,000."""
        text, whole = body.get("contracts_limit_fp"), body.get("contracts_limit")
        if text is not None and not isinstance(text, str):
            details = "json: cannot unmarshal number into Go struct field CreateOrderGroupRequest.contracts_limit_fp"
            return flat(400, "bad_request", f"{details} of type string")
        if whole is not None and (isinstance(whole, bool) or not isinstance(whole, int)):
            return flat(400, "bad_request", "contracts_limit must be a whole number")
        limit = size_e6(text if text is not None else str(whole or 0))
        if limit is None or not 1_000_000 <= limit <= self._face.settings.group_limit_most * 1_000_000:
            return flat(400, "bad_request", "contracts_limit out of range")
        return limit


def _shown(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "contracts_limit_fp": count(group["limit_e6"]),
        "is_auto_cancel_enabled": True,
        "exchange_index": group["exchange_index"],
    }
