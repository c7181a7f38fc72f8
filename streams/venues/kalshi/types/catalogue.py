"""Kalshi's series, events, markets and fee changes as the venue states them now. Pure.

`listings` makes of the same JSON what both venues have in common; this is Kalshi's own, with the payload kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.market.errors import InvalidAmount
from streams.market.units import scaled_int
from streams.venues.common.decimals import plain_decimal, wire_bound_e4, wire_size_e6, wire_whole
from streams.venues.common.listed_fields import id_of, shown
from streams.venues.common.times import parse_time
from streams.venues.kalshi.types.listings import price_ranges

_MULTIPLIER_SCALE = 1_000_000


@dataclass(frozen=True, slots=True)
class Series:
    """A series of events. Only its ticker must be there; lists the venue leaves out or null are empty.

    Attributes:
        fee_type: The venue's word, also one we do not know.
    """

    ticker: str
    title: str
    category: str
    frequency: str
    fee_type: str
    exchange_index: int | None
    tags: tuple[str, ...]
    payload: dict[str, Any]

    @property
    def multiplier_e6(self) -> int | None:
        """The fee multiplier in 1/1,000,000, None where none is stated. Raises InvalidAmount if it is no number."""
        return _multiplier_e6(self.payload.get("fee_multiplier"))


@dataclass(frozen=True, slots=True)
class Event:
    """An event. Only its ticker must be there.

    Attributes:
        collateral: MECNET, DIRECNET or empty: how holdings in its markets net.
        fee_type_override: Stands above the series' own; None where it does not override.
        payload: As the venue sent it, with `markets` where they were nested or beside it.
    """

    ticker: str
    series_ticker: str
    title: str
    sub_title: str
    category: str
    is_exclusive: bool
    collateral: str
    fee_type_override: str | None
    exchange_index: int | None
    payload: dict[str, Any]

    @property
    def multiplier_override_e6(self) -> int | None:
        """The fee multiplier that stands above the series' own; None where it does not. Raises InvalidAmount."""
        return _multiplier_e6(self.payload.get("fee_multiplier_override"))

    def markets(self) -> list[Market]:
        """Return the markets that came with it; raises KeyError or InvalidAmount where one cannot be read."""
        return [parse_market_state(entry) for entry in self.payload.get("markets") or []]


@dataclass(frozen=True, slots=True)
class Market:
    """A market with its best prices. These are cached by the venue for up to 15 s: not for orders.

    Attributes:
        status: The venue's word: initialized, active, inactive, closed, determined, disputed, amended, finalized.
        bid_e4 / ask_e4: Best YES prices; None on an empty side.
        last_e4: Price of the last trade; None where there was none.
        result: yes, no, scalar or empty.
        settlement_e4: What one YES pays; None until it is decided.
        ranges: (start, end, step) of the price grid in 1/10,000 dollar.
    """

    ticker: str
    event_ticker: str
    kind: str
    status: str
    bid_e4: int | None
    ask_e4: int | None
    bid_size_e6: int
    ask_size_e6: int
    last_e4: int | None
    volume_e6: int
    open_interest_e6: int
    open_time: datetime | None
    close_time: datetime | None
    result: str
    settlement_e4: int | None
    settled_at: datetime | None
    ranges: tuple[tuple[int, int, int], ...]
    exchange_index: int | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FeeChange:
    """A scheduled change of a series' fees, or of an event's overrides.

    Attributes:
        event_ticker: Empty for a change of the series itself.
        fee_type: The venue's word, also one we do not know; None clears an override.
        multiplier_e6: In 1/1,000,000; None clears an override.
        starts_at: From when on.
    """

    change_id: str
    series_ticker: str
    event_ticker: str
    fee_type: str | None
    multiplier_e6: int | None
    starts_at: datetime | None
    payload: dict[str, Any]


def parse_series(document: dict[str, Any]) -> Series:
    """Return one series; its ticker is empty where it has none. Raises KeyError or InvalidAmount if it is no text."""
    tags = document.get("tags")
    ticker = document["ticker"]
    if not isinstance(ticker, str | None):
        raise InvalidAmount("a series whose ticker is no text")
    return Series(
        ticker=ticker or "",
        title=str(document.get("title") or ""),
        category=str(document.get("category") or ""),
        frequency=str(document.get("frequency") or ""),
        fee_type=str(document.get("fee_type") or ""),
        exchange_index=shown(document.get("exchange_index"), wire_whole),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        payload=document,
    )


