from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.market.errors import InvalidAmount
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, PolymarketFeeSchedule, taker_fee_e6
from streams.market.taker_fees import taker_fees

kalshi = st.builds(
    KalshiFeeSchedule,
    fee_type=st.sampled_from(["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees", "flat"]),
    multiplier_e6=st.one_of(st.sampled_from([0, 500_000, 1_000_000, 2_000_000]), st.integers(0, 3_000_000)),
    account=st.sampled_from(["direct", "fcm"]),
)
polymarket = st.builds(
    PolymarketFeeSchedule,
    rate_e6=st.one_of(st.sampled_from([0, 40_000, 72_000, 250_000]), st.integers(0, 1_000_000)),
    exponent=st.integers(0, 8),
    rounding=st.sampled_from(["floor", "half_up", "ceil"]),
)
schedules: st.SearchStrategy[FeeSchedule] = st.one_of(kalshi, polymarket)
prices = st.integers(1, 9_999)
sizes = st.one_of(st.integers(0, 5_000), st.integers(0, 10**12), st.integers(1, 100_000).map(lambda n: n * 10_000))


@given(schedule=schedules, price=prices, size=sizes)
def test_the_prepared_fee_is_the_fee(schedule: FeeSchedule, price: int, size: int) -> None:
    assert taker_fees(schedule).of(price, size) == taker_fee_e6(price, size, schedule)


@given(schedule=schedules, price=prices, size=sizes)
def test_rounding_never_moves_a_fee_further_than_stated(schedule: FeeSchedule, price: int, size: int) -> None:
    fees = taker_fees(schedule)
    curve = Fraction(price * (10_000 - price), 10**8)
    if isinstance(schedule, KalshiFeeSchedule):
        per_contract = Fraction(schedule.rate_e4(is_taker=True) * schedule.multiplier_e6, 10**10) * curve
    else:
        per_contract = Fraction(schedule.rate_e6, 10**6) * curve**schedule.exponent
    unrounded_e6 = per_contract * size
    assert -fees.under_e6 <= taker_fee_e6(price, size, schedule) - unrounded_e6 <= fees.over_e6
    cost = fees.costs_e12[price] - (Fraction(price, 10_000) + per_contract) * 10**12
    assert 0 <= cost < 1


@pytest.mark.parametrize("price", [0, 10_000, -1])
def test_a_price_that_is_none_is_refused(price: int) -> None:
    for schedule in (KalshiFeeSchedule(), PolymarketFeeSchedule(rate_e6=40_000)):
        with pytest.raises(InvalidAmount):
            taker_fees(schedule).of(price, 1_000_000)
        with pytest.raises(InvalidAmount):
            taker_fees(schedule).costs_e12[price]
        with pytest.raises(InvalidAmount):
            taker_fees(schedule).of(5_000, -1)
