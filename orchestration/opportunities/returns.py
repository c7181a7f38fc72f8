"""Returns on tied-up cash: profit / capital x 365 / days, simple."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

_DAY_S = Decimal(86_400)
_LEAST_DAYS = Decimal(1) / Decimal(1_440)
"""A minute: below it an annualised figure says nothing more."""


def days_between(start: datetime, end: datetime) -> Decimal:
    """Return the days until the last cash is back, at least one minute."""
    return max(Decimal(str((end - start).total_seconds())) / _DAY_S, _LEAST_DAYS)


def annualised_return(profit_e6: int, capital_e6: int, days: Decimal) -> Decimal | None:
    """Return the simple annual return as a ratio with six decimals, None where nothing is tied up."""
    if capital_e6 <= 0:
        return None
    ratio = Decimal(profit_e6) / Decimal(capital_e6) * 365 / days
    return ratio.quantize(Decimal("0.000001"), rounding=ROUND_FLOOR)
