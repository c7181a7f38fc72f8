"""Integer units: exact in, exact out, rounded once and against us."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.market import units
from streams.market.errors import InvalidAmount


@pytest.mark.parametrize(
    ("text", "expected"), [("0.5", 5_000), ("0.0001", 1), ("1", 10_000), ("0.9900", 9_900), (Decimal("0.07"), 700)]
)
def test_prices_become_integers(text: str | Decimal, expected: int) -> None:
    assert units.price_e4(text) == expected


@pytest.mark.parametrize("text", ["0.00001", "abc", "", "NaN", "Infinity"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        units.price_e4(text)


def test_a_binary_float_is_refused() -> None:
    with pytest.raises(InvalidAmount, match="binary float"):
        units.size_e6(0.1)  # type: ignore[arg-type]


def test_a_product_is_rounded_against_us() -> None:
    # 0.3333 dollars x 0.000001 contracts = 0.0000003333 dollars
    assert units.cash_e6_of(3_333, 1, paying=True) == 1
    assert units.cash_e6_of(3_333, 1, paying=False) == 0


@given(st.integers(0, 10_000), st.integers(0, 10**15))
def test_paying_and_receiving_differ_by_at_most_one_unit(price: int, size: int) -> None:
    paid = units.cash_e6_of(price, size, paying=True)
    received = units.cash_e6_of(price, size, paying=False)
    assert 0 <= paid - received <= 1
    assert paid * units.PRICE_SCALE >= price * size >= received * units.PRICE_SCALE
