"""Taker fees of one schedule prepared for walking books: exact as `fees.taker_fee_e6`, but without objects per fill.

A walk asks two things of a schedule: the exact fee of a fill, and what a contract costs at a price with its fee before
rounding. The second decides nearly every level; how far rounding can move a fill from it is a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from math import gcd

from streams.market.errors import InvalidAmount
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.units import CASH_SCALE, PRICE_ONE_E4, PRICE_SCALE, SIZE_SCALE

_RATE_SCALE = 1_000_000
_E12 = 10**12
_PRICE_TO_E12 = _E12 // PRICE_SCALE
_POLYMARKET_STEP_E6 = 10


class ContractCosts(dict[int, int]):
    """Price in 1/10,000 dollar -> price and unrounded fee of one contract in 1e-12 dollar, rounded up. Fills itself."""

    __slots__ = ("_numerator", "_power", "_scale")

    def __init__(self, numerator: int, scale: int, power: int) -> None:
        super().__init__()
        self._numerator, self._scale, self._power = numerator, scale, power

    def __missing__(self, price_e4: int) -> int:
        _check_price(price_e4)
        curve: int = (price_e4 * (PRICE_ONE_E4 - price_e4)) ** self._power
        cost = price_e4 * _PRICE_TO_E12 - (-self._numerator * curve * _E12 // self._scale)
        self[price_e4] = cost
        return cost


class TakerFees:
    """The fees a taker pays under one schedule. Make it with `taker_fees`.

    Attributes:
        of: (price_e4, size_e6) -> fee of one fill that is alone in its order, in 1/1,000,000 dollar, as `taker_fee_e6`.
        costs_e12: What one contract costs with its fee before rounding.
        over_e6: The most a fill's fee can exceed the unrounded one.
        under_e6: The most it can fall short of it.
        schedule: Whose fees they are.
    """

    __slots__ = ("costs_e12", "of", "over_e6", "schedule", "under_e6")

    def __init__(self, schedule: FeeSchedule) -> None:
        self.schedule = schedule
        if isinstance(schedule, KalshiFeeSchedule):
            numerator, scale = schedule.rate_e4(is_taker=True) * schedule.multiplier_e6, PRICE_SCALE * _RATE_SCALE
            power, self.over_e6, self.under_e6 = 1, schedule.step_e6 + 1, 0
            self.of = _kalshi(schedule)
        else:
            numerator, scale, power = schedule.rate_e6, _RATE_SCALE, schedule.exponent
            self.over_e6 = self.under_e6 = _POLYMARKET_STEP_E6
            self.of = _polymarket(schedule)
        self.costs_e12 = ContractCosts(numerator, scale * int(PRICE_SCALE**2) ** power, power)


@lru_cache(maxsize=256)
def taker_fees(schedule: FeeSchedule) -> TakerFees:
    """Return the prepared fees of a schedule; the same object for equal schedules."""
    return TakerFees(schedule)


def _kalshi(schedule: KalshiFeeSchedule) -> Callable[[int, int], int]:
    numerator = schedule.rate_e4(is_taker=True) * schedule.multiplier_e6
    scale = PRICE_SCALE * _RATE_SCALE * SIZE_SCALE * PRICE_SCALE**2 // CASH_SCALE
    common = gcd(numerator, scale)
    factor, divisor, step = -numerator // common, scale // common, schedule.step_e6

    def fee(price_e4: int, size_e6: int) -> int:
        if not 0 < price_e4 < PRICE_ONE_E4 or size_e6 < 0:
            _refuse(price_e4, size_e6)
        product = price_e4 * size_e6
        principal = -(-product // PRICE_SCALE)
        # The balance pays principal and fee, each rounded up, in whole steps; no step is left to be paid back.
        unrounded = principal - factor * product * (PRICE_ONE_E4 - price_e4) // divisor
        return -(-unrounded // step) * step - principal

    return fee


def _polymarket(schedule: PolymarketFeeSchedule) -> Callable[[int, int], int]:
    rate, power = schedule.rate_e6, schedule.exponent
    divisor = SIZE_SCALE * _RATE_SCALE * int(PRICE_SCALE**2) ** power * _POLYMARKET_STEP_E6 // CASH_SCALE
    offset = {"floor": 0, "half_up": divisor // 2, "ceil": divisor - 1}[schedule.rounding]

    def fee(price_e4: int, size_e6: int) -> int:
        if not 0 < price_e4 < PRICE_ONE_E4 or size_e6 < 0:
            _refuse(price_e4, size_e6)
        numerator: int = size_e6 * rate * (price_e4 * (PRICE_ONE_E4 - price_e4)) ** power
        return 0 if numerator < divisor else (numerator + offset) // divisor * _POLYMARKET_STEP_E6

    return fee


def _refuse(price_e4: int, size_e6: int) -> None:
    _check_price(price_e4)
    raise InvalidAmount(f"size must not be negative: {Decimal(size_e6).scaleb(-6)}")


def _check_price(price_e4: int) -> None:
    if not 0 < price_e4 < PRICE_ONE_E4:
        raise InvalidAmount(f"price must lie strictly between 0 and 1 dollar: {Decimal(price_e4).scaleb(-4)}")
