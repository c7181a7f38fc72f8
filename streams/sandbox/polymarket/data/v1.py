"""The Data API's frozen first version: bare camelCase arrays with limit and offset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.data.wallets import DataRest

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_POSITION = {
    "proxyWallet": "proxy_wallet", "asset": "token_id", "conditionId": "condition_id", "size": "current_size",
    "avgPrice": "avg_price", "initialValue": "entry_cost_usdc", "currentValue": "current_value",
    "cashPnl": "unrealized_pnl", "percentPnl": "percent_pnl", "totalBought": "total_size",
    "realizedPnl": "realized_pnl", "percentRealizedPnl": "percent_realized_pnl", "curPrice": "current_price",
    "redeemable": "redeemable", "mergeable": "mergeable", "title": "title", "slug": "slug", "icon": "icon",
    "eventId": "event_id", "eventSlug": "event_slug", "outcome": "outcome", "outcomeIndex": "outcome_index",
    "oppositeOutcome": "opposite_outcome", "oppositeAsset": "opposite_token_id", "endDate": "end_date",
    "negativeRisk": "negative_risk",
}  # fmt: skip
_TRADE = {
    "proxyWallet": "proxy_wallet", "side": "side", "asset": "token_id", "conditionId": "condition_id", "size": "size",
    "price": "price", "timestamp": "timestamp", "title": "title", "slug": "slug", "icon": "icon",
    "eventSlug": "event_slug", "outcome": "outcome", "outcomeIndex": "outcome_index", "name": "name",
    "pseudonym": "pseudonym", "bio": "bio", "profileImage": "profile_image",
    "profileImageOptimized": "profile_image_optimized", "transactionHash": "transaction_hash",
}  # fmt: skip
_ACTIVITY = _TRADE | {"type": "type", "usdcSize": "usdc_size"}
_CLOSED = {name: column for name, column in _POSITION.items() if name not in ("size", "currentValue", "redeemable")}
_LARGEST_OFFSET = 10_000


class DataV1Rest:
    """Handlers of the old routes; their rows are those of version 2 under other names."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._rows = DataRest(face)

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/data/positions", lambda request: self._listed(request, "positions", _POSITION))
        router.add("GET", "/data/closed-positions", lambda request: self._listed(request, "closed", _CLOSED))
        router.add("GET", "/data/trades", lambda request: self._listed(request, "trades", _TRADE))
        router.add("GET", "/data/activity", lambda request: self._listed(request, "activity", _ACTIVITY))
        router.add("GET", "/data/value", self.value)
        router.add("GET", "/data/", lambda request: Response(200, {"data": "OK"}))

    def value(self, request: Request) -> Response:
        """[{user, value}]."""
        user = request.param("user")
        if not user:
            return _missing()
        value = self._rows.value(Request("GET", "", [("user", user)], {})).body["data"]["value"]
        return Response(200, [{"user": user, "value": value}])

    def _listed(self, request: Request, kind: str, names: dict[str, str]) -> Response:
        user, market = request.param("user"), request.param("market")
        if not user and kind != "trades":
            return _missing()
        offset, limit = request.param("offset") or "0", request.param("limit") or "100"
        if not (offset.isdecimal() and limit.isdecimal()) or int(offset) > _LARGEST_OFFSET:
            return Response(400, {"error": "invalid limit or offset"})
        query = [("limit", "1000")] + [("user", user)] * bool(user) + [("condition", market)] * bool(market)
        query += [("type", request.param("type"))] * bool(request.param("type"))
        inner = Request("GET", "", query, {})
        source = {"trades": self._rows.trades, "activity": self._rows.activity}.get(kind, self._rows.positions)
        rows: list[dict[str, Any]] = source(inner).body["data"]
        if kind in ("positions", "closed"):
            rows = [row for row in rows if (row["status"] == "CLOSED") == (kind == "closed")]
        most = min(int(limit), self._face.settings.v1_page_limit)
        page = rows[int(offset) : int(offset) + most]
        return Response(200, [{name: row[column] for name, column in names.items()} for row in page])


def _missing() -> Response:
    return Response(400, {"error": "required query param 'user' not provided"})
