"""Maker and taker amounts of Polymarket orders as exact integers of 1/1,000,000. Pure.

A resting order states shares. A FAK or FOK BUY states dollars: at a better price it buys more shares, so what was
bought is only known from the trades.

Two ways to round the shares of a BUY that spends: the house's, four decimals at every tick, and the venue's SDKs',
whose decimals depend on the tick (`SDK_SHARE_DECIMALS`). They differ only where four decimals are not the tick's; both
are floors, and both state the limit or a hair above it. The SDKs round the quotient up at four decimals more before
they floor it; with whole cents and prices of four decimals that never changes the floor (the quotient misses a step by
at least 1/9999 of it, and the rounding is finer), so one integer division is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.market.errors import InvalidAmount
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE

OrderSide = Literal["BUY", "SELL"]
SIZE_STEP_E6 = 10_000
CENT_E6 = 10_000
HOUSE_SHARE_DECIMALS = 4
SDK_SHARE_DECIMALS = {1000: 3, 100: 4, 50: 5, 25: 6, 10: 5, 1: 6}
"""By tick, as `price_e4`: price decimals + 2."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What is given (maker) and what is wanted at least (taker), 1/1,000,000 of a dollar or share."""

    maker_e6: int
    taker_e6: int


def check_price(price_e4: int, tick_e4: int) -> None:
    """Refuse a price the venue would refuse.

    Raises:
        InvalidAmount: If the tick is none of the venue's, or the price is not a multiple of it within [tick, 1 - tick].
    """
    if tick_e4 not in SDK_SHARE_DECIMALS:
        raise InvalidAmount(f"not a tick of the venue: {tick_e4}")
    if price_e4 % tick_e4 or not tick_e4 <= price_e4 <= PRICE_ONE_E4 - tick_e4:
        raise InvalidAmount(f"price {price_e4} is not on the grid of {tick_e4}")


def limit_amounts(side: OrderSide, price_e4: int, size_e6: int, tick_e4: int) -> Amounts:
    """Return the amounts of an order in shares: a resting order, or a SELL of any kind.

    The size is floored to 0.01 share; the product with a price on the grid is then exact.

    Raises:
        InvalidAmount: If price or size cannot be ordered.
    """
    check_price(price_e4, tick_e4)
    shares = size_e6 // SIZE_STEP_E6 * SIZE_STEP_E6
    if shares <= 0:
        raise InvalidAmount(f"size below 0.01 share: {size_e6}")
    cash = shares * price_e4 // PRICE_SCALE
    return Amounts(cash, shares) if side == "BUY" else Amounts(shares, cash)


def spend_amounts(cash_e6: int, limit_e4: int, tick_e4: int, *, share_decimals: int = HOUSE_SHARE_DECIMALS) -> Amounts:
    """Return the amounts of a FAK or FOK BUY that spends dollars and pays at most the limit per share.

    Dollars are floored to the cent, shares (dollars / limit) to `share_decimals`, so that the order's own price, the
    ratio of the two, is the limit or a hair above it. A ratio that reached the next tick would match there; then the
    order is too small to be stated and is refused.

    Args:
        cash_e6: What the walk of the book costs, never size times limit.
        limit_e4: Most that is paid for a share.
        tick_e4: The market's price grid.
        share_decimals: The house's four, or `SDK_SHARE_DECIMALS[tick_e4]` to meet the SDKs' orders byte for byte.

    Raises:
        InvalidAmount: If the limit is off the grid, or so few dollars cannot state it.
    """
    check_price(limit_e4, tick_e4)
    cash = cash_e6 // CENT_E6 * CENT_E6
    step = int(10 ** (6 - share_decimals))
    shares = cash * PRICE_SCALE // limit_e4 // step * step
    if cash <= 0 or shares <= 0:
        raise InvalidAmount(f"less than a cent to spend: {cash_e6}")
    # The order's own price lies from the limit to below the next tick.
    if not limit_e4 * shares <= cash * PRICE_SCALE < (limit_e4 + tick_e4) * shares:
        raise InvalidAmount(f"{cash_e6} cannot be spent at exactly {limit_e4}")
    return Amounts(cash, shares)
