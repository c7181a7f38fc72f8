"""Integer units and the only places where they meet decimals.

- `price_e4`: 1/10,000 dollar; a contract's price lies strictly between 0 and 10,000.
- `size_e6`: 1/1,000,000 contract.
- `cash_e6`: 1/1,000,000 dollar.
- The product price_e4 * size_e6 is an exact count of 1e-10 dollars and is rounded once, by `cash_e6_of`.

Binary floats are refused everywhere in this module.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from streams.market.errors import InvalidAmount

PRICE_SCALE = 10_000
SIZE_SCALE = 1_000_000
CASH_SCALE = 1_000_000
_LARGEST = 18
"""Power of ten of the largest amount that can be meant: a trillion millions."""
_LONGEST = 64
PRICE_ONE_E4 = PRICE_SCALE
"""One dollar as `price_e4`: what a contract pays when its outcome is right."""


def scaled_int(text: str | Decimal | int, scale: int, what: str) -> int:
    """Return `text` times `scale` as an exact integer.

    Args:
        text: A decimal string, Decimal or int. Floats are refused.
        scale: The power of ten to multiply with.
        what: The word used in the error.

    Raises:
        InvalidAmount: If it is not a finite decimal, or has more digits than the scale holds.
    """
    if isinstance(text, float):
        raise InvalidAmount(f"{what} must not be a binary float: {text!r}")
    if isinstance(text, bool) or not isinstance(text, str | Decimal | int):
        raise InvalidAmount(f"{what} is not a number: {_shown(text)}")
    if isinstance(text, str) and (len(text) > _LONGEST or not text.isascii() or "_" in text):
        raise InvalidAmount(f"{what} is not a number: {_shown(text)}")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise InvalidAmount(f"{what} is not a number: {_shown(text)}") from None
    if not value.is_finite():
        raise InvalidAmount(f"{what} is not finite: {_shown(text)}")
    return _exact(value, scale, what)


def _exact(value: Decimal, scale: int, what: str) -> int:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if not any(digits):
        return 0
    if value.adjusted() > _LARGEST:
        raise InvalidAmount(f"{what} is too large: {_shown(value)}")
    if value.adjusted() < -_LONGEST or exponent < -_LONGEST:
        raise InvalidAmount(f"{what} is finer than 1/{scale}: {_shown(value)}")
    units = int("".join(map(str, digits))) * scale
    whole, rest = divmod(units * int(10 ** max(exponent, 0)), int(10 ** max(-exponent, 0)))
    if rest:
        raise InvalidAmount(f"{what} is finer than 1/{scale}: {_shown(value)}")
    return -whole if sign else whole


def _shown(value: object) -> str:
    return repr(value if isinstance(value, str) else str(value))[:40]


def price_e4(text: str | Decimal | int) -> int:
    """Return dollars per contract as 1/10,000 dollar. Does not check the range."""
    return scaled_int(text, PRICE_SCALE, "price")


def size_e6(text: str | Decimal | int) -> int:
    """Return contracts as 1/1,000,000 contract."""
    return scaled_int(text, SIZE_SCALE, "size")


def cash_e6(text: str | Decimal | int) -> int:
    """Return dollars as 1/1,000,000 dollar."""
    return scaled_int(text, CASH_SCALE, "amount")


def price_decimal(value_e4: int) -> Decimal:
    """Return dollars per contract with four decimals."""
    return Decimal(value_e4).scaleb(-4)


def size_decimal(value_e6: int) -> Decimal:
    """Return contracts with six decimals."""
    return Decimal(value_e6).scaleb(-6)


def cash_decimal(value_e6: int) -> Decimal:
    """Return dollars with six decimals."""
    return Decimal(value_e6).scaleb(-6)


def cash_e6_of(price: int, size: int, *, paying: bool) -> int:
    """Return price_e4 * size_e6 in 1/1,000,000 dollar, rounded against us.

    This is the one function that rounds a product of price and size.

    Args:
        price: `price_e4`, at least 0.
        size: `size_e6`, at least 0.
        paying: True when we pay (rounds up), False when we receive (rounds down).
    """
    product_e10 = price * size
    return -(-product_e10 // PRICE_SCALE) if paying else product_e10 // PRICE_SCALE
