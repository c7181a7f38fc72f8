"""Gamma's markets and events as discovered markets. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from streams.market.errors import InvalidAmount
from streams.market.identity import Venue
from streams.market.listing import DiscoveredMarket, Listing, MarketStatus, MarketTerms
from streams.market.units import CASH_SCALE, PRICE_ONE_E4, PRICE_SCALE, SIZE_SCALE, scaled_int
from streams.venues.common.decimals import plain_decimal
from streams.venues.common.listed_fields import end_time, flag, lag_s, ornament, shown
from streams.venues.common.listed_fields import text as _text
from streams.venues.common.responses import read_item
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
_UNRESOLVED_WORDS = frozenset({"", "requested", "proposed", "challenged", "disputed"})
_HALF = Decimal("0.5")
_CONDITION_ID = re.compile(r"0x[0-9a-f]{64}")
_TOKEN_ID = re.compile(r"[1-9][0-9]{0,77}")
_LONGEST_ID = 500
"""A name by which people find a market; one that no index holds is left out."""
_OF_THE_FIRST = ("yes_bid", "yes_ask", "last_price", "spread")
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
        MalformedFrame: If the condition id is missing, outcomes are not two, or what money hangs on cannot be read.
    """
    return read_item(payload, lambda market: _discovered(market, event or {}, series or {}, now))


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two outcomes with their tokens and prices, YES first. `is_turned`: Gamma lists NO first."""

    outcomes: tuple[str, str]
    tokens: tuple[str, ...]
    prices: tuple[Any, ...]
    is_turned: bool


def _discovered(
    payload: dict[str, Any], event: Mapping[str, Any], series: Mapping[str, Any], now: datetime | None
) -> DiscoveredMarket:
    event = event or _event_of(payload)
    series = series or _first_of(event.get("series"))
    market_id, sides = _condition_id(payload), _sides(payload)
    result, settlement = _settlement(payload, sides.prices)
    ends_at = end_time(payload, "endDate")
    liveness_s = lag_s(payload.get("customLiveness") or 0) or _USUAL_LIVENESS_S
    return DiscoveredMarket(
        listing=_listing(payload, event, ends_at, sides.outcomes),
        terms=_terms(payload, event, series, sides.tokens, liveness_s),
        status=_status(payload, settlement, ends_at, now, has_tokens=bool(sides.tokens)),
        open_time=parse_time(payload.get("startDate")) or parse_time(payload.get("acceptingOrdersTimestamp")),
        expected_settle_time=None if ends_at is None else ends_at + timedelta(seconds=liveness_s),
        result=result,
        settlement_e4=settlement,
        ids=_ids(payload, market_id, sides.tokens),
        volatile=_volatile(payload, sides),
        payload=payload,
    )


def _event_of(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the event nested in a market, {} where there is none: whether others exclude it is in there.

    Raises:
        InvalidAmount: If it is something else than a list of objects.
    """
    events = payload.get("events")
    if events is None or events == []:
        return {}
    if not isinstance(events, list) or not isinstance(events[0], dict):
        raise InvalidAmount("events is not a list of objects")
    return events[0]


def _condition_id(payload: Mapping[str, Any]) -> str:
    market_id = _text(payload, "conditionId").lower()
    if not _CONDITION_ID.fullmatch(market_id):
        raise InvalidAmount(f"no condition id: {market_id[:80]!r}")
    return market_id


def _sides(payload: Mapping[str, Any]) -> _Sides:
    """Return outcomes, tokens and prices by the names of the outcomes, not by their places.

    Raises:
        InvalidAmount: If it is not told which token and which price is whose.
    """
    outcomes = tuple(_name_of(name) for name in json_list(payload.get("outcomes")))
    if len(outcomes) != 2 or len({name.casefold() for name in outcomes}) != 2:
        raise InvalidAmount(f"not two outcomes: {outcomes!r}"[:200])
    tokens = tuple(_token_of(token) for token in json_list(payload.get("clobTokenIds")))
    if (tokens and len(set(tokens)) != 2) or len(tokens) > 2:
        raise InvalidAmount(f"not two tokens: {len(tokens)}, different ones {len(set(tokens))}")
    prices = tuple(json_list(payload.get("outcomePrices")))
    if prices and len(prices) != 2:
        raise InvalidAmount(f"{len(prices)} prices of two outcomes")
    words = tuple(name.casefold() for name in outcomes)
    if words == ("no", "yes"):
        return _Sides((outcomes[1], outcomes[0]), tokens[::-1], prices[::-1], is_turned=True)
    if words[0] == "no" or words[1] == "yes":
        raise InvalidAmount(f"outcomes in no known order: {outcomes!r}"[:200])
    return _Sides((outcomes[0], outcomes[1]), tokens, prices, is_turned=False)


