"""The CLOB's private reads: own orders, own trades, balances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sandbox.core.records import ListedMarket, Ticket, Trade, TradeSide
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.contracts import COLLATERAL, CONDITIONAL_TOKENS, POSITION_MANAGER
from streams.sandbox.polymarket.formats import clob_page, parsed
from streams.sandbox.polymarket.own_objects import order_object, own_side, trade_object

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_PAGE = 100
_ASSETS = {"COLLATERAL": COLLATERAL, "CONDITIONAL": CONDITIONAL_TOKENS, "CONDITIONAL-V2": POSITION_MANAGER}
_OPEN = ("resting", "delayed")


class LedgerRest:
    """Handlers that read an account. Orders and trades lag behind what was done."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("GET", "/clob/data/orders", signed(self.orders))
        router.add("GET", "/clob/data/pre-migration-orders", signed(self.nothing))
        router.add("GET", "/clob/data/order/{order_id}", signed(self.order))
        router.add("GET", "/clob/data/trades", signed(self.trades))
        router.add("GET", "/clob/builder/trades", signed(self.nothing))
        router.add("GET", "/clob/notifications", signed(lambda request, key: Response(200, [])))
        router.add("DELETE", "/clob/notifications", signed(lambda request, key: Response(200, "OK")))
        router.add("GET", "/clob/order-scoring", signed(lambda request, key: Response(200, {"scoring": False})))
        router.add("POST", "/clob/orders-scoring", signed(self.scoring))
        router.add("GET", "/clob/rebates/current", lambda request: Response(200, b"null"))
        router.add("GET", "/clob/balance-allowance", signed(self.balance))
        router.add("GET", "/clob/balance-allowance/update", signed(self.update_balance))

    def orders(self, request: Request, key: PolymarketKey) -> Response:
        """Open orders, oldest first."""
        wanted, market, token = request.param("id"), request.param("market"), request.param("asset_id")
        now = self._face.now_ms()
        rows = [
            ticket
            for account_id in sorted(self._face.ring.accounts(key))
            for ticket in self._exchange.reads.tickets(account_id, now)
            if ticket.status in _OPEN
            and ticket.request.extra["owner"] == key.api_key
            and (not wanted or ticket.order_id == wanted)
            and (not market or ticket.request.market_id == market)
            and (not token or ticket.request.extra["token"] == token)
        ]
        rows.sort(key=lambda ticket: ticket.created_ms)
        return clob_page(rows, request, _PAGE, self._order_row)

    def nothing(self, request: Request, key: PolymarketKey) -> Response:
        """A list that is empty here: orders wiped by the venue's migration, trades of a builder."""
        rows: list[Ticket] = []
        return clob_page(rows, request, _PAGE, self._order_row)

    def scoring(self, request: Request, key: PolymarketKey) -> Response:
        """Whether orders earn rewards: none does here."""
        ids = parsed(request.body)
        if not isinstance(ids, list):
            return Response(400, {"error": "Invalid payload"})
        return Response(200, {str(order_id): False for order_id in ids})

    def order(self, request: Request, key: PolymarketKey, order_id: str) -> Response:
        """One order, also when it is canceled or matched."""
        ticket = self._exchange.reads.ticket(order_id, self._face.now_ms())
        if ticket is None or ticket.request.extra["owner"] != key.api_key:
            return Response(404, {"error": "Order not found"})
        return Response(200, self._order_row(ticket))

    def trades(self, request: Request, key: PolymarketKey) -> Response:
        """Own trades, newest first."""
        for name in ("after", "before"):
            if request.param(name) and not request.param(name).isdecimal():
                return Response(400, {"error": f"invalid {name}"})
        after, before = int(request.param("after") or 0), int(request.param("before") or 2**50)
        accounts, now = self._face.ring.accounts(key), self._face.now_ms()
        known: dict[str, Trade] = {}
        for account_id in accounts:
            known |= {trade.trade_id: trade for trade in self._exchange.reads.trades(account_id, now)}
        rows: list[tuple[Trade, TradeSide, ListedMarket]] = []
        for trade in known.values():
            side = own_side(trade, accounts)
            listed = self._exchange.markets[trade.market_id]
            if side is not None and after <= trade.at_ms // 1000 <= before and self._is_wanted(trade, side, request):
                rows.append((trade, side, listed))
        rows.sort(key=lambda row: row[0].at_ms, reverse=True)
        return clob_page(rows, request, _PAGE, lambda row: self._trade_row(*row))

    def _is_wanted(self, trade: Trade, side: TradeSide, request: Request) -> bool:
        wanted, market, token = request.param("id"), request.param("market"), request.param("asset_id")
        wallet = request.param("maker_address")
        ticket = self._exchange.tickets.get(side.order_id)
        own = ticket.request.extra if ticket is not None else {}
        return (
            (not wanted or trade.trade_id == wanted)
            and (not market or trade.market_id == market)
            and (not token or own.get("token") == token)
            and (not wallet or str(own.get("maker", "")).lower() == wallet.lower())
        )

    def balance(self, request: Request, key: PolymarketKey) -> Response:
        """What a wallet holds, not reduced by open orders; 1e-6 units as text."""
        asset, kind = request.param("asset_type"), request.param("signature_type") or "0"
        if asset not in _ASSETS or kind not in ("0", "1", "2", "3"):
            return Response(400, {"error": "Invalid asset type" if asset not in _ASSETS else "Invalid signature_type"})
        wallet = self._face.ring.wallet(key, int(kind))
        account_id = self._face.ring.open_account(wallet)
        now = self._face.now_ms()
        if asset == "COLLATERAL":
            held = self._face.balances.dollars(account_id, now)
        else:
            found = self._face.tokens.get(request.param("token_id"))
            if found is None:
                return Response(400, {"error": "assetAddress invalid token id"})
            held = self._face.balances.tokens(account_id, *found, now)
        self._face.commit()
        allowances = self._face.allowances.by_spender(wallet, _ASSETS[asset])
        return Response(200, {"balance": str(held), "allowances": allowances})

    def update_balance(self, request: Request, key: PolymarketKey) -> Response:
        """Read the chain again."""
        kind = request.param("signature_type") or "0"
        if kind not in ("0", "1", "2", "3"):
            return Response(400, {"error": "Invalid signature_type"})
        self._face.balances.refresh(self._face.ring.open_account(self._face.ring.wallet(key, int(kind))))
        self._face.commit()
        return Response(200, "")

    def _order_row(self, ticket: Ticket) -> dict[str, object]:
        return order_object(ticket, self._exchange.markets[ticket.request.market_id])

    def _trade_row(self, trade: Trade, side: TradeSide, listed: ListedMarket) -> dict[str, object]:
        row = trade_object(self._exchange, trade, side, listed)
        return {**row, "status": f"TRADE_STATUS_{row['status']}"}
