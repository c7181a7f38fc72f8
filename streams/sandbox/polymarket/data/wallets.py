"""The Data API, version 2: positions, activity, trades and value of a wallet; unknown wallets are empty pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Account
from streams.sandbox.core.records import Trade, TradeSide
from streams.sandbox.http.routes import Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.contracts import CHAIN_ID
from streams.sandbox.polymarket.data.objects import (
    activity_row,
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
from streams.sandbox.polymarket.venue import PolymarketVenue

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


def list_positions(venue: PolymarketVenue, request: Request) -> Response:
    """One row per token a wallet holds or held, or of every wallet in one market."""
    return data_page(positions(venue, request), request)


def list_activity(venue: PolymarketVenue, request: Request) -> Response:
    """Trades, redemptions, splits, merges and conversions, newest first."""
    return data_page(activity(venue, request), request)


def list_trades(venue: PolymarketVenue, request: Request) -> Response:
    """Trades of a wallet, or all public ones, newest first."""
    return data_page(trades(venue, request), request)


def get_value(venue: PolymarketVenue, request: Request) -> Response:
    """What a wallet's positions are worth."""
    user = _user(request)
    return Response(200, {"data": {"proxy_wallet": user, "value": value(venue, user, conditions(request))}})


def get_approvals(venue: PolymarketVenue, request: Request) -> Response:
    """What a wallet allows the venue's contracts to move."""
    user = _user(request)
    body = {"address": user, "chain_id": CHAIN_ID, "contracts": venue.allowances.rows(user)}
    return Response(200, {"data": body})


def list_combos(venue: PolymarketVenue, request: Request) -> Response:
    """There are none."""
    return data_page([], request)


# -- rows -------------------------------------------------------------------------------------------------------------


def positions(venue: PolymarketVenue, request: Request) -> list[dict[str, Any]]:
    """The rows of `list_positions`, all pages.

    Raises:
        BadParameter: For an unknown status, or for neither a wallet nor a market.
    """
    wanted, status = conditions(request), request.param("status").upper()
    if status not in _STATUSES:
        raise BadParameter("invalid status", "status")
    user = request.param("user")
    if not user and len(wanted) != 1:
        raise BadParameter("must provide user or exactly one condition", "user")
    events, title = set(request.params("event_id")), request.param("title").lower()
    rows = [
        row
        for wallet, account in _wallets(venue, user)
        for row in position_rows(venue.exchange, wallet, account)
        if (not wanted or row["condition_id"] in wanted)
        and (not events or row["event_id"] in events)
        and (not title or title in row["title"].lower())
        and _has_status(row, status)
    ]
    column = _SORTS.get(request.param("sort_by").upper(), "last_event_at")
    rows.sort(key=lambda row: row[column], reverse=request.param("sort_direction").upper() != "ASC")
    return rows


def activity(venue: PolymarketVenue, request: Request) -> list[dict[str, Any]]:
    """The rows of `list_activity`, all pages.

    Raises:
        BadParameter: For a time that is none.
    """
    kinds, fits = set(request.params("type")), _filter(venue, request)
    rows = [
        row
        for wallet, account in _wallets(venue, request.param("user"))
        for row in _activity(venue, wallet, account)
        if (not kinds or row["type"] in kinds) and fits(row)
    ]
    rows.sort(key=lambda row: row["timestamp"])
    if request.param("sort_direction").upper() != "ASC":
        rows.reverse()
    return rows


def trades(venue: PolymarketVenue, request: Request) -> list[dict[str, Any]]:
    """The rows of `list_trades`, all pages.

    Raises:
        BadParameter: For a time that is none.
    """
    user, wanted, exchange = request.param("user"), conditions(request), venue.exchange
    fits = _filter(venue, request)
    if user:
        rows = [
            trade_row(exchange, trade, own, user)
            for _, account in _wallets(venue, user)
            for trade, own in reversed(_own_trades(venue, account))
            if own is trade.taker or request.param("taker_only").lower() != "true"
        ]
    else:
        rows = [
            trade_row(exchange, trade, trade.taker, wallet_of(trade.taker.account_id))
            for trade in reversed(exchange.state.public_trades)
            if trade.market_id in (wanted or exchange.state.markets)
        ]
    return [row for row in rows if fits(row)]


def value(venue: PolymarketVenue, user: str, wanted: set[str]) -> float:
    """What a wallet's positions are worth, in the markets that are named or in all; dollars."""
    total = 0
    for _, account in _wallets(venue, user):
        for market_id, position in account.positions.items():
            listed = venue.exchange.state.markets.get(market_id)
            if listed is None or (wanted and market_id not in wanted):
                continue
            yes = present_price_e4(listed, "yes")
            total += (position.yes_e6 * yes + position.no_e6 * (PRICE_ONE_E4 - yes)) // PRICE_ONE_E4
    return number(total)


def _filter(venue: PolymarketVenue, request: Request) -> Callable[[dict[str, Any]], bool]:
    """What markets, side, events and times mean for a row of a trade or an activity."""
    wanted, side, events = conditions(request), request.param("side").upper(), set(request.params("event_id"))
    start, end = moment(request, "start"), moment(request, "end")

    def fits(row: dict[str, Any]) -> bool:
        return (
            (not wanted or row["condition_id"] in wanted)
            and (not side or row["side"] == side)
            and (not events or _event_of(venue, row) in events)
            and (start is None or row["timestamp"] >= start)
            and (end is None or row["timestamp"] <= end)
        )

    return fits


def _wallets(venue: PolymarketVenue, user: str) -> list[tuple[str, Account]]:
    """The wallet asked for, if it is known; every wallet from outside for an empty one."""
    exchange, now = venue.exchange, venue.now_ms()
    if user:
        known = account_of(user) in exchange.state.accounts.accounts
        return [(user, exchange.replica.account(account_of(user), now))] if known else []
    outside = [account for account in exchange.state.accounts.accounts.values() if not account.is_house]
    return [(wallet_of(a.account_id), exchange.replica.account(a.account_id, now)) for a in outside]


def _own_trades(venue: PolymarketVenue, account: Account) -> list[tuple[Trade, TradeSide]]:
    found = (
        (trade, own_side(trade, {account.account_id}))
        for trade in venue.exchange.replica.trades(account.account_id, venue.now_ms())
    )
    return [(trade, side) for trade, side in found if side is not None and trade.status != "FAILED"]


def _activity(venue: PolymarketVenue, wallet: str, account: Account) -> list[dict[str, Any]]:
    exchange = venue.exchange
    rows = [trade_activity(exchange, trade, side, wallet) for trade, side in _own_trades(venue, account)]
    payouts = exchange.replica.payouts(account.account_id, venue.now_ms())
    rows += [redemption(exchange, payout, wallet) for payout in payouts]
    for done in venue.activities:
        if done.account_id == account.account_id and done.market_id in exchange.state.markets:
            rows.append(activity_row(exchange.state.markets[done.market_id], done, wallet))
    return rows


def _event_of(venue: PolymarketVenue, row: dict[str, Any]) -> str:
    return event_number(venue.exchange.state.markets[row["condition_id"]].event.event_id)


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


ROUTES: list[Route[PolymarketVenue]] = [
    Route("GET", "/v2/positions", list_positions),
    Route("GET", "/v2/activity", list_activity),
    Route("GET", "/v2/trades", list_trades),
    Route("GET", "/v2/value", get_value),
    Route("GET", "/v2/approvals", get_approvals),
    Route("GET", "/v2/positions/combos", list_combos),
    Route("GET", "/v2/activity/combos", list_combos),
]
