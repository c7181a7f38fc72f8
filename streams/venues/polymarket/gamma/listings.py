"""Gamma's markets and events as discovered markets. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.identity import Venue
from streams.market.listing import DiscoveredMarket, Listing, MarketStatus, MarketTerms
from streams.market.units import CASH_SCALE, PRICE_ONE_E4, PRICE_SCALE, SIZE_SCALE, scaled_int
from streams.venues.common.decimals import plain_decimal
from streams.venues.common.times import parse_time

_VOLATILE = {
    "bestBid": "yes_bid",
    "bestAsk": "yes_ask",
    "lastTradePrice": "last_price",
    "volume": "volume",
    "volume24hr": "volume_24h",
    "liquidity": "liquidity",
    "spread": "spread",
}
_RESOLVED_WORDS = frozenset({"resolved", "settled"})
_BINARY_RESULTS = frozenset({Decimal(0), Decimal(1), Decimal("0.5")})
# The oracle's usual time in which a proposed answer can be disputed; a market with its own states it.
_USUAL_LIVENESS_S = 7200
# A market that charges and does not say how much is taken to charge the highest published rate.
_DEAREST_SCHEDULE: dict[str, Any] = {"rate": "0.07", "exponent": "1", "taker_only": True}


def parse_market(
    payload: dict[str, Any],
    event: Mapping[str, Any] | None = None,
    series: Mapping[str, Any] | None = None,
    *,
    now: datetime | None = None,
) -> DiscoveredMarket:
    """Return one market of Gamma's lists.

    Args:
        payload: The market's JSON; kept unchanged.
        event: Its event's JSON; default: the one nested in the market.
        series: Its series' JSON; default: the one nested in the event.
        now: The instant of the reading: a market past its end that takes no orders is closed, not paused.

    Raises:
        MalformedFrame: If the condition id is missing, outcomes are not two, or a number cannot be read.
    """
    try:
        event = event or _first_of(payload.get("events"))
        series = series or _first_of(event.get("series"))
        market_id = _text(payload, "conditionId")
        if not market_id:
            raise InvalidAmount("a market without condition id")
        outcomes = json_list(payload.get("outcomes"))
        if len(outcomes) != 2:
            raise InvalidAmount(f"a market with {len(outcomes)} outcomes")
        result, settlement = _settlement(payload)
        end_time = parse_time(payload.get("endDate"))
        lag_s = int(payload.get("customLiveness") or 0) or _USUAL_LIVENESS_S
        return DiscoveredMarket(
            listing=_listing(payload, event, end_time, (str(outcomes[0]), str(outcomes[1]))),
            terms=_terms(payload, event, series, lag_s),
            status=_status(payload, settlement, end_time, now),
            open_time=parse_time(payload.get("startDate")) or parse_time(payload.get("acceptingOrdersTimestamp")),
            expected_settle_time=None if end_time is None else end_time + timedelta(seconds=lag_s),
            result=result,
            settlement_e4=settlement,
            ids=_ids(payload),
            volatile=_volatile(payload),
            payload=payload,
        )
    except (InvalidAmount, TypeError, KeyError, ValueError, AttributeError) as error:
        raise MalformedFrame(repr(payload)[:2000].encode(), f"market list: {error}") from None


def _listing(
    payload: Mapping[str, Any], event: Mapping[str, Any], end_time: datetime | None, outcomes: tuple[str, str]
) -> Listing:
    named = outcomes[0] if outcomes[0].casefold() != "yes" else ""
    return Listing(
        venue=Venue.POLYMARKET,
        market_id=_text(payload, "conditionId"),
        event_id=str(event.get("id") or ""),
        title=_text(payload, "question"),
        subtitle=_text(payload, "groupItemTitle"),
        event_title=_text(event, "title"),
        rules=_text(payload, "description"),
        close_time=end_time,
        outcomes=outcomes,
        yes_means=named or _text(payload, "groupItemTitle"),
        strike=_strike(payload),
        category=_category(payload, event),
    )


def _terms(payload: Mapping[str, Any], event: Mapping[str, Any], series: Mapping[str, Any], lag_s: int) -> MarketTerms:
    tokens = [str(token) for token in json_list(payload.get("clobTokenIds"))]
    if tokens and len(tokens) != 2:
        raise InvalidAmount(f"a market with {len(tokens)} tokens")
    tick = scaled_int(plain_decimal(payload.get("orderPriceMinTickSize") or "0.01"), PRICE_SCALE, "tick")
    return MarketTerms(
        series_id=str(series.get("slug") or event.get("seriesSlug") or ""),
        price_ranges=((0, PRICE_ONE_E4, tick),),
        size_step_e6=10_000,
        min_size_e6=scaled_int(plain_decimal(payload.get("orderMinSize") or "5"), SIZE_SCALE, "minimum size"),
        min_notional_e6=CASH_SCALE,
        fee_schedule=fee_schedule(payload),
        settle_lag_s=lag_s,
        yes_token=tokens[0] if tokens else "",
        no_token=tokens[1] if tokens else "",
        is_neg_risk=bool(payload.get("negRisk")),
        is_exclusive_event=bool(payload.get("negRisk") or event.get("negRisk")),
    )


def fee_schedule(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the market's own schedule; {} for one without fees, the dearest known for one that does not state it."""
    stated = payload.get("feeSchedule")
    if payload.get("feesEnabled") is False:
        return {}
    if isinstance(stated, dict) and stated.get("rate") is not None:
        return {
            "rate": plain_decimal(stated["rate"]),
            "exponent": plain_decimal(stated.get("exponent", 1)),
            "taker_only": bool(stated.get("takerOnly", True)),
        }
    return dict(_DEAREST_SCHEDULE) if payload.get("feesEnabled") else {}


