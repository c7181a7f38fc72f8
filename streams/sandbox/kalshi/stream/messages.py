"""Kalshi's socket messages about books, trades, own orders and life cycles: the `msg` of each frame."""

from __future__ import annotations

from typing import Any

import orjson

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Position
from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.records import LifecycleMoment, ListedMarket, OrderRecord, Trade, TradeSide
from streams.sandbox.kalshi.formats import DOLLARS, count, market_uuid, moment, money, user_id
from streams.sandbox.kalshi.objects import collateral_return_type, market_object
from streams.sandbox.kalshi.portfolio_objects import directions, order_object, shown_fee_e6, shown_status
from streams.sandbox.kalshi.settings import KalshiVenueSettings

_TOP = ("yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp", "yes_ask_size_fp", "volume_fp", "open_interest_fp")
_METADATA = (
    "title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary", "can_close_early", "event_ticker",
    "strike_type", "floor_strike", "cap_strike", "custom_strike",
)  # fmt: skip
_DELTA = (
    b'{"market_ticker":"%s","market_id":"%s","price_dollars":"%s","delta_fp":"%s","side":"%s"%s,"ts":"%s","ts_ms":%d}'
)
_REASONS = {
    "filled": "Trade",
    "immediate": "Trade",
    "expired": "ExpiryCancel",
    "closed": "CloseCancel",
    "self_trade": "SelfTradeCancel",
    "reactivated": "HaltCancel",
    "paused": "HaltCancel",
    "post_only_cross": "PostOnlyCrossCancel",
    "margin": "MarginCancel",
}


def snapshot(listed: ListedMarket, use_yes_price: bool) -> bytes:
    """Both ladders ascending; an empty side has no key."""
    message: dict[str, Any] = {"market_ticker": listed.market_id, "market_id": market_uuid(listed.market_id)}
    yes = [[DOLLARS[price], count(size)] for price, size in reversed(listed.book.levels("bid"))]
    asks = listed.book.levels("ask")
    if use_yes_price:
        no = [[DOLLARS[price], count(size)] for price, size in asks]
    else:
        no = [[DOLLARS[PRICE_ONE_E4 - price], count(size)] for price, size in reversed(asks)]
    if yes:
        message["yes_dollars_fp"] = yes
    if no:
        message["no_dollars_fp"] = no
    return orjson.dumps(message)


def delta(ticker: str, change: LevelChanged, use_yes_price: bool, is_tagged: bool, now_ms: int) -> bytes:
    """One level's change. `is_tagged`: of the subscriber's own order, with its client id."""
    is_bid = change.side == "bid"
    price = change.price_e4 if is_bid or use_yes_price else PRICE_ONE_E4 - change.price_e4
    tags = b""
    if is_tagged:
        name = orjson.dumps(change.order.client_order_id)
        tags = b',"client_order_id":%s,"subaccount":0' % name if change.order.client_order_id else b',"subaccount":0'
    return _DELTA % (
        ticker.encode(), market_uuid(ticker).encode(), DOLLARS[price].encode(), count(change.size_change_e6).encode(),
        b"yes" if is_bid else b"no", tags, moment(now_ms).encode(), now_ms,
    )  # fmt: skip


def public_trade(trade: Trade, settings: KalshiVenueSettings) -> dict[str, Any]:
    """One print."""
    side = "yes" if trade.taker_side == "bid" else "no"
    body = {
        "trade_id": trade.trade_id,
        "market_ticker": trade.market_id,
        "yes_price_dollars": DOLLARS[trade.price_e4],
        "no_price_dollars": DOLLARS[PRICE_ONE_E4 - trade.price_e4],
        "count_fp": count(trade.size_e6),
        "taker_outcome_side": side,
        "taker_book_side": trade.taker_side,
        "is_block_trade": False,
        "ts": trade.at_ms // 1000,
        "ts_ms": trade.at_ms,
    }
    if settings.sends_deprecated_fields:
        body["taker_side"] = side
    return body


def ticker_update(listed: ListedMarket, last_size_e6: int, now_ms: int) -> dict[str, Any]:
    """Best prices, last trade and totals of a market."""
    shown = market_object(listed)
    last = listed.last_price_e4
    return {
        "market_id": market_uuid(listed.market_id),
        "market_ticker": listed.market_id,
        "price_dollars": shown["last_price_dollars"],
        **{name: shown[name] for name in _TOP},
        "dollar_volume": listed.volume_e6 * last // 10**10,
        "dollar_open_interest": listed.interest_e6 * last // 10**10,
        "last_trade_size_fp": count(last_size_e6),
        "ts": now_ms // 1000,
        "ts_ms": now_ms,
        "time": moment(now_ms),
    }


