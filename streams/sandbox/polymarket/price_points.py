"""A market's past prices at even steps: the made-up past before it was listed, then what was quoted."""

from __future__ import annotations

from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.candles import Candle, past_candles
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.formats import price_number


def price_points(
    exchange: Exchange, listed: ListedMarket, start_s: int, end_s: int, step_minutes: int, now_ms: int
) -> list[tuple[int, int]]:
    """[(time in s, mid price_e4 of YES)] every `step_minutes` minutes."""
    start = max(start_s * 1000, int(listed.market.open_time.timestamp() * 1000))
    step = max(step_minutes, 1)
    past = past_candles(
        exchange.past_key(listed.market_id), listed.market_id, listed.market.start_price_e4, listed.listed_ms, start,
        end_s * 1000, step,
    )  # fmt: skip
    points = [((candle.minute + step) * 60, _mid(candle)) for candle in past]
    recent = listed.history.between(max(start, listed.listed_ms), end_s * 1000)
    if not recent:
        return points
    by_minute = {candle.minute: _mid(candle) for candle in recent}
    mid = _mid(recent[0])
    for minute in range(recent[0].minute, min(end_s // 60, now_ms // 60_000)):
        mid = by_minute.get(minute, mid)
        if minute % step == 0:
            points.append(((minute + 1) * 60, mid))
    return points


def oriented(mid_e4: int, outcome: Outcome) -> float:
    """A YES price in terms of an outcome, as a JSON number."""
    return price_number(mid_e4 if outcome == "yes" else PRICE_ONE_E4 - mid_e4)


def _mid(candle: Candle) -> int:
    return (candle.bid_close + candle.ask_close) // 2