def _name_of(outcome: Any) -> str:
    if not isinstance(outcome, str) or not outcome.strip():
        raise InvalidAmount("an outcome without a name")
    return outcome.strip()


def _token_of(token: Any) -> str:
    """Return a token id. A number that was written as one is exact; one that went through a float is another."""
    found = str(token) if isinstance(token, int) and not isinstance(token, bool) else token
    if not isinstance(found, str) or not _TOKEN_ID.fullmatch(found):
        raise InvalidAmount(f"no token id: {str(token)[:90]!r}")
    return found


def _listing(
    payload: Mapping[str, Any], event: Mapping[str, Any], ends_at: datetime | None, outcomes: tuple[str, str]
) -> Listing:
    named = outcomes[0] if outcomes[0].casefold() != "yes" else ""
    return Listing(
        venue=Venue.POLYMARKET,
        market_id=_condition_id(payload),
        event_id=_id_text(event, "id"),
        title=_text(payload, "question"),
        subtitle=_text(payload, "groupItemTitle"),
        event_title=_text(event, "title"),
        rules=_text(payload, "description"),
        close_time=ends_at,
        outcomes=outcomes,
        yes_means=named or _text(payload, "groupItemTitle"),
        strike=_strike(payload),
        category=_category(payload, event),
    )


def _terms(
    payload: Mapping[str, Any],
    event: Mapping[str, Any],
    series: Mapping[str, Any],
    tokens: tuple[str, ...],
    liveness_s: int,
) -> MarketTerms:
    tick = scaled_int(plain_decimal(payload.get("orderPriceMinTickSize") or "0.01"), PRICE_SCALE, "tick")
    if not 0 < tick < PRICE_ONE_E4:
        raise InvalidAmount(f"tick out of range: {tick}")
    is_neg_risk = flag(payload, "negRisk", default=False)
    return MarketTerms(
        series_id=ornament(series, "slug") or ornament(event, "seriesSlug"),
        price_ranges=((0, PRICE_ONE_E4, tick),),
        size_step_e6=10_000,
        min_size_e6=scaled_int(plain_decimal(payload.get("orderMinSize") or "5"), SIZE_SCALE, "minimum size"),
        min_notional_e6=CASH_SCALE,
        fee_schedule=fee_schedule(payload),
        settle_lag_s=liveness_s,
        yes_token=tokens[0] if tokens else "",
        no_token=tokens[1] if tokens else "",
        is_neg_risk=is_neg_risk,
        is_exclusive_event=is_neg_risk or flag(event, "negRisk", default=False),
    )


