"""The CLOB's private reads: own orders, own trades, balances. Orders and trades lag behind what was done."""

from __future__ import annotations

from streams.sandbox.core.records import ListedMarket, OrderRecord, Trade, TradeSide
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.contracts import COLLATERAL, CONDITIONAL_TOKENS, POSITION_MANAGER
from streams.sandbox.polymarket.formats import clob_page, parsed
from streams.sandbox.polymarket.own_objects import order_object, own_side, trade_object
from streams.sandbox.polymarket.venue import PolymarketVenue

_PAGE = 100
_ASSETS = {"COLLATERAL": COLLATERAL, "CONDITIONAL": CONDITIONAL_TOKENS, "CONDITIONAL-V2": POSITION_MANAGER}
_SIGNATURE_TYPES = ("0", "1", "2", "3")
_OPEN = ("resting", "delayed")


def list_orders(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Open orders, oldest first."""
    order_id, market, token = request.param("id"), request.param("market"), request.param("asset_id")
    exchange, now = venue.exchange, venue.now_ms()
    rows = [
        record
        for account_id in sorted(venue.keyring.accounts(key))
        for record in exchange.replica.orders(account_id, now)
        if record.status in _OPEN
        and record.request.extra["owner"] == key.api_key
        and (not order_id or record.order_id == order_id)
        and (not market or record.request.market_id == market)
        and (not token or record.request.extra["token"] == token)
    ]
    rows.sort(key=lambda record: record.created_ms)
    return clob_page(rows, request, _PAGE, lambda record: _order_row(exchange, record))


def list_nothing(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """A list that is empty here: orders wiped by the venue's migration, trades of a builder."""
    rows: list[OrderRecord] = []
    return clob_page(rows, request, _PAGE, lambda record: _order_row(venue.exchange, record))


def get_order(venue: PolymarketVenue, request: Request, key: PolymarketKey, order_id: str) -> Response:
    """One order, also when it is canceled or matched."""
    record = venue.exchange.replica.order(order_id, venue.now_ms())
    if record is None or record.request.extra["owner"] != key.api_key:
        return Response(404, {"error": "Order not found"})
    return Response(200, _order_row(venue.exchange, record))


def list_trades(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Own trades, newest first."""
    for name in ("after", "before"):
        if request.param(name) and not request.param(name).isdecimal():
            return Response(400, {"error": f"invalid {name}"})
    after, before = int(request.param("after") or 0), int(request.param("before") or 2**50)
    exchange, accounts, now = venue.exchange, venue.keyring.accounts(key), venue.now_ms()
    known: dict[str, Trade] = {}
    for account_id in accounts:
        known |= {trade.trade_id: trade for trade in exchange.replica.trades(account_id, now)}
    rows: list[tuple[Trade, TradeSide, ListedMarket]] = []
    for trade in known.values():
        side = own_side(trade, accounts)
        listed = exchange.state.markets[trade.market_id]
        if side is not None and after <= trade.at_ms // 1000 <= before and _fits(exchange, trade, side, request):
            rows.append((trade, side, listed))
    rows.sort(key=lambda row: row[0].at_ms, reverse=True)
    return clob_page(rows, request, _PAGE, lambda row: _trade_row(exchange, *row))


def _fits(exchange: Exchange, trade: Trade, side: TradeSide, request: Request) -> bool:
    """Whether a trade is among those a request asks for."""
    trade_id, market, token = request.param("id"), request.param("market"), request.param("asset_id")
    wallet = request.param("maker_address")
    record = exchange.state.orders.get(side.order_id)
    own = record.request.extra if record is not None else {}
    return (
        (not trade_id or trade.trade_id == trade_id)
        and (not market or trade.market_id == market)
        and (not token or own.get("token") == token)
        and (not wallet or str(own.get("maker", "")).lower() == wallet.lower())
    )


def list_notifications(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """There are none."""
    return Response(200, [])


def drop_notifications(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """There are none to drop."""
    return Response(200, "OK")


def get_scoring(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Whether an order earns rewards: none does here."""
    return Response(200, {"scoring": False})


def get_scorings(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Whether orders earn rewards: none does here."""
    ids = parsed(request.body)
    if not isinstance(ids, list):
        return Response(400, {"error": "Invalid payload"})
    return Response(200, {str(order_id): False for order_id in ids})


def get_rebates(venue: PolymarketVenue, request: Request) -> Response:
    """Nobody has rebates to come."""
    return Response(200, b"null")


def get_balance(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """What a wallet holds, not reduced by open orders; 1e-6 units as text."""
    asset, kind = request.param("asset_type"), request.param("signature_type") or "0"
    if asset not in _ASSETS or kind not in _SIGNATURE_TYPES:
        return Response(400, {"error": "Invalid asset type" if asset not in _ASSETS else "Invalid signature_type"})
    wallet = venue.keyring.wallet(key, int(kind))
    account_id = venue.keyring.open_account(wallet)
    now = venue.now_ms()
    if asset == "COLLATERAL":
        held = venue.balances.dollars(account_id, now)
    else:
        found = venue.tokens.get(request.param("token_id"))
        if found is None:
            return Response(400, {"error": "assetAddress invalid token id"})
        held = venue.balances.tokens(account_id, *found, now)
    venue.commit()
    allowances = venue.allowances.by_spender(wallet, _ASSETS[asset])
    return Response(200, {"balance": str(held), "allowances": allowances})


def update_balance(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Read the chain again."""
    kind = request.param("signature_type") or "0"
    if kind not in _SIGNATURE_TYPES:
        return Response(400, {"error": "Invalid signature_type"})
    venue.balances.refresh(venue.keyring.open_account(venue.keyring.wallet(key, int(kind))))
    venue.commit()
    return Response(200, "")


def _order_row(exchange: Exchange, record: OrderRecord) -> dict[str, object]:
    return order_object(record, exchange.state.markets[record.request.market_id])


def _trade_row(exchange: Exchange, trade: Trade, side: TradeSide, listed: ListedMarket) -> dict[str, object]:
    row = trade_object(exchange, trade, side, listed)
    return {**row, "status": f"TRADE_STATUS_{row['status']}"}


ROUTES: list[Route[PolymarketVenue]] = [
    Route("GET", "/data/orders", list_orders, Access.SIGNED),
    Route("GET", "/data/pre-migration-orders", list_nothing, Access.SIGNED),
    Route("GET", "/data/order/{order_id}", get_order, Access.SIGNED),
    Route("GET", "/data/trades", list_trades, Access.SIGNED),
    Route("GET", "/builder/trades", list_nothing, Access.SIGNED),
    Route("GET", "/notifications", list_notifications, Access.SIGNED),
    Route("DELETE", "/notifications", drop_notifications, Access.SIGNED),
    Route("GET", "/order-scoring", get_scoring, Access.SIGNED),
    Route("POST", "/orders-scoring", get_scorings, Access.SIGNED),
    Route("GET", "/rebates/current", get_rebates),
    Route("GET", "/balance-allowance", get_balance, Access.SIGNED),
    Route("GET", "/balance-allowance/update", update_balance, Access.SIGNED),
]
