"""Exchanges to JSON values and back: what the journal stores and how a resumed sandbox is made from it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from streams.market.fees import KalshiFeeSchedule, KalshiOrderFees
from streams.market.identity import Venue
from streams.sandbox.accounts import account_state, restore_account
from streams.sandbox.engine import Order
from streams.sandbox.exchange import Exchange
from streams.sandbox.model import CatalogueEvent, CatalogueMarket, ListMarket
from streams.sandbox.records import Changes, ListedMarket, Payout, Ticket, Trade


def listing_state(listed: ListedMarket) -> dict[str, Any]:
    """Return a listing as values that orjson writes (dataclasses and times included)."""
    return {"event": listed.event, "market": listed.market, "listed_ms": listed.listed_ms}


def listing_from(state: dict[str, Any]) -> ListMarket:
    """Build the listing act that `listing_state` wrote."""
    event = {**state["event"], "venue": Venue(state["event"]["venue"])}
    market = dict(state["market"])
    market["venue"] = Venue(market["venue"])
    for name in ("open_time", "close_time"):
        market[name] = datetime.fromisoformat(market[name])
    market["price_ranges"] = tuple((a, b, c) for a, b, c in market["price_ranges"])
    for name in ("outcomes", "derived_fields"):
        market[name] = tuple(market[name])
    return ListMarket(CatalogueEvent(**event), CatalogueMarket(**market))


def exchange_state(exchange: Exchange) -> dict[str, Any]:
    """Return everything of an exchange that listings do not say. House positions are not kept: they owe nothing."""
    return {
        "markets": [listed.state() for listed in exchange.markets.values()],
        "accounts": [account_state(a) for a in exchange.accounts.accounts.values() if not a.is_house],
        "tickets": [ticket.state() for ticket in exchange.tickets.values()],
        "trades": [trade.state() for trade in exchange.trades.values()],
        "payouts": [asdict(payout) for payout in exchange.payouts],
        "house": [
            [o.account, o.client_order_id, o.market_id, o.side, o.price_e4, o.remaining_e6]
            for o in exchange.engine.orders.values()
            if o.is_house
        ],
    }


def take_changes(exchange: Exchange) -> dict[str, Any] | None:
    """Return what changed since the last call as a tail record, None when nothing did; listings are not in it."""
    changes = exchange.changes
    if not changes:
        return None
    exchange.changes = Changes()
    return {
        "venue": exchange.venue,
        "markets": [exchange.markets[market_id].state() for market_id in sorted(changes.markets)],
        "accounts": [
            account_state(exchange.accounts.accounts[account_id], markets)
            for account_id, markets in changes.accounts.items()
        ],
        "tickets": [exchange.tickets[order_id].state() for order_id in sorted(changes.tickets)],
        "trades": [trade.state() for trade in changes.trades.values()],
        "payouts": [asdict(payout) for payout in changes.payouts],
    }


def apply_state(exchange: Exchange, state: dict[str, Any]) -> None:
    """Take over the values of a snapshot or a tail record; newer ones win over older ones."""
    for market in state["markets"]:
        if market["market_id"] in exchange.markets:
            exchange.markets[market["market_id"]].restore(market)
    for account in state["accounts"]:
        restore_account(exchange.accounts.open_account(account["account_id"], 0), account)
    for ticket in state["tickets"]:
        record = Ticket.from_state(ticket)
        exchange.tickets[record.order_id] = record
    for trade in state["trades"]:
        made = Trade.from_state(trade)
        exchange.trades[made.trade_id] = made
    known = {payout.transaction_id for payout in exchange.payouts}
    for payout in state["payouts"]:
        if payout["transaction_id"] not in known:
            exchange.payouts.append(Payout(**payout))


def reopen_books(exchange: Exchange, house: list[list[Any]], now_ms: int) -> int:
    """Put resting orders back after everything else is restored; returns how many house quotes had to go.

    External orders come first, then the snapshot's house quotes, which are a little older: those that would cross what
    is there, or whose market has closed since, are left out.
    """
    for ticket in exchange.tickets.values():
        if ticket.status != "resting":
            continue
        exchange.resting[ticket.order_id] = ticket
        exchange.engine.rest(_order_of(ticket))
        schedule = exchange.markets[ticket.request.market_id].schedule
        if isinstance(schedule, KalshiFeeSchedule):
            exchange.accounts.order_fees[ticket.order_id] = KalshiOrderFees(schedule, ticket.fee_remainder_e6)
    left_out = 0
    for account, key, market_id, side, price_e4, remaining_e6 in house:
        book = exchange.engine.books.get(market_id)
        against = None if book is None else (book.best_ask if side == "bid" else book.best_bid)
        crosses = against is not None and (price_e4 >= against if side == "bid" else price_e4 <= against)
        if book is None or not book.is_open or crosses:
            left_out += 1
            continue
        order = Order(
            f"{account}/{key}", account, market_id, side, price_e4, remaining_e6, remaining_e6,
            self_trade="maker", is_house=True, client_order_id=key,
        )  # fmt: skip
        exchange.engine.rest(order)
    exchange.engine.drain()
    exchange.unsettled = {t.trade_id: t for t in exchange.trades.values() if t.status in ("MATCHED", "MINED")}
    for listed in exchange.markets.values():
        listed.quoted = (listed.book.best_bid, listed.book.best_ask)
        if listed.status == "open":
            listed.history.quote(now_ms, listed.book.best_bid or 0, listed.book.best_ask or 10_000)
    exchange.changes = Changes()
    return left_out


def _order_of(ticket: Ticket) -> Order:
    request = ticket.request
    return Order(
        request.order_id, request.account_id, request.market_id, request.side, request.price_e4, request.size_e6,
        ticket.remaining_e6, request.tif, request.is_post_only, request.self_trade, request.expires_ms,
        client_order_id=request.client_order_id,
    )  # fmt: skip
