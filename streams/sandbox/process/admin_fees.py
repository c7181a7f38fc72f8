"""The admin port's fee changes: of a Kalshi series or event by appointment, of a Polymarket market at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.market.fees import KalshiFeeSchedule, from_json
from streams.market.identity import Venue
from streams.sandbox.http.fault_injection import FaultySurface
from streams.sandbox.kalshi.app import KalshiApp
from streams.sandbox.kalshi.venue import KalshiVenue
from streams.sandbox.polymarket.app import PolymarketApp


def change_fees(surface: FaultySurface, document: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Carry out what `POST /fees` was given.

    Args:
        surface: The face of the venue that is named.
        document: Kalshi: `series` or `event`, `fee_type`, `fee_multiplier`, `at_ms` (now); Polymarket: `market_id`,
            `schedule`.
        now_ms: The venue's time.

    Returns:
        The answer's JSON values.

    Raises:
        LookupError: If there is no such series, event or market.
        ValueError: If the document cannot be meant.
    """
    if isinstance(surface, KalshiApp):
        return _appoint(surface.kalshi, document, now_ms)
    if not isinstance(surface, PolymarketApp):
        raise LookupError("This venue's fees cannot be changed.")
    market_id, schedule = document.get("market_id"), document.get("schedule")
    if market_id not in surface.exchange.markets:
        raise LookupError(f"There is no market {market_id}.")
    if not isinstance(schedule, dict):
        raise ValueError("schedule is an object with rate, exponent and taker_only, or {} for no fees")
    surface.polymarket.fees.change(str(market_id), schedule)
    return {"market_id": market_id, "schedule": schedule}


def _appoint(venue: KalshiVenue, document: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    named = [name for name in ("series", "event") if name in document]
    if len(named) != 1:
        raise ValueError("name either a series or an event")
    is_event, ticker = named == ["event"], str(document[named[0]])
    if ticker not in (venue.events if is_event else venue.series):
        raise LookupError(f"There is no {named[0]} {ticker}.")
    fee_type, multiplier = document.get("fee_type"), _multiplier_e6(document.get("fee_multiplier"))
    if not is_event and (fee_type is None or multiplier is None):
        raise ValueError("a series needs fee_type and fee_multiplier; null, its series' own, is for events")
    if fee_type is not None and not isinstance(fee_type, str):
        raise ValueError("fee_type is a word")
    at_ms = document.get("at_ms", now_ms)
    if type(at_ms) is not int or at_ms < now_ms:
        raise ValueError(f"at_ms is a whole number of milliseconds, not before now ({now_ms})")
    change_id = venue.fees.schedule(ticker, at_ms, fee_type, multiplier, is_event=is_event)
    venue.fees.apply_due(now_ms)
    return {"id": change_id, named[0]: ticker, "at_ms": at_ms}


def _multiplier_e6(value: Any) -> int | None:
    if value is None:
        return None
    schedule = from_json(Venue.KALSHI, {"fee_multiplier": value})
    assert isinstance(schedule, KalshiFeeSchedule)
    return schedule.multiplier_e6
