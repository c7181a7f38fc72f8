"""Kalshi's market, event and series objects, rendered from what the exchange holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streams.market.fees import KalshiFeeSchedule
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.collateral import CollateralType, collateral_type
from streams.sandbox.core.records import ListedMarket, Trade
from streams.sandbox.kalshi.formats import DOLLARS, count, moment, number, second
from streams.sandbox.kalshi.settings import KalshiVenueSettings

STATUS_WORDS = {
    "unopened": "initialized",
    "open": "active",
    "paused": "inactive",
    "closed": "closed",
    "determined": "determined",
    "settled": "finalized",
}
FILTER_WORDS = {
    "unopened": {"unopened"},
    "open": {"open"},
    "paused": {"paused"},
    "closed": {"closed", "determined"},
    "settled": {"settled"},
}


def _tapered(edge: int, center: int, width: int) -> tuple[tuple[int, int, int], ...]:
    return (0, width, edge), (width, 10_000 - width, center), (10_000 - width, 10_000, edge)


_STRUCTURES = {
    ((0, 10_000, 100),): "linear_cent",
    ((0, 10_000, 10),): "deci_cent",
    _tapered(10, 100, 1_000): "tapered_deci_cent",
    _tapered(50, 100, 1_000): "center_whole_edge_half_cent",
    _tapered(20, 100, 1_000): "center_whole_edge_quint_cent",
    ((0, 10_000, 50),): "center_half_edge_half_cent",
    _tapered(20, 50, 1_000): "center_half_edge_quint_cent",
    _tapered(10, 50, 1_000): "center_half_edge_deci_cent",
    ((0, 10_000, 20),): "center_quint_edge_quint_cent",
    _tapered(10, 20, 1_000): "center_quint_edge_deci_cent",
    ((0, 10_000, 1),): "center_centi_edge_centi_cent",
    _tapered(1, 10, 100): "center_deci_edge_centi_cent",
}
"""The venue's label of a price grid; the ranges themselves are the truth, and new labels appear."""
_SERIES_FREQUENCIES = {"Climate and Weather": "daily", "Crypto": "hourly"}


