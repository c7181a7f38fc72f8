"""The Data API's frozen first version: bare camelCase arrays with limit and offset."""

from __future__ import annotations

from typing import Any

from streams.sandbox.http.routes import Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.data import wallets
from streams.sandbox.polymarket.venue import PolymarketVenue

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
_MOST_ROWS = 1_000


def get_ok(venue: PolymarketVenue, request: Request) -> Response:
    """Whether the service runs."""
    return Response(200, {"data": "OK"})


def list_positions(venue: PolymarketVenue, request: Request) -> Response:
    """What a wallet holds, or can redeem."""
    _user(request)
    rows = wallets.positions(venue, _second_version(request))[:_MOST_ROWS]
    return _page(venue, request, [row for row in rows if row["status"] != "CLOSED"], _POSITION)


def list_closed_positions(venue: PolymarketVenue, request: Request) -> Response:
    """What a wallet held."""
    _user(request)
    rows = wallets.positions(venue, _second_version(request))[:_MOST_ROWS]
    return _page(venue, request, [row for row in rows if row["status"] == "CLOSED"], _CLOSED)


def list_trades(venue: PolymarketVenue, request: Request) -> Response:
    """Trades of a wallet, or all public ones, newest first."""
    return _page(venue, request, wallets.trades(venue, _second_version(request))[:_MOST_ROWS], _TRADE)


def list_activity(venue: PolymarketVenue, request: Request) -> Response:
    """Trades, redemptions, splits, merges and conversions of a wallet, newest first."""
    _user(request)
    return _page(venue, request, wallets.activity(venue, _second_version(request))[:_MOST_ROWS], _ACTIVITY)


def get_value(venue: PolymarketVenue, request: Request) -> Response:
    """[{user, value}]."""
    user = _user(request)
    return Response(200, [{"user": user, "value": wallets.value(venue, user, set())}])


def _user(request: Request) -> str:
    user = request.param("user")
    if not user:
        raise Rejected(Response(400, {"error": "required query param 'user' not provided"}))
    return user


def _second_version(request: Request) -> Request:
    """What a request would ask of the second version."""
    names = {"user": "user", "market": "condition", "type": "type"}
    query = [(name, request.param(old)) for old, name in names.items() if request.param(old)]
    return Request("GET", "", query, {})


def _page(venue: PolymarketVenue, request: Request, rows: list[dict[str, Any]], names: dict[str, str]) -> Response:
    """A page of the second version's rows, under the first version's names."""
    offset, limit = request.param("offset") or "0", request.param("limit") or "100"
    if not (offset.isdecimal() and limit.isdecimal()) or int(offset) > _LARGEST_OFFSET:
        return Response(400, {"error": "invalid limit or offset"})
    most = min(int(limit), venue.settings.v1_page_limit)
    page = rows[int(offset) : int(offset) + most]
    return Response(200, [{name: row[column] for name, column in names.items()} for row in page])


ROUTES: list[Route[PolymarketVenue]] = [
    Route("GET", "/positions", list_positions),
    Route("GET", "/closed-positions", list_closed_positions),
    Route("GET", "/trades", list_trades),
    Route("GET", "/activity", list_activity),
    Route("GET", "/value", get_value),
    Route("GET", "/", get_ok),
]
