"""Own orders and trades as `/data/orders`, `/data/trades` and the user socket show them."""

from __future__ import annotations

import hashlib
from typing import Any

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.records import ListedMarket, OrderRecord, Trade, TradeSide
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.formats import PRICES, size
from streams.sandbox.polymarket.objects import token_of

_STATUS = {
    "resting": "LIVE",
    "delayed": "DELAYED",
    "executed": "MATCHED",
    "canceled": "CANCELED",
    "canceled_resolved": "CANCELED_MARKET_RESOLVED",
}
_SETTLED = ("MINED", "CONFIRMED")


def order_object(record: OrderRecord, listed: ListedMarket) -> dict[str, Any]:
    """One order as /data/order shows it."""
    request = record.request
    return {
        "id": record.order_id,
        "status": order_status(record, listed),
        "owner": request.extra["owner"],
        "maker_address": request.extra["maker"],
        "market": request.market_id,
        "asset_id": request.extra["token"],
        "side": request.intent.action.upper(),
        "original_size": size(request.size_e6),
        "size_matched": size(record.filled_e6),
        "price": PRICES[request.extra["price"]],
        "outcome": _outcome_name(listed, request.intent.outcome),
        "expiration": request.extra["expiration"],
        "order_type": request.extra["kind"],
        "associate_trades": list(record.trade_ids),
        "created_at": record.created_ms // 1000,
    }


def order_status(record: OrderRecord, listed: ListedMarket) -> str:
    """LIVE, DELAYED, MATCHED, CANCELED, or that the market's resolution cancelled it."""
    if record.status == "canceled" and record.reason == "closed":
        return "CANCELED_MARKET_RESOLVED"
    if record.status == "delayed" and "shown" not in record.request.extra:
        return "LIVE"
    return _STATUS[record.status]


def own_side(trade: Trade, accounts: set[str]) -> TradeSide | None:
    """The accounts' side of a trade, the taker's when they are on both."""
    return next((side for side in (trade.taker, trade.maker) if side.account_id in accounts), None)


def trade_object(exchange: Exchange, trade: Trade, side: TradeSide, listed: ListedMarket) -> dict[str, Any]:
    """One trade as its owner sees it: the top level is always the taker's; a maker's own fill is in maker_orders."""
    intent = trade.taker.intent
    owner, address = identity(exchange, trade.taker)
    return {
        "id": trade.trade_id,
        "taker_order_id": shown_order_id(trade.taker),
        "market": trade.market_id,
        "asset_id": token_of(listed, intent.outcome),
        "side": intent.action.upper(),
        "size": size(trade.size_e6),
        "fee_rate_bps": fee_rate_bps(listed),
        "price": PRICES[price_of(trade, intent.outcome)],
        "status": trade.status,
        "match_time": str(trade.at_ms // 1000),
        "match_time_nano": str(trade.at_ms * 1_000_000),
        "last_update": str(trade.status_ms // 1000),
        "outcome": _outcome_name(listed, intent.outcome),
        "bucket_index": 0,
        "owner": owner,
        "maker_address": address,
        "transaction_hash": transaction_hash(trade.trade_id) if trade.status in _SETTLED else "",
        "maker_orders": [_maker_entry(exchange, trade, listed)],
        "trader_side": "TAKER" if side is trade.taker else "MAKER",
    }


def _maker_entry(exchange: Exchange, trade: Trade, listed: ListedMarket) -> dict[str, Any]:
    """The resting order of a trade; on the complementary outcome its price is 1 - p."""
    intent = trade.maker.intent
    owner, address = identity(exchange, trade.maker)
    return {
        "order_id": shown_order_id(trade.maker),
        "owner": owner,
        "maker_address": address,
        "matched_amount": size(trade.size_e6),
        "price": PRICES[price_of(trade, intent.outcome)],
        "fee_rate_bps": "0",
        "asset_id": token_of(listed, intent.outcome),
        "outcome": _outcome_name(listed, intent.outcome),
        "outcome_index": 0 if intent.outcome == "yes" else 1,
        "side": intent.action.upper(),
    }


def identity(exchange: Exchange, side: TradeSide) -> tuple[str, str]:
    """(API key, wallet) of one side; a simulated participant has made-up ones."""
    record = exchange.state.orders.get(side.order_id)
    if record is not None:
        return str(record.request.extra["owner"]), str(record.request.extra["maker"])
    digest = hashlib.sha256(side.account_id.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}", wallet_of(side.account_id)


def wallet_of(account_id: str) -> str:
    """The wallet of an account; a simulated participant's is derived from its name."""
    if account_id.startswith("polymarket:0x"):
        return account_id.removeprefix("polymarket:")
    return f"0x{hashlib.sha256(account_id.encode()).hexdigest()[:40]}"


def shown_order_id(side: TradeSide) -> str:
    """Orders of simulated participants get an id in the venue's form."""
    return side.order_id if side.order_id.startswith("0x") else transaction_hash(side.order_id)


def transaction_hash(name: str) -> str:
    """A transaction's hash, derived from what it settles."""
    return f"0x{hashlib.sha256(name.encode()).hexdigest()}"


def price_of(trade: Trade, outcome: Outcome) -> int:
    """A trade's price in terms of one outcome."""
    return trade.price_e4 if outcome == "yes" else PRICE_ONE_E4 - trade.price_e4


def fee_rate_bps(listed: ListedMarket) -> str:
    """The legacy fee field: 1000 on markets with fees, which is not the rate."""
    schedule = listed.schedule
    return "1000" if isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6 else "0"


def _outcome_name(listed: ListedMarket, outcome: Outcome) -> str:
    return listed.market.outcomes[0 if outcome == "yes" else 1]
