"""Gamma's markets and events, rendered from what the exchange holds. Keys without a value are left out, as there."""

from __future__ import annotations

from typing import Any

from streams.market.fees import PolymarketFeeSchedule
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.polymarket.formats import (
    PRICES,
    iso,
    iso_ms,
    list_text,
    number,
    price_number,
    size,
    spaced,
)
from streams.sandbox.polymarket.objects import (
    event_number,
    event_slug,
    is_closed,
    neg_risk_id,
    question_id,
    series_number,
    tag_objects,
)
from streams.sandbox.polymarket.wallets import venue_address

_FEE_TYPES = {70_000: "crypto_fees", 50_000: "sports_fees_v3", 40_000: "politics_fees"}
_BY_CATEGORY = {"economics": "economics_fees", "culture": "culture_fees", "weather": "weather_fees"}
_DAY_SHARE, _WEEK_SHARE, _MONTH_SHARE = 20, 5, 2


def gamma_market(listed: ListedMarket, *, with_event: bool, with_tags: bool = False) -> dict[str, Any]:
    """One market as Gamma shows it."""
    market = listed.market
    yes_e4 = listed.settlement_e4 if listed.settlement_e4 is not None else _shown_price(listed)
    opened = iso(market.open_time)
    body: dict[str, Any] = {
        "id": market.gamma_id,
        "question": market.title,
        "conditionId": market.market_id,
        "slug": market.slug,
        "resolutionSource": "",
        "endDate": iso(market.close_time),
        "startDate": opened,
        "description": market.rules,
        "outcomes": list_text(market.outcomes),
        "outcomePrices": list_text([PRICES[yes_e4], PRICES[PRICE_ONE_E4 - yes_e4]]),
        "active": True,
        "closed": is_closed(listed),
        "marketMakerAddress": "",
        "createdAt": opened,
        "updatedAt": iso_ms(listed.updated_ms),
        "new": False,
        "featured": False,
        "archived": False,
        "resolvedBy": venue_address("resolver"),
        "restricted": True,
        "groupItemTitle": market.subtitle or market.yes_means,
        "groupItemThreshold": "0",
        "questionID": question_id(listed),
        "enableOrderBook": True,
        "orderPriceMinTickSize": price_number(listed.tick_e4),
        "orderMinSize": market.min_size_e6 // 1_000_000,
        "endDateIso": f"{market.close_time:%Y-%m-%d}",
        "startDateIso": f"{market.open_time:%Y-%m-%d}",
        "hasReviewedDates": True,
        "clobTokenIds": list_text([market.yes_token, market.no_token]),
        "comboStatus": "disabled",
        "umaBond": "500",
        "umaReward": "5",
        "makerBaseFee": 1000,
        "takerBaseFee": 1000,
        "acceptingOrders": listed.status == "open",
        "acceptingOrdersTimestamp": opened,
        "negRisk": market.is_neg_risk,
        "negRiskOther": False,
        "ready": False,
        "funded": False,
        "cyom": False,
        "pagerDutyNotificationEnabled": False,
        "approved": True,
        "rewardsMinSize": 0,
        "rewardsMaxSpread": 0,
        "automaticallyActive": True,
        "clearBookOnStart": False,
        "manualActivation": False,
        "umaResolutionStatuses": "[]",
        "pendingDeployment": False,
        "deploying": False,
        "rfqEnabled": False,
        "holdingRewardsEnabled": False,
        "version": "v1",
        **_volumes(listed),
        **_fees(listed),
        **_quotes(listed),
        **_neg_risk(listed),
        **_resolution(listed),
        **market.extra,
    }
    if with_event:
        body["events"] = [gamma_event_head(listed)]
    if with_tags:
        body["tags"] = tag_objects(listed)
    return body


def _shown_price(listed: ListedMarket) -> int:
    bid, ask = listed.book.best_bid, listed.book.best_ask
    if bid is None or ask is None:
        return listed.last_price_e4 or listed.market.start_price_e4
    return (bid + ask) // 2


