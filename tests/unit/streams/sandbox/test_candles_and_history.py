"""Candles: the made-up past is a pure function that ends at the start price; what happens is folded exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.sandbox.core.candles import (
    MINUTE_MS,
    MadeUpPast,
    MarketHistory,
    PastKey,
    grouped,
    past_candles,
    past_mid_e4,
)

ANCHOR = 29_900_000 * MINUTE_MS
DAY = 1_440


def test_the_past_ends_at_the_start_price() -> None:
    assert past_mid_e4(PastKey("fact"), "M", 4_300, 0) == 4_300
    assert abs(past_mid_e4(PastKey("fact"), "M", 4_300, 1) - 4_300) < 150


@given(st.integers(100, 9_900), st.integers(0, 20 * DAY), st.text(max_size=8), st.booleans())
def test_the_past_is_the_same_every_time_and_stays_between_0_and_1(
    start: int, minutes: int, name: str, inverse: bool
) -> None:
    key = PastKey(name, inverse)
    price = past_mid_e4(key, "M", start, minutes)
    assert price == past_mid_e4(key, "M", start, minutes)
    assert 0 < price < 10_000


def test_markets_of_one_contract_move_together_and_the_inverse_against_them() -> None:
    back = range(0, 3 * DAY, 60)
    one = [past_mid_e4(PastKey("fact"), "A", 5_000, m) for m in back]
    same = [past_mid_e4(PastKey("fact"), "B", 5_000, m) for m in back]
    inverse = [past_mid_e4(PastKey("fact", True), "C", 5_000, m) for m in back]
    spread = max(one) - min(one)
    assert spread > 100
    assert max(abs(a - b) for a, b in zip(one, same, strict=True)) < spread
    assert sum(abs(a - (10_000 - c)) for a, c in zip(one, inverse, strict=True)) / len(one) < spread / 2


def test_seven_days_of_hours_are_168_candles_with_ordered_prices() -> None:
    start = ANCHOR - 7 * DAY * MINUTE_MS
    candles = list(past_candles(MadeUpPast(PastKey("f"), "M", 5_000, ANCHOR), start, ANCHOR, 60))
    assert len(candles) == 168
    for candle in candles:
        assert candle.bid_low <= candle.bid_open <= candle.bid_high
        assert candle.bid_close < candle.ask_close
        assert (candle.volume_e6 == 0) == (candle.open_e4 == 0)


def test_quotes_and_prints_fold_into_minutes_and_hours() -> None:
    history = MarketHistory()
    history.quote(ANCHOR, 4_900, 5_100)
    history.trade(ANCHOR + 1_000, 5_100, 2_000_000, 7)
    history.quote(ANCHOR + 2_000, 5_000, 5_200)
    history.trade(ANCHOR + MINUTE_MS, 5_000, 1_000_000, 8)
    first, second = history.between(0, ANCHOR + 10 * MINUTE_MS)
    assert (first.bid_open, first.bid_close, first.bid_high) == (4_900, 5_000, 5_000)
    assert (second.bid_open, second.previous_e4) == (5_000, 5_100)
    hour = grouped([first, second], 60)[0]
    assert (hour.open_e4, hour.close_e4, hour.volume_e6, hour.interest_e6) == (5_100, 5_000, 3_000_000, 8)
    assert hour.value_e10 == 5_100 * 2_000_000 + 5_000 * 1_000_000
