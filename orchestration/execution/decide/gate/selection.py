"""Which trades: whether what a plan is expected to bring is worth the days its capital is tied up. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from orchestration.execution.decide.risk_checks import Refusal
from orchestration.opportunities.worth import StressPriors, Worth
from streams.market.trading import RefusalReason
from streams.market.units import cash_decimal


@dataclass(frozen=True, slots=True)
class WorthPolicy:
    """The operator's numbers about worth.

    Attributes:
        priors: How likely the stress outcomes are.
        min_annualised: Least expected return a year, as a ratio.
        max_days: Longest that capital may be tied up.
        long_days: Capital that is back later than this counts against `long_e6`.
        long_e6: Most capital that may be back later than that.
    """

    priors: StressPriors
    min_annualised: Decimal
    max_days: Decimal
    long_days: Decimal
    long_e6: int


def refuse_worth(worth: Worth, policy: WorthPolicy) -> Refusal | None:
    """Return why a plan is not worth its capital, None when it is."""
    if worth.expected_e6 <= 0:
        said = f"${cash_decimal(worth.locked_e6)} locked, ${cash_decimal(worth.expected_e6)} expected"
        return Refusal(RefusalReason.NOT_WORTH, said)
    if not worth.capital_e6:
        return None
    if worth.days is None or worth.annualised is None:
        return Refusal(RefusalReason.TIED_TOO_LONG, "when its cash comes back is not known")
    if worth.days > policy.max_days:
        return Refusal(RefusalReason.TIED_TOO_LONG, f"{worth.days:.1f} days, at most {policy.max_days:f}")
    if worth.annualised < policy.min_annualised:
        said = f"{100 * worth.annualised:.2f} % a year, at least {100 * policy.min_annualised:f} %"
        return Refusal(RefusalReason.RETURN_TOO_LOW, said)
    return None


def is_long(worth_days: Decimal | None, policy: WorthPolicy) -> bool:
    """Whether capital that is back after so many days (None: nobody knows when) counts as tied up for long."""
    return worth_days is None or worth_days > policy.long_days
