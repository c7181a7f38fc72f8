"""Kalshi's wire forms of prices, counts, money, times and ids."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import lru_cache

DOLLARS = [f"{price // 10_000}.{price % 10_000:04d}" for price in range(10_001)]
"""`price_e4` -> "0.4700"."""


def count(size_e6: int) -> str:
    """Contracts with two decimals, rounded towards zero."""
    sign = "-" if size_e6 < 0 else ""
    hundredths = abs(size_e6) // 10_000
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"


def money(cash_e6: int) -> str:
    """Dollars with six decimals."""
    sign = "-" if cash_e6 < 0 else ""
    return f"{sign}{abs(cash_e6) // 1_000_000}.{abs(cash_e6) % 1_000_000:06d}"


def money4(cash_e6: int) -> str:
    """Dollars with four decimals, rounded down."""
    return money(cash_e6 // 100 * 100)[:-2]


def moment(at_ms: int) -> str:
    """RFC 3339 with microseconds."""
    return f"{_whole_second(at_ms // 1000)}.{at_ms % 1000:03d}000Z"


@lru_cache(maxsize=4_096)
def _whole_second(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S}"


def second(at: datetime) -> str:
    """RFC 3339 with whole seconds."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def second_of(at_ms: int) -> str:
    """RFC 3339 with whole seconds, of milliseconds."""
    return second(datetime.fromtimestamp(at_ms // 1000, UTC))


def number(value_e6: int) -> int | float:
    """A JSON number of a value in millionths (only multipliers are written so; they are no money)."""
    return value_e6 // 1_000_000 if value_e6 % 1_000_000 == 0 else value_e6 / 1_000_000


@lru_cache(maxsize=20_000)
def market_uuid(ticker: str) -> str:
    """A market's UUID as the socket names it: derived from the ticker, so that it never changes."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ticker))


@lru_cache(maxsize=1_000)
def user_id(account_id: str) -> str:
    """The member's UUID of an account, derived in the same way."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, account_id))