def parse_event(document: dict[str, Any], markets: list[dict[str, Any]] | None = None) -> Event:
    """Return one event; raises KeyError where it has no ticker.

    Args:
        document: The event's JSON.
        markets: Its markets, where the answer has them beside the event instead of in it.
    """
    payload = document if document.get("markets") or not markets else document | {"markets": markets}
    return Event(
        ticker=id_of(document, "event_ticker"),
        series_ticker=str(document.get("series_ticker") or ""),
        title=str(document.get("title") or ""),
        sub_title=str(document.get("sub_title") or ""),
        category=str(document.get("category") or ""),
        is_exclusive=bool(document.get("mutually_exclusive")),
        collateral=str(document.get("collateral_return_type") or ""),
        fee_type_override=document.get("fee_type_override") or None,
        exchange_index=shown(document.get("exchange_index"), wire_whole),
        payload=payload,
    )


def parse_market_state(document: dict[str, Any]) -> Market:
    """Return one market; raises KeyError or InvalidAmount where it is not one."""
    bid, ask = _bound(document, "yes_bid_dollars"), _bound(document, "yes_ask_dollars")
    return Market(
        ticker=id_of(document, "ticker"),
        event_ticker=id_of(document, "event_ticker"),
        kind=str(document.get("market_type") or ""),
        status=str(document["status"]),
        # An empty side reads 0 or 1.
        bid_e4=bid or None,
        ask_e4=None if ask == 10_000 else ask,
        bid_size_e6=_size(document, "yes_bid_size_fp"),
        ask_size_e6=_size(document, "yes_ask_size_fp"),
        last_e4=_bound(document, "last_price_dollars") or None,
        volume_e6=_size(document, "volume_fp"),
        open_interest_e6=_size(document, "open_interest_fp"),
        open_time=parse_time(document.get("open_time")),
        close_time=parse_time(document.get("close_time")),
        result=str(document.get("result") or ""),
        settlement_e4=_bound(document, "settlement_value_dollars"),
        settled_at=parse_time(document.get("settlement_ts")),
        ranges=price_ranges(document.get("price_ranges")),
        exchange_index=shown(document.get("exchange_index"), wire_whole),
        payload=document,
    )


def parse_series_fee_change(document: dict[str, Any]) -> FeeChange:
    """Return one entry of `series_fee_change_arr`; raises KeyError or InvalidAmount."""
    return FeeChange(
        change_id=id_of(document, "id"),
        series_ticker=id_of(document, "series_ticker"),
        event_ticker="",
        fee_type=document["fee_type"],
        multiplier_e6=_multiplier_e6(document["fee_multiplier"]),
        starts_at=parse_time(document.get("scheduled_ts")),
        payload=document,
    )


def parse_event_fee_change(document: dict[str, Any]) -> FeeChange:
    """Return one entry of `event_fee_changes`; raises KeyError or InvalidAmount."""
    return FeeChange(
        change_id=id_of(document, "id"),
        series_ticker=str(document.get("series_ticker") or ""),
        event_ticker=id_of(document, "event_ticker"),
        fee_type=document.get("fee_type_override"),
        multiplier_e6=_multiplier_e6(document.get("fee_multiplier_override")),
        starts_at=parse_time(document.get("scheduled_ts")),
        payload=document,
    )


def _multiplier_e6(value: Any) -> int | None:
    if value is None:
        return None
    multiplier = scaled_int(plain_decimal(value), _MULTIPLIER_SCALE, "fee multiplier")
    if multiplier < 0:
        raise InvalidAmount(f"a fee multiplier below zero: {value!r}")
    return multiplier


def _bound(document: dict[str, Any], name: str) -> int | None:
    value = document.get(name)
    return None if value in (None, "") else wire_bound_e4(value)


def _size(document: dict[str, Any], name: str) -> int:
    value = document.get(name)
    return wire_size_e6(value) if value else 0
