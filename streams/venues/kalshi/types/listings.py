"""Kalshi's events, markets and series as discovered markets. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from streams.market.errors import InvalidAmount
from streams.market.identity import Venue
from streams.market.listing import DiscoveredMarket, Listing, MarketStatus, MarketTerms
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE, scaled_int
from streams.venues.common.decimals import plain_decimal, wire_whole
from streams.venues.common.listed_fields import end_time, flag, lag_s, ornament, shown
from streams.venues.common.listed_fields import text as _text
from streams.venues.common.responses import read_item
from streams.venues.common.times import parse_time

_STATUS: dict[str, MarketStatus] = {
    "initialized": "unopened",
    "unopened": "unopened",
    "active": "open",
    "open": "open",
    "inactive": "paused",
    "paused": "paused",
    "closed": "closed",
    "determined": "determined",
    "disputed": "determined",
    "amended": "determined",
    "finalized": "settled",
    "settled": "settled",
}
_VOLATILE = {
    "yes_bid_dollars": "yes_bid",
    "yes_ask_dollars": "yes_ask",
    "yes_bid_size_fp": "yes_bid_size",
    "yes_ask_size_fp": "yes_ask_size",
    "last_price_dollars": "last_price",
    "volume_fp": "volume",
    "volume_24h_fp": "volume_24h",
    "open_interest_fp": "open_interest",
    "updated_time": "updated_time",
}
_RESULTS = frozenset({"yes", "no", "scalar"})
_TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_WHOLE_CENTS = ((0, PRICE_ONE_E4, 100),)


def parse_market(
    payload: dict[str, Any],
    event: Mapping[str, Any] | None = None,
    series: Mapping[str, Any] | None = None,
    *,
    now: datetime | None = None,
    readings: Mapping[str, Any] | None = None,
) -> DiscoveredMarket:
    """Return one market of a list or of `GET /markets/{ticker}`.

    Args:
        payload: The market's JSON; kept unchanged.
        event: Its event's JSON: title, exclusivity, series and fee overrides are not on the market.
        series: Its series' JSON, for the fee schedule and category.
        now: The instant of the reading. Kalshi does not say that a market passed its close; the time does.
        readings: What no market states of its fees: see `fees.kalshi_readings`.

    Raises:
        MalformedFrame: If the ticker, event or status is missing, or a number cannot be read.
    """
    found_event, found_series = event or {}, series or {}
    return read_item(payload, lambda market: _discovered(market, found_event, found_series, now, readings or {}))


def _discovered(
    payload: dict[str, Any],
    event: Mapping[str, Any],
    series: Mapping[str, Any],
    now: datetime | None,
    readings: Mapping[str, Any],
) -> DiscoveredMarket:
    ticker, event_ticker = _text(payload, "ticker"), _text(payload, "event_ticker")
    if not _TICKER.fullmatch(ticker) or not _TICKER.fullmatch(event_ticker):
        raise InvalidAmount(f"no ticker of a market and its event: {ticker[:60]!r}, {event_ticker[:60]!r}")
    if _text(event, "event_ticker") not in ("", event_ticker):
        raise InvalidAmount(f"a market of {event_ticker} under {_text(event, 'event_ticker')[:60]!r}")
    close_time = end_time(payload, "close_time")
    return DiscoveredMarket(
        listing=_listing(payload, event, series, close_time),
        terms=_terms(payload, event, series, readings),
        status=_status(_text(payload, "status"), close_time, now),
        open_time=parse_time(payload.get("open_time")),
        expected_settle_time=_expected_settle_time(payload),
        result=_result(payload),
        settlement_e4=_settlement_e4(payload),
        ids=(("ticker", ticker),),
        volatile={ours: payload[theirs] for theirs, ours in _VOLATILE.items() if _is_shown(payload.get(theirs))},
        payload=payload,
    )


def _listing(
    payload: Mapping[str, Any], event: Mapping[str, Any], series: Mapping[str, Any], close_time: datetime | None
) -> Listing:
    rules = [_text(payload, "rules_primary"), _text(payload, "rules_secondary")]
    return Listing(
        venue=Venue.KALSHI,
        market_id=_text(payload, "ticker"),
        event_id=_text(payload, "event_ticker"),
        title=_text(payload, "title"),
        subtitle=_text(payload, "subtitle") or _text(payload, "yes_sub_title"),
        event_title=" ".join(part for part in (_text(event, "title"), _text(event, "sub_title")) if part),
        rules="\n\n".join(part for part in rules if part),
        close_time=close_time,
        yes_means=_text(payload, "yes_sub_title"),
        strike=_strike(payload),
        category=ornament(event, "category") or ornament(series, "category"),
    )


def _terms(
    payload: Mapping[str, Any], event: Mapping[str, Any], series: Mapping[str, Any], readings: Mapping[str, Any]
) -> MarketTerms:
    index = payload.get("exchange_index", event.get("exchange_index"))
    return MarketTerms(
        series_id=_text(event, "series_ticker") or _text(series, "ticker"),
        price_ranges=price_ranges(payload.get("price_ranges")),
        size_step_e6=10_000,
        min_size_e6=10_000,
        fee_schedule=fee_schedule(event, series, readings),
        settle_lag_s=lag_s(payload.get("settlement_timer_seconds") or 0),
        exchange_index=shown(index, wire_whole),
        is_exclusive_event=flag(event, "mutually_exclusive", default=False),
    )


def price_ranges(ranges: Any) -> tuple[tuple[int, int, int], ...]:
    """Return `[{start, end, step}]` as integers; whole cents where a market states none.

    Raises:
        InvalidAmount: If a number cannot be read or a step is not above zero.
    """
    if not ranges:
        return _WHOLE_CENTS
    found = tuple(sorted((_e4(entry, "start"), _e4(entry, "end"), _e4(entry, "step")) for entry in ranges))
    if any(step <= 0 or not 0 <= start < end <= PRICE_ONE_E4 for start, end, step in found):
        raise InvalidAmount("a price range without a step, or beyond 0 and 1")
    return found


def _e4(entry: Mapping[str, Any], name: str) -> int:
    return scaled_int(plain_decimal(entry[name]), PRICE_SCALE, name)


def fee_schedule(
    event: Mapping[str, Any], series: Mapping[str, Any], readings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the schedule in force: the event's overrides, else the series' own; {} where neither is known.

    Type and multiplier are overridden one by one. `readings` are put beside them: see `fees.kalshi_readings`. That a
    market's fees are waived for a time (`fee_waiver_expiration_time`) is not counted on.

    A fee type we do not know is kept as it is, so that whoever prices a trade refuses it.
    """
    fee_type = event.get("fee_type_override") or series.get("fee_type")
    multiplier = event.get("fee_multiplier_override")
    if multiplier is None:
        multiplier = series.get("fee_multiplier")
    schedule: dict[str, Any] = {}
    if fee_type:
        schedule["fee_type"] = fee_type
    if multiplier is not None:
        schedule["fee_multiplier"] = plain_decimal(multiplier)
    return schedule | dict(readings or {})