def liquidity_e6(listed: ListedMarket) -> int:
    """What the resting orders of a market are worth, in dollars (1/1,000,000)."""
    bids = sum(price * total // PRICE_ONE_E4 for price, total in listed.book.levels("bid"))
    return bids + sum((PRICE_ONE_E4 - price) * total // PRICE_ONE_E4 for price, total in listed.book.levels("ask"))


def _volumes(listed: ListedMarket) -> dict[str, Any]:
    volume, liquidity = number(listed.volume_e6), liquidity_e6(listed)
    parts = {"24hr": volume / _DAY_SHARE, "1wk": volume / _WEEK_SHARE, "1mo": volume / _MONTH_SHARE, "1yr": volume}
    body: dict[str, Any] = {"volume": size(listed.volume_e6), "volumeNum": volume, "volumeClob": volume}
    body |= {f"volume{name}": value for name, value in parts.items()}
    body |= {f"volume{name}Clob": value for name, value in parts.items()}
    if not is_closed(listed):
        body |= {
            "liquidity": size(liquidity),
            "liquidityNum": number(liquidity),
            "liquidityClob": number(liquidity),
        }
    return body


def _fees(listed: ListedMarket) -> dict[str, Any]:
    schedule = listed.schedule
    assert isinstance(schedule, PolymarketFeeSchedule)
    if not schedule.rate_e6:
        return {"feesEnabled": False, "feeType": None}
    named = _BY_CATEGORY.get(listed.event.category.lower())
    return {
        "feesEnabled": True,
        "feeType": named or _FEE_TYPES.get(schedule.rate_e6, "general_fees"),
        "feeSchedule": {
            "exponent": schedule.exponent,
            "rate": number(schedule.rate_e6),
            "takerOnly": schedule.taker_only,
            "rebateRate": 0.25,
        },
    }


def _quotes(listed: ListedMarket) -> dict[str, Any]:
    bid, ask = listed.book.best_bid, listed.book.best_ask
    body: dict[str, Any] = {}
    if bid is not None:
        body["bestBid"] = price_number(bid)
    if ask is not None:
        body["bestAsk"] = price_number(ask)
    if bid is not None and ask is not None:
        body["spread"] = price_number(ask - bid)
    if listed.last_price_e4:
        body["lastTradePrice"] = price_number(listed.last_price_e4)
    return body


def _neg_risk(listed: ListedMarket) -> dict[str, Any]:
    if not listed.market.is_neg_risk:
        return {}
    shared = neg_risk_id(listed)
    return {"negRiskMarketID": shared, "negRiskRequestID": question_id(listed)}


def _resolution(listed: ListedMarket) -> dict[str, Any]:
    if listed.status == "closed":
        return {"umaResolutionStatus": "proposed", "umaResolutionStatuses": '["proposed"]'}
    if listed.determined_ms is None:
        return {}
    return {
        "umaResolutionStatus": "resolved",
        "umaResolutionStatuses": '["proposed", "resolved"]',
        "umaEndDate": iso_ms(listed.determined_ms),
        "closedTime": spaced(listed.determined_ms),
    }


def gamma_event_head(listed: ListedMarket) -> dict[str, Any]:
    """An event without its markets."""
    event, market = listed.event, listed.market
    slug, opened = event_slug(listed), iso(market.open_time)
    body: dict[str, Any] = {
        "id": event_number(event.event_id),
        "ticker": slug,
        "slug": slug,
        "title": event.title,
        "description": market.rules,
        "resolutionSource": "",
        "startDate": opened,
        "creationDate": opened,
        "endDate": iso(market.close_time),
        "active": True,
        "closed": is_closed(listed),
        "archived": False,
        "new": False,
        "featured": False,
        "restricted": True,
        "createdAt": opened,
        "updatedAt": iso_ms(listed.updated_ms),
        "enableOrderBook": True,
        "negRisk": market.is_neg_risk,
        "enableNegRisk": market.is_neg_risk,
        "negRiskAugmented": False,
        "commentCount": 0,
        "cyom": False,
        "showAllOutcomes": True,
        "showMarketImages": True,
        "automaticallyActive": True,
        "cumulativeMarkets": False,
        "pendingDeployment": False,
        "deploying": False,
        "version": "v1",
    }
    if market.is_neg_risk:
        body["negRiskMarketID"] = neg_risk_id(listed)
    if event.series_id:
        body["series"] = [series_object(event.series_id)]
    return {**body, "tags": tag_objects(listed), **event.extra}


def gamma_event(markets: list[ListedMarket], *, with_markets: bool = True) -> dict[str, Any]:
    """An event with its markets (at least one); it is closed when they all are."""
    body = gamma_event_head(markets[0])
    volume = sum(number(listed.volume_e6) for listed in markets)
    liquidity = sum(number(liquidity_e6(listed)) for listed in markets)
    body |= {
        "closed": all(is_closed(listed) for listed in markets),
        "liquidity": liquidity,
        "liquidityClob": liquidity,
        "volume": volume,
        "volume24hr": volume / _DAY_SHARE,
        "volume1wk": volume / _WEEK_SHARE,
        "volume1mo": volume / _MONTH_SHARE,
        "volume1yr": volume,
        "openInterest": sum(number(listed.interest_e6) for listed in markets),
    }
    if with_markets:
        body["markets"] = [gamma_market(listed, with_event=False) for listed in markets]
    return body


def series_object(series_id: str) -> dict[str, Any]:
    """A series without its events."""
    return {
        "id": series_number(series_id),
        "ticker": series_id.lower(),
        "slug": series_id.lower(),
        "title": series_id,
        "seriesType": "single",
        "recurrence": "daily",
        "active": True,
        "closed": False,
        "archived": False,
        "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-01-01T00:00:00Z",
        "commentCount": 0,
    }