def fill(
    trade: Trade, side: TradeSide, record: OrderRecord, listed: ListedMarket, settings: KalshiVenueSettings
) -> dict[str, Any]:
    """An own fill."""
    body = {
        "trade_id": trade.trade_id,
        "order_id": side.order_id,
        "market_ticker": listed.market_id,
        "exchange_index": listed.shard,
        "is_taker": side is trade.taker,
        **directions(record.request.side, settings),
        "yes_price_dollars": DOLLARS[trade.price_e4],
        "count_fp": count(trade.size_e6),
        "fee_cost": money(shown_fee_e6(trade, side, listed, settings)),
        "post_position_fp": count(side.post_position_e6),
        "subaccount": 0,
        "ts": trade.at_ms // 1000,
        "ts_ms": trade.at_ms,
    }
    if record.request.client_order_id:
        body["client_order_id"] = record.request.client_order_id
    if settings.sends_deprecated_fields:
        body["purchased_side"] = body["outcome_side"]
    return body


def market_position(account_id: str, ticker: str, position: Position) -> dict[str, Any]:
    """An own position after it changed."""
    cost = position.yes_cost_e6 + position.no_cost_e6
    return {
        "user_id": user_id(account_id),
        "market_ticker": ticker,
        "position_fp": count(position.yes_e6 - position.no_e6),
        "position_cost_dollars": money(cost),
        "realized_pnl_dollars": money(position.realized_e6),
        "fees_paid_dollars": money(position.fees_e6),
        "position_fee_cost_dollars": money(position.fees_e6),
        "volume_fp": count(position.volume_e6),
        "subaccount": 0,
    }


def user_order(
    record: OrderRecord, listed: ListedMarket, settings: KalshiVenueSettings, change: str = ""
) -> dict[str, Any]:
    """An own order after it was placed, changed (`change` names the request) or ended."""
    body = order_object(record, listed, settings)
    for name in ("type", "no_price_dollars", "action", "cancel_order_on_pause"):
        body.pop(name, None)
    if settings.sends_deprecated_fields:
        body["is_yes"] = record.request.side == "bid"
    body["created_ts_ms"] = record.created_ms
    if record.request.expires_ms is not None:
        body["expiration_ts_ms"] = record.request.expires_ms
    is_resting = shown_status(record) == "resting"
    has_changed = change or record.updated_ms != record.created_ms or record.filled_e6 or not is_resting
    if not has_changed:
        body.pop("last_update_time", None)
        return body
    body["last_updated_ts_ms"] = record.updated_ms
    reason = _REASONS.get(record.reason, "Trade" if record.filled_e6 and not record.reason else "")
    if record.reason == "canceled":
        reason = settings.plain_cancel_reason
    elif is_resting and change:
        reason = change
    if reason:
        body["last_update_reason"] = reason
    return body


def event_created(listed: ListedMarket) -> dict[str, Any]:
    """A new event, published with its first market."""
    event = listed.event
    return {
        "event_ticker": event.event_id,
        "exchange_index": listed.shard,
        "title": event.title,
        "subtitle": event.subtitle,
        "collateral_return_type": collateral_return_type([listed]),
        "series_ticker": event.series_id,
    }


def lifecycle(listed: ListedMarket, moment_name: LifecycleMoment, now_ms: int) -> dict[str, Any] | None:
    """The lifecycle channel's message about a market's change, in seconds; None for what has no message."""
    if moment_name == "closed":
        # Closing itself is not published; that it came earlier than announced is.
        is_early = listed.closed_ms is not None and listed.closed_ms < listed.close_ms - 1_000
        return {"event_type": "close_date_updated", "close_ts": now_ms // 1000} if is_early else None
    if moment_name == "created":
        return _created(listed)
    if moment_name in ("paused", "reactivated"):
        is_paused = moment_name == "paused"
        return {"event_type": "deactivated" if is_paused else "activated", "is_deactivated": is_paused}
    if moment_name == "close_changed":
        return {"event_type": "close_date_updated", "close_ts": listed.close_ms // 1000}
    if moment_name == "determined":
        value = DOLLARS[listed.settlement_e4 or 0]
        body = {"event_type": "determined", "result": listed.result, "settlement_value": value}
        return {**body, "determination_ts": now_ms // 1000}
    if moment_name == "settled":
        return {"event_type": "settled", "settled_ts": now_ms // 1000}
    return {"event_type": "price_level_structure_updated", **_grid(listed)}


def metadata_updated(listed: ListedMarket) -> dict[str, Any]:
    """A market's strikes or titles were changed."""
    shown = market_object(listed)
    names = ("strike_type", "floor_strike", "cap_strike", "custom_strike", "yes_sub_title")
    return {"event_type": "metadata_updated", **{name: shown[name] for name in names if name in shown}}


def _created(listed: ListedMarket) -> dict[str, Any]:
    market, shown = listed.market, market_object(listed)
    expected = int(market.close_time.timestamp()) + market.settle_lag_s
    return {
        "event_type": "created",
        "exchange_index": listed.shard,
        "open_ts": int(market.open_time.timestamp()),
        "close_ts": int(market.close_time.timestamp()),
        **_grid(listed),
        "additional_metadata": {
            "name": shown["yes_sub_title"],
            **{name: shown[name] for name in _METADATA if name in shown},
            "expected_expiration_ts": expected,
        },
    }


def _grid(listed: ListedMarket) -> dict[str, Any]:
    shown = market_object(listed)
    return {name: shown[name] for name in ("price_level_structure", "price_ranges")}
