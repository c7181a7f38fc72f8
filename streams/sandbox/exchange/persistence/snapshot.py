"""Exchanges to what the journal stores, and back.

States hold the records themselves, which orjson writes as objects; they must be written before anything changes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from streams.market.fees import KalshiFeeSchedule
from streams.market.identity import Venue
from streams.market.units import cash_e6_of
from streams.sandbox.core.accounts import account_state, restore_account
from streams.sandbox.core.book import Order
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket, ListMarket
from streams.sandbox.core.records import Changes, ListedMarket, OrderRecord, Payout, Trade
from streams.sandbox.exchange.exchange import Exchange, participant_order_id
from streams.sandbox.exchange.order_entry import engine_order
from streams.sandbox.exchange.state import ExchangeState


def listing_state(listed: ListedMarket) -> dict[str, Any]:
    """Return a listing as values that orjson writes (dataclasses and times included)."""
    return {"event": listed.event, "market": listed.market, "listed_ms": listed.listed_ms, "number": listed.number}


def listing_from(state: dict[str, Any]) -> ListMarket:
    """Build the listing that `listing_state` wrote."""
    event = {**state["event"], "venue": Venue(state["event"]["venue"])}
    market = dict(state["market"])
    market["venue"] = Venue(market["venue"])
    for name in ("open_time", "close_time"):
        market[name] = datetime.fromisoformat(market[name])
    market["price_ranges"] = tuple((a, b, c) for a, b, c in market["price_ranges"])
    for name in ("outcomes", "derived_fields"):
        market[name] = tuple(market[name])
    return ListMarket(CatalogueEvent(**event), CatalogueMarket(**market))


def restore_listing(exchange: Exchange, state: dict[str, Any]) -> None:
    """List a market as `listing_state` wrote it."""
    exchange.lifecycle.list_market(listing_from(state), int(state["listed_ms"]), int(state["number"]))


def exchange_state(exchange: Exchange) -> dict[str, Any]:
    """Return everything of an exchange that listings do not say.

    House positions and escrow are not in it: they follow from the positions of the others (`reopen_books`).
    """
    held = exchange.state
    waiting = {participant_order_id(action.account, action.order_key) for action in held.waiting_cancels}
    return {
        "is_whole": True,
        "counts": _counts(held),
        "markets": [listed.state() for listed in held.markets.values()],
        "accounts": [account_state(a) for a in held.accounts.accounts.values() if not a.is_house],
        "tickets": list(held.orders.values()),
        "trades": list(held.trades.values()),
        "payouts": list(held.payouts),
        "fees_e6": held.accounts.fees_e6,
        "shortfall_e6": held.accounts.shortfall_e6,
        "mode": _mode_state(held),
        "face": held.saved,
        "house": [
            [o.account, o.client_order_id, o.market_id, o.side, o.price_e4, o.remaining_e6, o.sequence]
            for o in held.engine.orders.values()
            if o.is_house and o.order_id not in waiting
        ],
    }


def take_changes(exchange: Exchange) -> dict[str, Any] | None:
    """Return what changed since the last call as a tail record, None when nothing did; listings are not in it."""
    held = exchange.state
    changes = held.changes
    if not changes:
        return None
    held.changes = Changes()
    record: dict[str, Any] = {
        "venue": held.venue,
        "counts": _counts(held),
        "markets": [held.markets[market_id].state() for market_id in sorted(changes.markets)],
        "accounts": [
            account_state(held.accounts.accounts[account_id], markets)
            for account_id, markets in changes.accounts.items()
        ],
        "tickets": [held.orders[order_id] for order_id in sorted(changes.orders)],
        "trades": list(changes.trades.values()),
        "payouts": changes.payouts,
        "fees_e6": held.accounts.fees_e6,
        "shortfall_e6": held.accounts.shortfall_e6,
    }
    if changes.evicted:
        record["forgotten"] = changes.evicted
    if changes.mode:
        record["mode"] = _mode_state(held)
    if changes.saved:
        record["face"] = held.saved
    return record


def _counts(held: ExchangeState) -> list[int]:
    return [
        held.listed_count,
        held.order_count,
        held.trade_count,
        held.payout_count,
    ]


def _mode_state(held: ExchangeState) -> list[Any]:
    return [held.mode, held.mode_until_ms, held.mode_then]


def apply_state(exchange: Exchange, state: dict[str, Any]) -> None:
    """Take over the values of a snapshot or a tail record; newer ones win over older ones."""
    held = exchange.state
    _apply_records(held, state)
    held.accounts.fees_e6 = state["fees_e6"]
    held.accounts.shortfall_e6 = state.get("shortfall_e6", 0)
    listed, held.order_count, held.trade_count, held.payout_count = state["counts"]
    held.listed_count = max(held.listed_count, listed)
    if "mode" in state:
        held.mode, held.mode_until_ms, held.mode_then = state["mode"]
    if "face" in state:
        held.saved = state["face"]
    for market_id in _evicted(held, state):
        exchange.evict_market(market_id)


def _apply_records(held: ExchangeState, state: dict[str, Any]) -> None:
    for market in state["markets"]:
        if market["market_id"] in held.markets:
            held.markets[market["market_id"]].restore(market)
    for account in state["accounts"]:
        restore_account(held.accounts.open_account(account["account_id"], 0), account)
    for record in state["tickets"]:
        record = OrderRecord.from_state(record)
        held.orders[record.order_id] = record
    for trade in state["trades"]:
        made = Trade.from_state(trade)
        held.trades[made.trade_id] = made
    known = {payout.transaction_id for payout in held.payouts}
    for payout in state["payouts"]:
        if payout["transaction_id"] not in known:
            held.payouts.append(Payout(**payout))


def _evicted(held: ExchangeState, state: dict[str, Any]) -> list[str]:
    """The markets a record dropped; a snapshot does not name those that were gone when it was written."""
    if "is_whole" not in state:
        return list(state.get("forgotten", ()))
    kept, listed_then = {market["market_id"] for market in state["markets"]}, state["counts"][0]
    return [m.market_id for m in held.markets.values() if m.number <= listed_then and m.market_id not in kept]


def reopen_books(exchange: Exchange, house: list[list[Any]], now_ms: int) -> int:
    """Put resting orders back after everything else is restored; returns how many simulated quotes had to go.

    Every order takes its old place in its queue. The simulated quotes are the snapshot's, a little older than the
    external orders: those that would cross one, or whose market has closed since, are left out.
    """
    held = exchange.state
    resting = [_order_of(record) for record in held.orders.values() if record.status == "resting"]
    kept = [order for order in map(_participant_order, house) if _fits(held, order, resting)]
    for order in sorted(resting + kept, key=lambda order: order.sequence):
        held.engine.rest(order)
    held.engine.events.clear()
    for record in held.orders.values():
        if not record.is_open:
            continue
        (held.resting if record.status == "resting" else held.delayed)[record.order_id] = record
        schedule = held.markets[record.request.market_id].schedule
        if isinstance(schedule, KalshiFeeSchedule):
            account = held.accounts.accounts[record.request.account_id]
            held.accounts.fees_of_order(account, record.order_id, schedule, record.fee_remainder_e6)
    for trade in held.trades.values():
        if trade.status in ("MATCHED", "MINED", "RETRYING"):
            held.unsettled[trade.trade_id] = trade
    for trade in sorted(held.trades.values(), key=lambda trade: trade.number):
        held.print_trade(held.markets[trade.market_id], trade)
    for listed in held.markets.values():
        listed.quoted = (listed.book.best_bid, listed.book.best_ask)
        if listed.status == "open":
            listed.history.quote(now_ms, listed.book.best_bid or 0, listed.book.best_ask or 10_000)
    _derive_participants(held)
    held.reseed(now_ms)
    exchange.replica.prepare(now_ms)
    held.changes = Changes()
    return len(house) - len(kept)


def _fits(held: ExchangeState, order: Order, resting: list[Order]) -> bool:
    if order.market_id not in held.markets or held.markets[order.market_id].status not in (
        "open",
        "paused",
    ):
        return False
    against = [o.price_e4 for o in resting if o.market_id == order.market_id and o.side != order.side]
    if not against:
        return True
    return order.price_e4 < min(against) if order.side == "bid" else order.price_e4 > max(against)


def _derive_participants(held: ExchangeState) -> None:
    """Give one simulated participant the counterpart of all others: positions, escrow, and the cash that is left.

    Which maker held what is not kept; what all of them hold together follows from the external accounts, as there are
    as many YES as NO, a dollar in escrow for each, and no cash but what was deposited.
    """
    accounts = held.accounts
    house = accounts.participant("house")
    for market_id, listed in held.markets.items():
        positions = [a.positions[market_id] for a in accounts.accounts.values() if market_id in a.positions]
        yes, no = sum(p.yes_e6 for p in positions), sum(p.no_e6 for p in positions)
        if listed.status == "settled":
            settlement = listed.settlement_e4 or 0
            accounts.escrow_e6[market_id] = sum(
                cash_e6_of(settlement, p.yes_e6, paying=False) + cash_e6_of(10_000 - settlement, p.no_e6, paying=False)
                for p in positions
            )
        elif yes or no:
            accounts.escrow_e6[market_id] = max(yes, no)
            if yes != no:
                house.position(market_id).change("no" if yes > no else "yes", abs(yes - no), 0)
    deposited = sum(account.deposited_e6 for account in accounts.accounts.values())
    house.add_cash(0, deposited - accounts.total_e6())


def _participant_order(row: list[Any]) -> Order:
    account, key, market_id, side, price_e4, remaining_e6, sequence = row
    return Order(
        participant_order_id(account, key), account, market_id, side, price_e4, remaining_e6, remaining_e6,
        self_trade="maker", is_house=True, client_order_id=key, sequence=sequence,
    )  # fmt: skip


def _order_of(record: OrderRecord) -> Order:
    order = engine_order(record.request)
    order.remaining_e6, order.sequence = record.remaining_e6, record.sequence
    return order