def _status(
    payload: Mapping[str, Any], settlement_e4: int | None, end_time: datetime | None, now: datetime | None
) -> MarketStatus:
    if payload.get("closed"):
        return "closed" if settlement_e4 is None else "settled"
    if _text(payload, "umaResolutionStatus") in _RESOLVED_WORDS:
        return "determined"
    if payload.get("archived"):
        return "closed"
    if not payload.get("active", True):
        return "unopened"
    if payload.get("acceptingOrders", True) and payload.get("enableOrderBook", True):
        return "open"
    # Only the clock tells a market that has ended and waits for its result from one that is halted.
    has_ended = now is not None and end_time is not None and end_time <= now
    return "closed" if has_ended or _text(payload, "umaResolutionStatus") else "paused"


def _settlement(payload: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Return (result, what one YES pays); prices count as a result only once the market is resolved."""
    word = _text(payload, "umaResolutionStatus")
    prices = json_list(payload.get("outcomePrices"))
    # A market may close before its result stands: a proposed or disputed one is not paid yet.
    if not (word in _RESOLVED_WORDS if word else payload.get("closed")) or len(prices) != 2:
        return None, None
    yes, no = (Decimal(plain_decimal(price)) for price in prices)
    if not 0 <= yes <= 1:
        raise InvalidAmount(f"outcome price out of range: {yes}")
    is_result = yes in _BINARY_RESULTS or _text(payload, "marketType") == "scalar"
    if yes + no == 0 or not (word or is_result):
        return None, None
    value = int((yes * PRICE_SCALE).to_integral_value(ROUND_FLOOR))
    return {PRICE_ONE_E4: "yes", 0: "no"}.get(value, "scalar"), value


def _volatile(payload: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for theirs, ours in _VOLATILE.items():
        if payload.get(theirs) not in (None, ""):
            found[ours] = plain_decimal(payload[theirs])
    prices = json_list(payload.get("outcomePrices"))
    if prices:
        found["outcome_prices"] = [plain_decimal(price) for price in prices]
    if payload.get("updatedAt"):
        found["updated_time"] = payload["updatedAt"]
    return found


def _ids(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    ids = [
        ("condition_id", _text(payload, "conditionId")),
        ("gamma_id", str(payload.get("id") or "")),
        ("slug", _text(payload, "slug")),
    ]
    ids += [("token", str(token)) for token in json_list(payload.get("clobTokenIds"))]
    return tuple((kind, value) for kind, value in ids if value)


def _strike(payload: Mapping[str, Any]) -> dict[str, str] | None:
    kind = _text(payload, "sportsMarketType")
    line = payload.get("line")
    if not kind and line is None:
        return None
    return {"type": kind or "line"} | ({} if line is None else {"line": plain_decimal(line)})


def _category(payload: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    stated = _text(payload, "category") or _text(event, "category")
    tag = _first_of(event.get("tags"))
    return stated or str(tag.get("label") or "")


def json_list(value: Any) -> list[Any]:
    """Return a list that Gamma wrote as one, or as JSON inside a string; [] where there is none.

    Raises:
        InvalidAmount: If it is neither.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise InvalidAmount(f"not a JSON list: {value[:60]!r}") from None
    if not isinstance(value, list):
        raise InvalidAmount("not a list")
    return value


def _first_of(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return value[0]
    return {}


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidAmount(f"{name} is not a text")
    return value
