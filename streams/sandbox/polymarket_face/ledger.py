"""The CLOB's private reads: own orders, trades, balances, API keys, heartbeats."""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import orjson

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.polymarket_face.auth import EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, PolymarketKey, l1_address
from streams.sandbox.polymarket_face.formats import PRICES, size
from streams.sandbox.polymarket_face.objects import token_of
from streams.sandbox.records import ListedMarket, Ticket, Trade, TradeSide
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.polymarket_face.face import PolymarketFace

_STATUS = {
    "resting": "LIVE",
    "executed": "MATCHED",
    "canceled": "CANCELED",
    "canceled_resolved": "CANCELED_MARKET_RESOLVED",
}
_FIRST_CURSOR, _LAST_CURSOR = "MA==", "LTE="
_ALLOWANCE = str(2**256 - 1)
_PAGE = 100


class LedgerRest:
    """Handlers that read an account."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("GET", "/clob/data/orders", signed(self.orders))
        router.add("GET", "/clob/data/order/{order_id}", signed(self.order))
        router.add("GET", "/clob/data/trades", signed(self.trades))
        router.add("GET", "/clob/balance-allowance", signed(self.balance))
        router.add("GET", "/clob/balance-allowance/update", signed(lambda request, key: Response(200, "")))
        router.add("POST", "/clob/auth/api-key", self.create_key)
        router.add("GET", "/clob/auth/derive-api-key", self.derive_key)
        router.add("GET", "/clob/auth/api-keys", signed(lambda request, key: Response(200, {"apiKeys": [key.api_key]})))
        router.add(
            "GET",
            "/clob/auth/ban-status/closed-only",
            signed(lambda request, key: Response(200, {"closed_only": False})),
        )
        router.add("POST", "/clob/v1/heartbeats", signed(self.heartbeat))
        router.add("POST", "/clob/heartbeats", signed(lambda request, key: Response(200, {"status": "ok"})))

    def orders(self, request: Request, key: PolymarketKey) -> Response:
        """Open orders, oldest first."""
        wanted, market, token = request.param("id"), request.param("market"), request.param("asset_id")
        rows = [
            order_object(ticket, self._exchange.markets[ticket.request.market_id])
            for ticket in self._exchange.open_tickets(key.account_id)
            if (not wanted or ticket.order_id == wanted)
            and (not market or ticket.request.market_id == market)
            and (not token or ticket.request.extra["token"] == token)
        ]
        return _paged(rows, request)

    def order(self, request: Request, key: PolymarketKey, order_id: str) -> Response:
        """One order, also when it is canceled or matched."""
        ticket = self._exchange.tickets.get(order_id)
        if ticket is None or ticket.request.account_id != key.account_id:
            return Response(404, {"error": "Order not found"})
        return Response(200, order_object(ticket, self._exchange.markets[ticket.request.market_id]))

    def trades(self, request: Request, key: PolymarketKey) -> Response:
        """Own trades, newest first."""
        wanted, market, token = request.param("id"), request.param("market"), request.param("asset_id")
        after, before = request.param("after", "0"), request.param("before", str(2**50))
        rows = []
        for trade in reversed(self._exchange.trades.values()):
            side = own_side(trade, key.account_id)
            if side is None or (wanted and trade.trade_id != wanted) or (market and trade.market_id != market):
                continue
            if not int(after) <= trade.at_ms // 1000 <= int(before):
                continue
            listed = self._exchange.markets[trade.market_id]
            if not token or token_of(listed, side.intent.outcome) == token:
                rows.append(self._face.trade_object(trade, side, listed))
        return _paged(rows, request)

    def balance(self, request: Request, key: PolymarketKey) -> Response:
        """What the wallet holds, not reduced by open orders; 1e-6 units as text."""
        account = self._exchange.accounts.accounts[key.account_id]
        held = account.cash_e6
        if request.param("asset_type").startswith("CONDITIONAL"):
            found = self._face.tokens.get(request.param("token_id"))
            if found is None:
                return Response(400, {"error": "assetAddress invalid token id"})
            listed, outcome = found
            position = account.positions.get(listed.market_id)
            held = position.held_e6(outcome) if position is not None else 0
        allowances = {EXCHANGE_V2: _ALLOWANCE, NEG_RISK_EXCHANGE_V2: _ALLOWANCE}
        return Response(200, {"balance": str(held), "allowances": allowances})

    def create_key(self, request: Request) -> Response:
        """Every known wallet has its key already, so a correct request is answered 400, as for a second key."""
        if self._wallet_key(request) is None:
            return Response(401, {"error": "Invalid L1 Request headers"})
        return Response(400, {"error": "Could not create api key"})

    def derive_key(self, request: Request) -> Response:
        """The credentials of the wallet that signed."""
        key = self._wallet_key(request)
        if key is None:
            return Response(401, {"error": "Invalid L1 Request headers"})
        return Response(200, {"apiKey": key.api_key, "secret": key.secret, "passphrase": key.passphrase})

    def heartbeat(self, request: Request, key: PolymarketKey) -> Response:
        """Arm or feed the dead-man switch; a wrong id is answered with the expected one."""
        try:
            given = str(orjson.loads(request.body).get("heartbeat_id") or "")
        except (ValueError, AttributeError):
            return Response(400, {"error": "Invalid payload"})
        known = self._face.heartbeats.get(key.account_id)
        if known is not None and given != known[0]:
            return Response(400, {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": known[0]})
        fresh = str(uuid.uuid4())
        self._face.heartbeats[key.account_id] = (fresh, self._face.now_ms())
        return Response(200, {"heartbeat_id": fresh})

    def _wallet_key(self, request: Request) -> PolymarketKey | None:
        address = l1_address(request, self._face.now_ms())
        if address is None:
            return None
        return next((key for key in self._face.keys.values() if key.address.lower() == address.lower()), None)


def _paged(rows: list[dict[str, Any]], request: Request) -> Response:
    cursor = request.param("next_cursor") or _FIRST_CURSOR
    if cursor == _LAST_CURSOR:
        return Response(400, {"error": "Invalid next_cursor"})
    try:
        start = int(base64.b64decode(cursor).decode())
    except (ValueError, binascii.Error):
        return Response(400, {"error": "Invalid next_cursor"})
    page = rows[start : start + _PAGE]
    end = start + _PAGE
    following = base64.b64encode(str(end).encode()).decode() if end < len(rows) else _LAST_CURSOR
    return Response(200, {"limit": _PAGE, "count": len(page), "next_cursor": following, "data": page})


def own_side(trade: Trade, account_id: str) -> TradeSide | None:
    """The account's side of a trade, the taker's when it is on both."""
    return next((side for side in (trade.taker, trade.maker) if side.account_id == account_id), None)


def order_object(ticket: Ticket, listed: ListedMarket) -> dict[str, Any]:
    """One order as /data/order shows it."""
    request = ticket.request
    return {
        "id": ticket.order_id,
        "status": _STATUS[ticket.status],
        "owner": request.extra["owner"],
        "maker_address": request.extra["maker"],
        "market": request.market_id,
        "asset_id": request.extra["token"],
        "side": request.intent.action.upper(),
        "original_size": size(request.size_e6),
        "size_matched": size(ticket.filled_e6),
        "price": PRICES[request.extra["price"]],
        "outcome": listed.market.outcomes[0 if request.intent.outcome == "yes" else 1],
        "expiration": request.extra["expiration"],
        "order_type": request.extra["kind"],
        "associate_trades": list(ticket.trade_ids),
        "created_at": ticket.created_ms // 1000,
    }


def maker_entry(trade: Trade, listed: ListedMarket, owner: str, address: str) -> dict[str, Any]:
    """The resting order of a trade; on the complementary outcome its price is 1 - p."""
    intent = trade.maker.intent
    price = trade.price_e4 if intent.outcome == "yes" else PRICE_ONE_E4 - trade.price_e4
    index = 0 if intent.outcome == "yes" else 1
    return {
        "order_id": maker_order_id(trade),
        "owner": owner,
        "maker_address": address,
        "matched_amount": size(trade.size_e6),
        "price": PRICES[price],
        "fee_rate_bps": "0",
        "asset_id": token_of(listed, intent.outcome),
        "outcome": listed.market.outcomes[index],
        "outcome_index": index,
        "side": intent.action.upper(),
    }


def maker_order_id(trade: Trade) -> str:
    """House orders get an id in the venue's form."""
    order_id = trade.maker.order_id
    return order_id if order_id.startswith("0x") else f"0x{hashlib.sha256(order_id.encode()).hexdigest()}"
