"""The Data API, version 2: positions, activity, trades and value of a wallet; unknown wallets are empty pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Account
from streams.sandbox.core.records import Trade, TradeSide
from streams.sandbox.http.server import Handler, Request, Response, Router
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.contracts import CHAIN_ID
from streams.sandbox.polymarket.data.objects import (
    inventory_row,
    position_rows,
    present_price_e4,
    redemption,
    trade_activity,
    trade_row,
)
from streams.sandbox.polymarket.data.paging import BadParameter, conditions, data_page, moment
from streams.sandbox.polymarket.formats import number
from streams.sandbox.polymarket.objects import event_number
from streams.sandbox.polymarket.own_objects import own_side, wallet_of

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_SORTS = {
    "CURRENT": "current_value",
    "CURRENT_VALUE": "current_value",
    "INITIAL": "entry_cost_usdc",
    "TOKENS": "current_size",
    "SIZE": "current_size",
    "CASHPNL": "total_pnl",
    "TOTAL_PNL": "total_pnl",
    "REALIZED_PNL": "realized_pnl",
    "UNREALIZED_PNL": "unrealized_pnl",
    "PERCENTPNL": "percent_pnl",
    "TITLE": "title",
    "PRICE": "current_price",
    "AVGPRICE": "avg_price",
}
_STATUSES = {"", "OPEN", "REDEEMABLE", "REDEEMABLE_LOST", "MERGEABLE", "CLOSED"}


class DataRest:
    """Handlers of public wallet data; nothing here is signed."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        routes: tuple[tuple[str, Callable[[Request], Response]], ...] = (
            ("positions", self.positions),
            ("activity", self.activity),
            ("trades", self.trades),
            ("value", self.value),
            ("approvals", self.approvals),
            ("positions/combos", self.nothing),
            ("activity/combos", self.nothing),
        )
        for path, handler in routes:
            router.add("GET", f"/data/v2/{path}", answering(handler))

    def positions(self, request: Request) -> Response:
        """One row per token a wallet holds or held, or of every wallet in one market."""
        wanted, status = conditions(request), request.param("status").upper()
        if status not in _STATUSES:
            raise BadParameter("invalid status", "status")
        user = request.param("user")
        if not user and len(wanted) != 1:
            raise BadParameter("must provide user or exactly one condition", "user")
        events, title = set(request.params("event_id")), request.param("title").lower()
        rows = [
            row
            for wallet, account in self._wallets(user)
            for row in position_rows(self._exchange, wallet, account)
            if (not wanted or row["condition_id"] in wanted)
            and (not events or row["event_id"] in events)
            and (not title or title in row["title"].lower())
            and _has_status(row, status)
        ]
        column = _SORTS.get(request.param("sort_by").upper(), "last_event_at")
        rows.sort(key=lambda row: row[column], reverse=request.param("sort_direction").upper() != "ASC")
        return data_page(rows, request)

    def activity(self, request: Request) -> Response:
        """Trades, redemptions, splits, merges and conversions, newest first."""
        user = request.param("user")
        kinds, wanted, side = set(request.params("type")), conditions(request), request.param("side").upper()
        events = set(request.params("event_id"))
        start, end = moment(request, "start"), moment(request, "end")
        rows = [
            row
            for wallet, account in self._wallets(user)
            for row in self._activity(wallet, account)
            if (not kinds or row["type"] in kinds)
            and (not wanted or row["condition_id"] in wanted)
            and (not side or row["side"] == side)
            and (not events or self._event_of(row) in events)
            and (start is None or row["timestamp"] >= start)
            and (end is None or row["timestamp"] <= end)
        ]
        rows.sort(key=lambda row: row["timestamp"])
        if request.param("sort_direction").upper() != "ASC":
            rows.reverse()
        return data_page(rows, request)

    def trades(self, request: Request) -> Response:
        """Trades of a wallet, or all public ones, newest first."""
        user, wanted, side = request.param("user"), conditions(request), request.param("side").upper()
        events = set(request.params("event_id"))
        start, end = moment(request, "start"), moment(request, "end")
        if user:
            rows = [
                trade_row(self._exchange, trade, own, user)
                for _, account in self._wallets(user)
                for trade, own in reversed(self._own_trades(account))
                if own is trade.taker or request.param("taker_only").lower() != "true"
            ]
        else:
            rows = [
                trade_row(self._exchange, trade, trade.taker, wallet_of(trade.taker.account_id))
                for trade in reversed(self._exchange.public_trades)
                if trade.market_id in (wanted or self._exchange.markets)
            ]
        return data_page(
            [
                row
                for row in rows
                if (not wanted or row["condition_id"] in wanted)
                and (not side or row["side"] == side)
                and (not events or self._event_of(row) in events)
                and (start is None or row["timestamp"] >= start)
                and (end is None or row["timestamp"] <= end)
            ],
            request,
        )

    def value(self, request: Request) -> Response:
        """What a wallet's positions are worth."""
        user = _user(request)
        wanted, total = conditions(request), 0
        for _, account in self._wallets(user):
            for market_id, position in account.positions.items():
                listed = self._exchange.markets.get(market_id)
                if listed is None or (wanted and market_id not in wanted):
                    continue
                yes = present_price_e4(listed, "yes")
                total += (position.yes_e6 * yes + position.no_e6 * (PRICE_ONE_E4 - yes)) // PRICE_ONE_E4
        return Response(200, {"data": {"proxy_wallet": user, "value": number(total)}})

    def approvals(self, request: Request) -> Response:
        """What a wallet allows the venue's contracts to move."""
        user = _user(request)
        body = {"address": user, "chain_id": CHAIN_ID, "contracts": self._face.allowances.rows(user)}
        return Response(200, {"data": body})

    def nothing(self, request: Request) -> Response:
        """Combos: there are none."""
        return data_page([], request)

    def _wallets(self, user: str) -> list[tuple[str, Account]]:
        """The wallet asked for, if it is known; every wallet from outside for an empty one."""
        now = self._face.now_ms()
        if user:
            known = account_of(user) in self._exchange.accounts.accounts
            return [(user, self._exchange.reads.account(account_of(user), now))] if known else []
        outside = [account for account in self._exchange.accounts.accounts.values() if not account.is_house]
        return [(wallet_of(a.account_id), self._exchange.reads.account(a.account_id, now)) for a in outside]

    def _own_trades(self, account: Account) -> list[tuple[Trade, TradeSide]]:
        trades = self._exchange.reads.trades(account.account_id, self._face.now_ms())
        found = ((trade, own_side(trade, {account.account_id})) for trade in trades)
        return [(trade, side) for trade, side in found if side is not None and trade.status != "FAILED"]

    def _activity(self, wallet: str, account: Account) -> list[dict[str, Any]]:
        now = self._face.now_ms()
        rows = [trade_activity(self._exchange, trade, side, wallet) for trade, side in self._own_trades(account)]
        rows += [redemption(self._exchange, p, wallet) for p in self._exchange.reads.payouts(account.account_id, now)]
        for owner, market_id, kind, size_e6, dollars_e6, at_s, hash_ in self._face.inventory.rows:
            if owner == account.account_id and market_id in self._exchange.markets:
                listed = self._exchange.markets[market_id]
                rows.append(inventory_row(listed, kind, size_e6, dollars_e6, at_s, hash_, wallet))
        return rows

    def _event_of(self, row: dict[str, Any]) -> str:
        return event_number(self._exchange.markets[row["condition_id"]].event.event_id)


def answering(handler: Callable[[Request], Response]) -> Handler:
    """Wrap a handler so that a parameter it cannot use is answered 400."""

    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except BadParameter as error:
            return error.response

    return answer


def _user(request: Request) -> str:
    user = request.param("user")
    if not user:
        raise BadParameter("required query param 'user' not provided", "user")
    return user


def _has_status(row: dict[str, Any], status: str) -> bool:
    if status == "MERGEABLE":
        return bool(row["mergeable"]) and row["status"] == "OPEN"
    if status == "REDEEMABLE_LOST":
        return row["status"] == "REDEEMABLE" and not row["current_price"]
    if status == "REDEEMABLE":
        return row["status"] == "REDEEMABLE" and bool(row["current_price"])
    return not status or row["status"] == status