def _strike(payload: Mapping[str, Any]) -> dict[str, str] | None:
    kind = _text(payload, "strike_type")
    if not kind:
        return None
    strike = {"type": kind}
    for name in ("floor", "cap"):
        value = payload.get(f"{name}_strike")
        if value is not None:
            strike[name] = plain_decimal(value)
    if payload.get("functional_strike"):
        strike["functional"] = str(payload["functional_strike"])
    custom = payload.get("custom_strike")
    if isinstance(custom, dict):
        strike |= {f"custom_{name}": str(value) for name, value in sorted(custom.items())}
    return strike


def _status(word: str, close_time: datetime | None, now: datetime | None) -> MarketStatus:
    if not word:
        raise InvalidAmount("a market without status")
    status = _STATUS.get(word, "unknown")
    if status in ("open", "paused") and now is not None and close_time is not None and close_time <= now:
        return "closed"
    return status


def _expected_settle_time(payload: Mapping[str, Any]) -> datetime | None:
    expected = parse_time(payload.get("expected_expiration_time")) or parse_time(payload.get("close_time"))
    if expected is None:
        return None
    return expected + timedelta(seconds=lag_s(payload.get("settlement_timer_seconds") or 0))


def _result(payload: Mapping[str, Any]) -> str | None:
    """Return the result; None while there is none, and for a word that we do not know."""
    result = _text(payload, "result")
    return result if result in _RESULTS else None


def _settlement_e4(payload: Mapping[str, Any]) -> int | None:
    """Return what one YES pays. Only a result with its own value counts, and no result pays a price in between."""
    result = _result(payload)
    if result is None:
        return None
    stated = payload.get("settlement_value_dollars")
    value = None if stated in (None, "") else scaled_int(plain_decimal(stated), PRICE_SCALE, "settlement value")
    if value is not None and not 0 <= value <= PRICE_ONE_E4:
        raise InvalidAmount(f"settlement value out of range: {value}")
    if result == "scalar":
        return value
    official = PRICE_ONE_E4 if result == "yes" else 0
    # A last traded price may stand where the value will; it settles nothing.
    return official if value in (None, official) else None


def _is_shown(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