def fee_schedule(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the market's own schedule; {} for one without fees, the dearest known for one that does not state it."""
    stated = payload.get("feeSchedule")
    is_charged = flag(payload, "feesEnabled", default=False)
    if payload.get("feesEnabled") is not None and not is_charged:
        return {}
    if isinstance(stated, dict) and stated.get("rate") is not None:
        return {
            "rate": plain_decimal(stated["rate"]),
            "exponent": plain_decimal(stated.get("exponent", 1)),
            "taker_only": bool(stated.get("takerOnly", True)),
        }
    return dict(_DEAREST_SCHEDULE) if is_charged else {}


def _status(
    payload: Mapping[str, Any],
    settlement_e4: int | None,
    ends_at: datetime | None,
    now: datetime | None,
    *,
    has_tokens: bool,
) -> MarketStatus:
    word = _text(payload, "umaResolutionStatus")
    if word not in _RESOLVED_WORDS | _UNRESOLVED_WORDS:
        return "unknown"
    if flag(payload, "closed", default=False):
        return "closed" if settlement_e4 is None else "settled"
    if word in _RESOLVED_WORDS:
        return "determined"
    if flag(payload, "archived", default=False):
        return "closed"
    if not flag(payload, "active", default=True):
        return "unopened"
    is_accepting = flag(payload, "acceptingOrders", default=True) and flag(payload, "enableOrderBook", default=True)
    if is_accepting:
        # Nothing can be ordered of a market without tokens.
        return "open" if has_tokens else "unopened"
    # Only the clock tells a market that has ended and waits for its result from one that is halted.
    has_ended = now is not None and ends_at is not None and ends_at <= now
    return "closed" if has_ended or word else "paused"


def _settlement(payload: Mapping[str, Any], prices: tuple[Any, ...]) -> tuple[str | None, int | None]:
    """Return (result, what one YES pays). Only an official final value counts.

    A closed or resolved market may still show the price of its last trade: two outcomes pay 0, 1 or half a dollar each,
    and both together one. Half a dollar may be a traded price too, so the venue must say that it is resolved. What a
    scalar market pays lies anywhere between, where nothing tells it from a traded price: it is not settled by that.
    """
    word = _text(payload, "umaResolutionStatus")
    is_resolved = word in _RESOLVED_WORDS if word else flag(payload, "closed", default=False)
    # A market may close before its result stands: a proposed or disputed one is not paid yet.
    if not is_resolved or not prices:
        return None, None
    yes, no = (Decimal(plain_decimal(price)) for price in prices)
    if not 0 <= yes <= 1:
        raise InvalidAmount(f"outcome price out of range: {yes}")
    is_official = yes in (0, 1) or (yes == _HALF and word in _RESOLVED_WORDS)
    if yes + no != 1 or not is_official:
        return None, None
    value = int(yes * PRICE_SCALE)
    return {PRICE_ONE_E4: "yes", 0: "no"}.get(value, "scalar"), value


def _volatile(payload: Mapping[str, Any], sides: _Sides) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for theirs, ours in _VOLATILE.items():
        # Gamma's best prices are those of the outcome it lists first.
        if payload.get(theirs) not in (None, "") and not (sides.is_turned and ours in _OF_THE_FIRST):
            found[ours] = shown(payload[theirs], plain_decimal)
    if sides.prices:
        prices = [shown(price, plain_decimal) for price in sides.prices]
        found["outcome_prices"] = None if None in prices else prices
    found["updated_time"] = ornament(payload, "updatedAt") or None
    return {name: value for name, value in found.items() if value is not None}


def _ids(payload: Mapping[str, Any], market_id: str, tokens: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    ids = [
        ("condition_id", market_id),
        ("gamma_id", _id_text(payload, "id")),
        ("slug", ornament(payload, "slug")),
        *(("token", token) for token in tokens),
    ]
    return tuple((kind, value) for kind, value in ids if value and len(value) <= _LONGEST_ID)


def _id_text(payload: Mapping[str, Any], name: str) -> str:
    """Return an id that is only a name of something: a text, or a whole number written as one."""
    value = payload.get(name)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ornament(payload, name)


def _strike(payload: Mapping[str, Any]) -> dict[str, str] | None:
    kind = _text(payload, "sportsMarketType")
    line = payload.get("line")
    if not kind and line is None:
        return None
    return {"type": kind or "line"} | ({} if line is None else {"line": plain_decimal(line)})


def _category(payload: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    stated = ornament(payload, "category") or ornament(event, "category")
    return stated or ornament(_first_of(event.get("tags")), "label")


def json_list(value: Any) -> list[Any]:
    """Return a list that Gamma wrote as one, or as JSON inside a string; [] where there is none.

    Raises:
        InvalidAmount: If it is neither.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except ValueError:
            raise InvalidAmount(f"not a JSON list: {value[:60]!r}") from None
    if not isinstance(value, list):
        raise InvalidAmount("not a list")
    return value


def _first_of(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return value[0]
    return {}
