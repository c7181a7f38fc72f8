"""Minute candles of a market: kept from real quotes and prints since the anchor, made up before it.

What lies before a sandbox's first start is a pure function of a key and the minute, in integers: value noise of several
periods, shifted so that it ends at the market's start price. Markets that settle alike share a key, so that their
made-up pasts move together as real ones do; a little noise of each market's own is added.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from struct import Struct

from streams.market.units import PRICE_ONE_E4

MINUTE_MS = 60_000
_KEPT_MINUTES = 10_080
_PERIODS = (7, 31, 127, 509, 2_039, 8_191)
_OWN_PERIODS = (11, 47)
_SWING_E4_PER_SQRT_MINUTE = 12
_LEAST_E4, _MOST_E4 = 100, 9_900


@dataclass(slots=True)
class Candle:
    """One minute. Quotes are `price_e4` (0 and 10,000 for an empty side); trade prices are 0 when nothing traded."""

    minute: int
    bid_open: int
    bid_high: int
    bid_low: int
    bid_close: int
    ask_open: int
    ask_high: int
    ask_low: int
    ask_close: int
    open_e4: int = 0
    high_e4: int = 0
    low_e4: int = 0
    close_e4: int = 0
    volume_e6: int = 0
    value_e10: int = 0
    interest_e6: int = 0
    previous_e4: int = 0


_FIELDS = tuple(field.name for field in fields(Candle))
_PACKED, _MINUTE = Struct("<I12H3qH"), Struct("<I")


class MarketHistory:
    """The candles of one market since the anchor; a minute in which nothing changed has none.

    Minutes that are over are packed: 54 bytes each instead of some 450, for there are hundreds a minute.
    """

    __slots__ = ("_open", "_over", "last_e4")

    def __init__(self) -> None:
        self._over = bytearray()
        self._open: Candle | None = None
        self.last_e4 = 0

    def quote(self, now_ms: int, bid_e4: int, ask_e4: int) -> None:
        """Note the best prices."""
        candle = self._at(now_ms, bid_e4, ask_e4)
        candle.bid_close, candle.ask_close = bid_e4, ask_e4
        if bid_e4 > candle.bid_high:
            candle.bid_high = bid_e4
        elif bid_e4 < candle.bid_low:
            candle.bid_low = bid_e4
        if ask_e4 > candle.ask_high:
            candle.ask_high = ask_e4
        elif ask_e4 < candle.ask_low:
            candle.ask_low = ask_e4

    def trade(self, now_ms: int, price_e4: int, size_e6: int, interest_e6: int) -> None:
        """Note a print."""
        bid, ask = (self._open.bid_close, self._open.ask_close) if self._open else (0, PRICE_ONE_E4)
        candle = self._at(now_ms, bid, ask)
        candle.open_e4 = candle.open_e4 or price_e4
        candle.high_e4 = max(candle.high_e4, price_e4)
        candle.low_e4 = min(candle.low_e4 or price_e4, price_e4)
        candle.close_e4 = self.last_e4 = price_e4
        candle.volume_e6 += size_e6
        candle.value_e10 += price_e4 * size_e6
        candle.interest_e6 = interest_e6

    def between(self, start_ms: int, end_ms: int) -> list[Candle]:
        """The candles whose minute ends in (start, end]."""
        first, last = self._index(start_ms // MINUTE_MS), self._index(end_ms // MINUTE_MS)
        found = [Candle(*_PACKED.unpack_from(self._over, index * _PACKED.size)) for index in range(first, last)]
        if self._open is not None and start_ms // MINUTE_MS <= self._open.minute < end_ms // MINUTE_MS:
            found.append(replace(self._open))
        return found

    def _index(self, minute: int) -> int:
        """How many minutes that are over lie before this one."""
        count = len(self._over) // _PACKED.size
        return bisect_left(range(count), minute, key=self._minute_of)

    def _minute_of(self, index: int) -> int:
        return int(_MINUTE.unpack_from(self._over, index * _PACKED.size)[0])

    def _at(self, now_ms: int, bid: int, ask: int) -> Candle:
        minute, before = now_ms // MINUTE_MS, self._open
        if before is not None:
            if before.minute >= minute:
                return before
            bid, ask = before.bid_close, before.ask_close
            self._over += _PACKED.pack(*(getattr(before, name) for name in _FIELDS))
            if len(self._over) > _KEPT_MINUTES * _PACKED.size:
                del self._over[: _KEPT_MINUTES // 10 * _PACKED.size]
        self._open = Candle(minute, bid, bid, bid, bid, ask, ask, ask, ask, previous_e4=self.last_e4)
        return self._open


@dataclass(frozen=True, slots=True)
class PastKey:
    """What a made-up past follows: a key shared by markets that settle alike, turned around for the inverse."""

    key: str
    is_complement: bool = False


def past_mid_e4(key: PastKey, market_id: str, start_e4: int, minutes_back: int) -> int:
    """Return the mid price `minutes_back` minutes before the anchor (0 gives the start price), as `price_e4`."""
    if minutes_back <= 0:
        return start_e4
    sign = -1 if key.is_complement else 1
    swing = sign * _noise(key.key, _PERIODS, minutes_back) + _noise(market_id, _OWN_PERIODS, minutes_back) // 4
    # prices near 0 and 1 move less: scaled by 4 p (1 - p)
    swing = swing * 4 * start_e4 * (PRICE_ONE_E4 - start_e4) // PRICE_ONE_E4**2
    return min(max(start_e4 + swing, min(_LEAST_E4, start_e4)), max(_MOST_E4, start_e4))


def _noise(key: str, periods: Sequence[int], minutes_back: int) -> int:
    total = 0
    for period in periods:
        cell, rest = divmod(minutes_back, period)
        left, right = _value(key, period, cell), _value(key, period, cell + 1)
        total += left + (right - left) * rest // period - _value(key, period, 0)
    return total


def _value(key: str, period: int, cell: int) -> int:
    amplitude = _SWING_E4_PER_SQRT_MINUTE * int(period**0.5)
    drawn = zlib.crc32(f"{key}:{period}:{cell}".encode())
    return drawn % (2 * amplitude + 1) - amplitude


@dataclass(frozen=True, slots=True)
class MadeUpPast:
    """The prices of one market before it was listed.

    Attributes:
        key: What they follow.
        market_id: Whose they are; it gives them noise of their own.
        start_e4: The YES price they lead to, as `price_e4`.
        anchor_ms: When the market was listed and they end.
    """

    key: PastKey
    market_id: str
    start_e4: int
    anchor_ms: int


def past_candles(past: MadeUpPast, start_ms: int, end_ms: int, step_minutes: int) -> Iterator[Candle]:
    """Yield the made-up candles before the anchor, one per `step_minutes`, oldest first; sparse trades included."""
    anchor = past.anchor_ms // MINUTE_MS
    first = -(-(start_ms // MINUTE_MS) // step_minutes) * step_minutes
    last = min(end_ms // MINUTE_MS, anchor)
    for minute in range(first, last, step_minutes):
        points = [
            past_mid_e4(past.key, past.market_id, past.start_e4, anchor - minute - offset)
            for offset in range(0, step_minutes, max(1, step_minutes // 4))
        ]
        yield _past_candle(past.market_id, minute, points)


def _past_candle(market_id: str, minute: int, points: list[int]) -> Candle:
    cents = [point // 100 * 100 for point in points]
    bids = [max(100, cent - (100 if point - cent < 50 else 0)) for cent, point in zip(cents, points, strict=True)]
    asks = [min(9_900, max(bid + 100, cent + 100)) for bid, cent in zip(bids, cents, strict=True)]
    candle = Candle(
        minute, bids[0], max(bids), min(bids), bids[-1], asks[0], max(asks), min(asks), asks[-1], previous_e4=bids[0]
    )
    drawn = zlib.crc32(f"{market_id}:volume:{minute}".encode())
    if drawn % 5 == 0:
        candle.volume_e6 = (1 + drawn % 97) * 1_000_000
        candle.open_e4, candle.close_e4 = bids[0], asks[-1]
        candle.high_e4, candle.low_e4 = max(asks), min(bids)
        candle.value_e10 = candle.volume_e6 * (candle.low_e4 + candle.high_e4) // 2
        candle.interest_e6 = candle.volume_e6
    return candle


def grouped(candles: Sequence[Candle], step_minutes: int) -> list[Candle]:
    """Fold minute candles into candles of `step_minutes`."""
    folded: list[Candle] = []
    for candle in candles:
        minute = candle.minute // step_minutes * step_minutes
        if folded and folded[-1].minute == minute:
            _fold(folded[-1], candle)
        else:
            copy = Candle(**{name: getattr(candle, name) for name in Candle.__slots__})
            copy.minute = minute
            folded.append(copy)
    return folded


def _fold(into: Candle, candle: Candle) -> None:
    into.bid_high, into.bid_low = max(into.bid_high, candle.bid_high), min(into.bid_low, candle.bid_low)
    into.ask_high, into.ask_low = max(into.ask_high, candle.ask_high), min(into.ask_low, candle.ask_low)
    into.bid_close, into.ask_close = candle.bid_close, candle.ask_close
    if candle.volume_e6:
        into.open_e4 = into.open_e4 or candle.open_e4
        into.high_e4 = max(into.high_e4, candle.high_e4)
        into.low_e4 = min(into.low_e4 or candle.low_e4, candle.low_e4)
        into.close_e4 = candle.close_e4
        into.volume_e6 += candle.volume_e6
        into.value_e10 += candle.value_e10
        into.interest_e6 = candle.interest_e6
