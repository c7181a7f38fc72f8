"""Decimal strings of the wire as exact integers, without Decimal on the path that runs per message.

Prices and sizes repeat all day long, so the results are remembered. There are no more prices than are remembered; of
sizes there are any number, so a larger memory only grows for longer before it is full: 100,000 sizes took a recorder
25 MB and half an hour.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from streams.market.errors import InvalidAmount
from streams.market.units import PRICE_ONE_E4, scaled_int
from streams.venues.common.strict_json import has_escaped_nul

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_POWERS: list[int] = [10**exponent for exponent in range(31)]
_MAX_E6 = 10**18
_CENT_E6 = 10_000
_MAX_MS = 4_102_444_800_000
_REMEMBERED = 10_000


def fixed_point(text: str, digits: int) -> int:
    """Return a plain decimal string times 10**digits.

    Args:
        text: Digits with at most one point and at most one leading minus; no exponent, no spaces.
        digits: Decimal places to keep.

    Raises:
        InvalidAmount: If it is anything else or has non-zero digits beyond.
    """
    whole, _, fraction = text.partition(".")
    if len(fraction) > digits:
        if fraction[digits:].strip("0"):
            raise InvalidAmount(f"finer than {digits} decimals: {text[:40]!r}")
        fraction = fraction[:digits]
    joined = whole + fraction
    unsigned = joined if joined[:1] != "-" else joined[1:]
    if not (unsigned.isdigit() and unsigned.isascii()) or len(unsigned) > 30:
        raise InvalidAmount(f"not a plain decimal: {text[:40]!r}")
    return int(joined) * _POWERS[digits - len(fraction)]


@lru_cache(maxsize=_REMEMBERED)
def wire_price_e4(text: str) -> int:
    """Return a price that can be traded at, as `price_e4`.

    Raises:
        InvalidAmount: If it is no decimal or does not lie strictly between 0 and 1.
    """
    value = fixed_point(text, 4)
    if not 0 < value < PRICE_ONE_E4:
        raise InvalidAmount(f"price out of range: {text[:40]!r}")
    return value


@lru_cache(maxsize=_REMEMBERED)
def wire_bound_e4(text: str) -> int:
    """Return a price from 0 to 1 with both ends, as venues state best prices of empty sides and settlements."""
    value = fixed_point(text, 4)
    if not 0 <= value <= PRICE_ONE_E4:
        raise InvalidAmount(f"price out of range: {text[:40]!r}")
    return value


@lru_cache(maxsize=_REMEMBERED)
def wire_size_e6(text: str) -> int:
    """Return a size or a signed change of size as `size_e6`.

    Raises:
        InvalidAmount: If it is no decimal or larger than any book (a trillion contracts): it could not be stored.
    """
    value = fixed_point(text, 6)
    if abs(value) > _MAX_E6:
        raise InvalidAmount(f"size out of range: {text[:40]!r}")
    return value


def wire_ms(value: str | int | None) -> int | None:
    """Return a time in milliseconds since the epoch; None where none is stated.

    Raises:
        InvalidAmount: If it is no whole number or not between 1970 and 2100.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int):
        number = value
    elif value.isascii() and value.isdigit() and len(value) < 15:
        number = int(value)
    else:
        raise InvalidAmount(f"not a time: {value[:40]!r}")
    if not 0 <= number < _MAX_MS:
        raise InvalidAmount(f"time out of range: {str(value)[:40]!r}")
    return number


def wire_seconds(value: object) -> int:
    """Return a time in whole seconds since the epoch, given as a number or a text of digits.

    Raises:
        InvalidAmount: If it is none, or not between 1970 and 2100.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    is_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12
    if not (is_whole or is_text) or not 0 <= int(str(value)) * 1_000 < _MAX_MS:
        raise InvalidAmount(f"not a time in seconds: {str(value)[:40]!r}")
    return int(str(value))


def wire_cash_e6(text: str) -> int:
    """Return dollars as `cash_e6`.

    Raises:
        InvalidAmount: If it is no decimal, has non-zero digits beyond the sixth, or is more than a trillion.
    """
    value = fixed_point(text, 6)
    if abs(value) > _MAX_E6:
        raise InvalidAmount(f"dollars out of range: {text[:40]!r}")
    return value


def wire_cents_e6(value: object) -> int:
    """Return cents, as a JSON number or a text, as `cash_e6`; errors as for `wire_cash_e6`."""
    return _bounded(scaled_int(plain_decimal(value), _CENT_E6, "an amount of cents"))


def wire_whole(value: object) -> int:
    """Return a whole number, as a JSON number or a text.

    Raises:
        InvalidAmount: If it is none, or beyond a trillion millions.
    """
    return _bounded(scaled_int(plain_decimal(value), 1, "a whole number"))


def _bounded(value: int) -> int:
    if abs(value) > _MAX_E6:
        raise InvalidAmount(f"out of range: {str(value)[:40]}")
    return value


def plain_decimal(value: object) -> str:
    """Return a JSON number or a text that is one as the shortest plain decimal string, without an exponent.

    A float is taken by its shortest text, which is what stood on the wire.

    Raises:
        InvalidAmount: If it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise InvalidAmount(f"not a number: {str(value)[:40]!r}")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise InvalidAmount(f"not a number: {value[:40]!r}")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise InvalidAmount(f"not a number: {str(value)[:40]!r}") from None
    if not number.is_finite() or abs(number.adjusted()) > 60:
        raise InvalidAmount(f"not a number that can be meant: {str(value)[:40]!r}")
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def check_text(raw: bytes) -> None:
    """Refuse a frame whose text the warehouse could not keep: bytes that are not UTF-8, or an escaped NUL.

    Raises:
        InvalidAmount: If there is one.
    """
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise InvalidAmount("not UTF-8") from None
    if has_escaped_nul(raw):
        raise InvalidAmount("an escaped NUL")
