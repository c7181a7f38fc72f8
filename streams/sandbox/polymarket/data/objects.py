"""The rows of the Data API. Numbers are JSON numbers, as at the venue; what is unknown is "" or 999."""

from __future__ import annotations

from typing import Any

from streams.market.identity import Outcome, other_outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Account, Position
from streams.sandbox.core.records import ListedMarket, Payout, Trade, TradeSide
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.formats import number, price_number
from streams.sandbox.polymarket.objects import best, event_number, event_slug, token_of
from streams.sandbox.polymarket.own_objects import price_of, transaction_hash
from streams.sandbox.polymarket.venue import Activity

NOBODY = {"name": "", "pseudonym": "", "bio": "", "profile_image": "", "profile_image_optimized": ""}
_OUTCOMES: tuple[Outcome, Outcome] = ("yes", "no")
_NO_OUTCOME = 999


def position_rows(exchange: Exchange, wallet: str, account: Account) -> list[dict[str, Any]]:
    """One row per token the wallet holds, and one per market it is flat in."""
    rows: list[dict[str, Any]] = []
    for market_id, position in account.positions.items():
        listed = exchange.state.markets.get(market_id)
        if listed is None:
            continue
        flat = "no" if position.no_e6 > position.yes_e6 else "yes"
        shown = (o for o in _OUTCOMES if position.held_e6(o) or (position.volume_e6 and o == flat))
        rows.extend(_position(wallet, listed, position, outcome) for outcome in shown)
    return rows


def _position(wallet: str, listed: ListedMarket, position: Position, outcome: Outcome) -> dict[str, Any]:
    market = listed.market
    held, cost = position.held_e6(outcome), position.cost_e6(outcome)
    price = present_price_e4(listed, outcome)
    value = held * price // PRICE_ONE_E4
    index = 0 if outcome == "yes" else 1
    spent = max(cost, position.traded_e6)
    return {
        "proxy_wallet": wallet,
        "token_id": token_of(listed, outcome),
        "condition_id": market.market_id,
        "current_size": number(held),
        "avg_price": number(cost * 1_000_000 // held if held else 0),
        "entry_cost_usdc": number(cost),
        "entry_fees_usdc": number(position.fees_e6),
        "total_cost_usdc": number(cost + position.fees_e6),
        "current_price": price_number(price),
        "current_value": number(value),
        "total_size": number(position.volume_e6),
        "realized_pnl": number(position.realized_e6),
        "unrealized_pnl": number(value - cost),
        "total_pnl": number(position.realized_e6 + value - cost),
        "percent_pnl": _percent(value - cost, cost),
        "percent_realized_pnl": _percent(position.realized_e6, spent),
        "status": _status(listed, held),
        "redeemable": listed.settlement_e4 is not None and held > 0,
        "mergeable": position.yes_e6 > 0 and position.no_e6 > 0,
        "negative_risk": market.is_neg_risk,
        "archived": False,
        "title": market.title,
        "slug": market.slug,
        "icon": "",
        "event_id": event_number(listed.event.event_id),
        "event_slug": event_slug(listed),
        "outcome": market.outcomes[index],
        "outcome_index": index,
        "opposite_outcome": market.outcomes[1 - index],
        "opposite_token_id": token_of(listed, other_outcome(outcome)),
        "end_date": f"{market.close_time:%Y-%m-%d}",
        "last_event_at": position.updated_ms // 1000,
        "first_entry_at": position.opened_ms // 1000,
        "name": "",
        "profile_image": "",
        "verified": False,
    }


def trade_row(exchange: Exchange, trade: Trade, side: TradeSide, wallet: str) -> dict[str, Any]:
    """One side of a trade."""
    listed = exchange.state.markets[trade.market_id]
    outcome = side.intent.outcome
    index = 0 if outcome == "yes" else 1
    return {
        "proxy_wallet": wallet,
        "token_id": token_of(listed, outcome),
        "condition_id": trade.market_id,
        "side": side.intent.action.upper(),
        "size": number(trade.size_e6),
        "price": price_number(price_of(trade, outcome)),
        "timestamp": trade.at_ms // 1000,
        "transaction_hash": transaction_hash(trade.trade_id),
        **titles(listed),
        "outcome": listed.market.outcomes[index],
        "outcome_index": index,
        **NOBODY,
    }


def trade_activity(exchange: Exchange, trade: Trade, side: TradeSide, wallet: str) -> dict[str, Any]:
    """The same trade as activity, with its dollars."""
    paid = abs(side.charge.cash_change_e6 + side.charge.fee_e6) if side.charge is not None else 0
    return {**trade_row(exchange, trade, side, wallet), "type": "TRADE", "usdc_size": number(paid)}


def redemption(exchange: Exchange, payout: Payout, wallet: str) -> dict[str, Any]:
    """A position that was paid out."""
    paid, at_s = payout.payout_e6, payout.at_ms // 1000
    redeemed = Activity(payout.account_id, payout.market_id, "REDEEM", paid, paid, at_s, payout.transaction_id)
    return activity_row(exchange.state.markets[payout.market_id], redeemed, wallet)


def activity_row(listed: ListedMarket, activity: Activity, wallet: str) -> dict[str, Any]:
    """Activity that is no trade: a split, a merge, a conversion or a redemption. It has no token and no side."""
    return {
        "proxy_wallet": wallet,
        "timestamp": activity.at_s,
        "condition_id": listed.market_id,
        "type": activity.kind,
        "size": number(activity.size_e6),
        "usdc_size": number(activity.dollars_e6),
        "transaction_hash": activity.transaction_hash,
        "price": 0.0,
        "token_id": "",
        "side": "",
        "outcome_index": _NO_OUTCOME,
        **titles(listed),
        "outcome": "",
        **NOBODY,
    }


def titles(listed: ListedMarket) -> dict[str, str]:
    """What names a market in a row."""
    return {
        "title": listed.market.title,
        "slug": listed.market.slug,
        "icon": "",
        "event_slug": event_slug(listed),
    }


def present_price_e4(listed: ListedMarket, outcome: Outcome) -> int:
    """What an outcome is worth: the middle of the book, or what it pays."""
    if listed.settlement_e4 is not None:
        return listed.settlement_e4 if outcome == "yes" else PRICE_ONE_E4 - listed.settlement_e4
    return sum(best(listed, outcome)) // 2


def _status(listed: ListedMarket, held_e6: int) -> str:
    """Rows know three statuses; a lost position is still redeemable, one that can be merged is open."""
    if not held_e6:
        return "CLOSED"
    return "OPEN" if listed.settlement_e4 is None else "REDEEMABLE"


def _percent(part_e6: int, whole_e6: int) -> float:
    return round(part_e6 * 100 / whole_e6, 4) if whole_e6 else 0.0