def market_object(listed: ListedMarket) -> dict[str, Any]:
    """One market as `GET /markets` shows it."""
    market = listed.market
    bid, ask = listed.book.best_bid, listed.book.best_ask
    last = DOLLARS[listed.last_price_e4 or market.start_price_e4 // 100 * 100]
    body: dict[str, Any] = {
        "ticker": market.market_id,
        "event_ticker": market.event_id,
        "market_type": "binary",
        "title": market.title,
        "subtitle": market.subtitle,
        "yes_sub_title": market.yes_means or market.subtitle,
        "no_sub_title": market.no_means or market.yes_means or market.subtitle,
        "status": STATUS_WORDS[listed.status],
        "result": listed.result,
        "yes_bid_dollars": DOLLARS[bid or 0],
        "yes_ask_dollars": DOLLARS[ask or PRICE_ONE_E4],
        "no_bid_dollars": DOLLARS[PRICE_ONE_E4 - (ask or PRICE_ONE_E4)],
        "no_ask_dollars": DOLLARS[PRICE_ONE_E4 - (bid or 0)],
        "yes_bid_size_fp": count(listed.book.bids[bid].total_e6 if bid else 0),
        "yes_ask_size_fp": count(listed.book.asks[ask].total_e6 if ask else 0),
        "last_price_dollars": last,
        "previous_price_dollars": last,
        "previous_yes_bid_dollars": DOLLARS[bid or 0],
        "previous_yes_ask_dollars": DOLLARS[ask or PRICE_ONE_E4],
        "volume_fp": count(listed.volume_e6),
        "volume_24h_fp": count(listed.volume_e6 // 20),
        "open_interest_fp": count(listed.interest_e6),
        "notional_value_dollars": "1.0000",
        "can_close_early": True,
        "early_close_condition": "This market will close and expire early if the event occurs.",
        "expiration_value": "",
        "rules_primary": market.rules,
        "rules_secondary": market.rules_secondary,
        "settlement_bounds_type": "default",
        "settlement_timer_seconds": market.settle_lag_s,
        **_grid(listed),
        **_times(listed),
        **_strike(market.strike),
        **market.extra,
        "exchange_index": listed.shard,
    }
    if listed.settlement_e4 is not None:
        body["settlement_value_dollars"] = DOLLARS[listed.settlement_e4]
        body["expiration_value"] = listed.result
    if listed.settled_ms is not None:
        body["settlement_ts"] = moment(listed.settled_ms)
    return body


def _grid(listed: ListedMarket) -> dict[str, Any]:
    return {
        "price_level_structure": _STRUCTURES.get(listed.price_ranges, "custom"),
        "price_ranges": [
            {"start": DOLLARS[start], "end": DOLLARS[end], "step": DOLLARS[step]}
            for start, end, step in listed.price_ranges
        ],
    }


def _times(listed: ListedMarket) -> dict[str, Any]:
    market = listed.market
    closes = market.close_time
    if listed.closed_ms is not None:
        closes = min(closes, datetime.fromtimestamp(listed.closed_ms / 1000, UTC))
    latest = second(market.close_time + timedelta(days=7))
    return {
        "created_time": second(market.open_time - timedelta(hours=1)),
        "open_time": second(market.open_time),
        "close_time": second(closes),
        "expected_expiration_time": second(market.close_time + timedelta(seconds=market.settle_lag_s)),
        "expiration_time": latest,
        "latest_expiration_time": latest,
        "occurrence_datetime": None,
        "updated_time": moment(listed.updated_ms),
    }


def _strike(strike: dict[str, str] | None) -> dict[str, Any]:
    if not strike:
        return {}
    body: dict[str, Any] = {"strike_type": strike.get("type", "custom")}
    for name in ("floor", "cap"):
        value = strike.get(name)
        if value:
            body[f"{name}_strike"] = int(value) if "." not in value else float(value)
    return body


def close_ms(listed: ListedMarket) -> int:
    """When the market closed, or is due to."""
    return listed.closed_ms or listed.close_ms


def event_object(markets: list[ListedMarket]) -> dict[str, Any]:
    """One event from its listed markets (at least one), without them."""
    event = markets[0].event
    return {
        "event_ticker": event.event_id,
        "series_ticker": event.series_id,
        "title": event.title,
        "sub_title": event.subtitle,
        "category": event.category,
        "collateral_return_type": collateral_return_type(markets),
        "mutually_exclusive": event.is_exclusive,
        "exchange_index": markets[0].shard,
        "strike_date": second(max(listed.market.close_time for listed in markets)),
        "last_updated_ts": moment(max(listed.updated_ms for listed in markets)),
        "product_metadata": {},
        "settlement_sources": None,
        **{name: value for name, value in event.extra.items() if name not in ("tags", "exchange_index")},
    }


def collateral_return_type(markets: list[ListedMarket]) -> CollateralType:
    """How collateral is netted across the listed markets (at least one) of an event."""
    event, strikes = markets[0].event, [listed.market.strike for listed in markets]
    return collateral_type(event.extra.get("collateral_return_type"), strikes, is_exclusive=event.is_exclusive)


def series_object(
    series_id: str,
    markets: list[ListedMarket],
    schedule: KalshiFeeSchedule,
    *,
    with_volume: bool = False,
    with_metadata: bool = False,
) -> dict[str, Any]:
    """One series, described by its markets (at least one). Three of its lists are null, as they may be."""
    first = markets[0]
    category = first.event.category
    body: dict[str, Any] = {
        "ticker": series_id,
        "title": first.event.title,
        "category": category,
        "categories": [category] if category else [],
        "tags": first.event.extra.get("tags"),
        "frequency": _SERIES_FREQUENCIES.get(category, "custom"),
        "fee_type": schedule.fee_type,
        "fee_multiplier": number(schedule.multiplier_e6),
        "settlement_sources": None,
        "additional_prohibitions": None,
        "contract_url": "",
        "contract_terms_url": "",
        "exchange_index": first.shard,
        "last_updated_ts": moment(max(listed.updated_ms for listed in markets)),
    }
    if with_volume:
        body["volume_fp"] = count(sum(listed.volume_e6 for listed in markets))
    if with_metadata:
        body["product_metadata"] = {}
    return body


def trade_object(trade: Trade, settings: KalshiVenueSettings) -> dict[str, Any]:
    """One public print."""
    outcome = "yes" if trade.taker_side == "bid" else "no"
    body = {
        "trade_id": trade.trade_id,
        "ticker": trade.market_id,
        "count_fp": count(trade.size_e6),
        "yes_price_dollars": DOLLARS[trade.price_e4],
        "no_price_dollars": DOLLARS[PRICE_ONE_E4 - trade.price_e4],
        "taker_outcome_side": outcome,
        "taker_book_side": trade.taker_side,
        "is_block_trade": False,
        "created_time": moment(trade.at_ms),
    }
    if settings.sends_deprecated_fields:
        body["taker_side"] = outcome
    return body


def order_book_object(listed: ListedMarket, depth: int = 0) -> dict[str, Any]:
    """Both ladders as bids, worst first (best last); `depth` 0 is everything."""
    yes = [[DOLLARS[price], count(size)] for price, size in reversed(listed.book.levels("bid"))]
    no = [[DOLLARS[PRICE_ONE_E4 - price], count(size)] for price, size in reversed(listed.book.levels("ask"))]
    if depth:
        yes, no = yes[-depth:], no[-depth:]
    return {"yes_dollars": yes, "no_dollars": no}
