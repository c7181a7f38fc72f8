"""Kalshi's orders, fills, positions and settlements as REST shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from streams.market.fees import KalshiFeeSchedule, kalshi_trade_fee_e6
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Position
from streams.sandbox.core.records import ListedMarket, OrderRecord, Payout, Trade, TradeSide
from streams.sandbox.kalshi.formats import DOLLARS, count, moment, money, user_id
from streams.sandbox.kalshi.settings import KalshiVenueSettings


def directions(book_side: str, settings: KalshiVenueSettings) -> dict[str, str]:
    """The current direction fields, and the deprecated ones that are still sent."""
    outcome = "yes" if book_side == "bid" else "no"
    body = {"outcome_side": outcome, "book_side": book_side}
    return {**body, "side": outcome, "action": "buy"} if settings.sends_deprecated_fields else body


def shown_status(record: OrderRecord) -> str:
    """The venue's word for an order's state; one that is held back to fill late is shown as resting."""
    if record.status in ("resting", "delayed"):
        return "resting"
    return "executed" if record.status == "executed" else "canceled"


def order_object(record: OrderRecord, listed: ListedMarket, settings: KalshiVenueSettings) -> dict[str, Any]:
    """One order. `yes_price_dollars` is its limit; what it traded at shows in the fill costs."""
    request = record.request
    body: dict[str, Any] = {
        "order_id": record.order_id,
        "user_id": user_id(request.account_id),
        "client_order_id": request.client_order_id,
        "ticker": request.market_id,
        "exchange_index": listed.shard,
        **directions(request.side, settings),
        "type": "limit",
        "status": shown_status(record),
        "yes_price_dollars": DOLLARS[request.price_e4],
        "no_price_dollars": DOLLARS[PRICE_ONE_E4 - request.price_e4],
        "initial_count_fp": count(record.initial_e6),
        "fill_count_fp": count(record.filled_e6),
        "remaining_count_fp": count(record.remaining_e6),
        "taker_fill_cost_dollars": money(record.taker_cash_e6),
        "maker_fill_cost_dollars": money(record.maker_cash_e6),
        "taker_fees_dollars": money(record.taker_fees_e6),
        "maker_fees_dollars": money(record.maker_fees_e6),
        "self_trade_prevention_type": request.self_trade,
        "subaccount_number": 0,
        "created_time": moment(record.created_ms),
        "last_update_time": moment(record.updated_ms),
    }
    if request.expires_ms is not None:
        body["expiration_time"] = moment(request.expires_ms)
    if request.extra.get("order_group_id"):
        body["order_group_id"] = request.extra["order_group_id"]
    if request.cancel_on_pause:
        body["cancel_order_on_pause"] = True
    return body


def shown_fee_e6(trade: Trade, side: TradeSide, listed: ListedMarket, settings: KalshiVenueSettings) -> int:
    """The fee a fill shows: after rounding and rebate, or the model's where the settings say so."""
    assert side.charge is not None
    if settings.fee_cost == "net" or not isinstance(listed.schedule, KalshiFeeSchedule):
        return side.charge.fee_e6
    price = trade.price_e4 if side.intent.outcome == "yes" else PRICE_ONE_E4 - trade.price_e4
    return kalshi_trade_fee_e6(price, trade.size_e6, listed.schedule, is_taker=side is trade.taker)


def fill_object(trade: Trade, side: TradeSide, listed: ListedMarket, settings: KalshiVenueSettings) -> dict[str, Any]:
    """One fill; it has no client order id since March 2026."""
    return {
        "fill_id": trade.trade_id,
        "trade_id": trade.trade_id,
        "order_id": side.order_id,
        "ticker": trade.market_id,
        "market_ticker": trade.market_id,
        **directions("bid" if side.intent.outcome == "yes" else "ask", settings),
        "count_fp": count(trade.size_e6),
        "yes_price_dollars": DOLLARS[trade.price_e4],
        "no_price_dollars": DOLLARS[PRICE_ONE_E4 - trade.price_e4],
        "is_taker": side is trade.taker,
        "fee_cost": money(shown_fee_e6(trade, side, listed, settings)),
        "exchange_index": listed.shard,
        "subaccount_number": 0,
        "created_time": moment(trade.at_ms),
        "ts": trade.at_ms // 1000,
    }


def settlement_object(payout: Payout, listed: ListedMarket) -> dict[str, Any]:
    """One settled position; revenue and value are the integer cents that survive."""
    return {
        "ticker": payout.market_id,
        "event_ticker": listed.market.event_id,
        "exchange_index": listed.shard,
        "market_result": payout.result,
        "yes_count_fp": count(payout.yes_e6),
        "no_count_fp": count(payout.no_e6),
        "yes_total_cost_dollars": money(payout.yes_cost_e6),
        "no_total_cost_dollars": money(payout.no_cost_e6),
        "revenue": payout.payout_e6 // 10_000,
        "value": payout.settlement_e4 // 100,
        "fee_cost": money(payout.fees_e6),
        "settled_time": moment(payout.at_ms),
    }


def position_object(listed: ListedMarket, position: Position) -> dict[str, Any]:
    """One market's net position: positive YES, negative NO."""
    return {
        "ticker": listed.market_id,
        "exchange_index": listed.shard,
        "position_fp": count(position.yes_e6 - position.no_e6),
        "market_exposure_dollars": money(position.yes_cost_e6 + position.no_cost_e6),
        "total_traded_dollars": money(position.traded_e6),
        "realized_pnl_dollars": money(position.realized_e6),
        "fees_paid_dollars": money(position.fees_e6),
        "last_updated_ts": moment(position.updated_ms),
    }


def event_position_objects(
    rows: Iterable[tuple[ListedMarket, Position]], returned: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Positions summed by event; what was `returned` of an event's collateral (by event) is not at risk in it."""
    by_event: dict[str, list[Position]] = {}
    for listed, position in rows:
        by_event.setdefault(listed.market.event_id, []).append(position)
    for event_id, positions in by_event.items():
        yield {
            "event_ticker": event_id,
            "event_exposure_dollars": money(_cost_e6(positions) - returned.get(event_id, 0)),
            "total_cost_dollars": money(sum(p.traded_e6 for p in positions)),
            "total_cost_shares_fp": count(sum(p.volume_e6 for p in positions)),
            "realized_pnl_dollars": money(sum(p.realized_e6 for p in positions)),
            "fees_paid_dollars": money(sum(p.fees_e6 for p in positions)),
        }


def _cost_e6(positions: Sequence[Position]) -> int:
    return sum(position.yes_cost_e6 + position.no_cost_e6 for position in positions)
