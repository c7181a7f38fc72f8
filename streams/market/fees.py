"""What both venues charge for a fill, in exact integers.

Kalshi: M x k x C x P x (1-P), rounded up to 0.000001; then the balance change is floored to the account's precision and
the difference is kept in an accumulator of the order, from which whole steps are paid back.
Polymarket: C x rate x (P x (1-P))^exponent, takers only, five decimals.

Sources: Kalshi "fee rounding" page of 2026-08-26 and fee schedule in force since 2026-07-07; Polymarket fee page and
the `feeSchedule` of live markets, read 2026-10-02.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from streams.market.errors import InvalidAmount
from streams.market.identity import Venue
from streams.market.units import CASH_SCALE, PRICE_ONE_E4, PRICE_SCALE, SIZE_SCALE, cash_e6_of, scaled_int

KalshiFeeType = Literal["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees", "flat"]
KalshiAccount = Literal["direct", "fcm"]
Rounding = Literal["floor", "half_up", "ceil"]
RebateRule = Literal["reached", "passed"]

_RATE_SCALE = 1_000_000
# (taker, maker) in 1/10,000. The table behind `flat` is not published; 0.035 stood in the last printed one, and no
# live series uses it.
_KALSHI_RATES_E4: dict[str, tuple[int, int]] = {
    "quadratic": (700, 0),
    "quadratic_with_maker_fees": (700, 175),
    "quadratic_with_combo_maker_fees": (700, 350),
    "flat": (350, 0),
}
_KALSHI_STEP_E6: dict[str, int] = {"direct": 100, "fcm": 10_000}
_POLYMARKET_STEP_E6 = 10
_MAX_EXPONENT = 8


@dataclass(frozen=True, slots=True)
class KalshiFeeSchedule:
    """The fees of one Kalshi market.

    Attributes:
        fee_type: The series' curve, or the event's override of it.
        multiplier_e6: M in 1/1,000,000.
        account: `direct` members settle to 0.0001 dollar, accounts through a broker (`fcm`) to whole cents.
        scales_makers: Whether M scales maker fees too; inferred, not published.
        rebate_when: Whether rounding fees are paid back once they reach a whole step, or only once they pass it. The
            page does not say.
    """

    fee_type: KalshiFeeType = "quadratic"
    multiplier_e6: int = _RATE_SCALE
    account: KalshiAccount = "direct"
    scales_makers: bool = True
    rebate_when: RebateRule = "reached"

    @property
    def step_e6(self) -> int:
        """The precision of the account's balance in 1/1,000,000 dollar."""
        return _KALSHI_STEP_E6[self.account]

    def rate_e4(self, *, is_taker: bool) -> int:
        """k of the fee formula in 1/10,000."""
        taker, maker = _KALSHI_RATES_E4[self.fee_type]
        return taker if is_taker else maker

    def multiplier_of(self, *, is_taker: bool) -> int:
        """M for one role in 1/1,000,000."""
        return self.multiplier_e6 if is_taker or self.scales_makers else _RATE_SCALE

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, decimals as strings; readings of the unpublished rules only where they are not ours."""
        form: dict[str, Any] = {
            "fee_type": self.fee_type,
            "fee_multiplier": _rate_text(self.multiplier_e6),
            "account": self.account,
        }
        if not self.scales_makers:
            form["scales_makers"] = False
        if self.rebate_when != "reached":
            form["rebate_when"] = self.rebate_when
        return form


@dataclass(frozen=True, slots=True)
class PolymarketFeeSchedule:
    """The fees of one Polymarket market; a rate of zero is a market without fees.

    Attributes:
        rate_e6: The rate in 1/1,000,000.
        exponent: Power of p(1-p); 1 on every market of today.
        taker_only: Makers pay nothing.
        rounding: How five decimals are reached. Not published; nearest fits the venue's printed tables and is the
            safer side against `floor`, which another client uses.
    """

    rate_e6: int = 0
    exponent: int = 1
    taker_only: bool = True
    rounding: Rounding = "half_up"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, decimals as strings."""
        return {"rate": _rate_text(self.rate_e6), "exponent": str(self.exponent), "taker_only": self.taker_only}


FeeSchedule = KalshiFeeSchedule | PolymarketFeeSchedule


def kalshi_readings(
    account: KalshiAccount = "direct", *, scales_makers: bool = True, rebate_when: RebateRule = "reached"
) -> dict[str, Any]:
    """Return the part of a Kalshi schedule's JSON form that no market states; empty where all is as usual."""
    form = KalshiFeeSchedule(account=account, scales_makers=scales_makers, rebate_when=rebate_when).to_json()
    usual = KalshiFeeSchedule().to_json()
    return {name: value for name, value in form.items() if usual.get(name) != value}


def from_json(venue: Venue | str, data: Mapping[str, Any]) -> FeeSchedule:
    """Return the schedule a JSON object states; the venues' own spellings are understood too.

    Args:
        venue: Whose schedule it is.
        data: Kalshi `{"fee_type", "fee_multiplier", "account"}` (and `scales_makers`, `rebate_when`); Polymarket
            `{"rate", "exponent", "taker_only"}`,
            `{"rate", "exponent", "takerOnly"}` (Gamma) or `{"r", "e", "to"}` (CLOB). Absent keys take the defaults, so
            `{}` is Kalshi's usual curve and a Polymarket market without fees.

    Raises:
        InvalidAmount: If the fee type is unknown or a number cannot be one.
    """
    return _FROM_JSON[Venue(venue)](data)


def _kalshi_from_json(data: Mapping[str, Any]) -> KalshiFeeSchedule:
    fee_type: Any = "quadratic" if data.get("fee_type") in (None, "") else data["fee_type"]
    if str(fee_type) not in _KALSHI_RATES_E4:
        raise InvalidAmount(f"unknown Kalshi fee type: {str(fee_type)[:40]!r}")
    account: Any = "direct" if data.get("account") in (None, "") else data["account"]
    if str(account) not in _KALSHI_STEP_E6:
        raise InvalidAmount(f"unknown Kalshi account kind: {str(account)[:40]!r}")
    multiplier = data.get("fee_multiplier")
    scales_makers: Any = data.get("scales_makers", True)
    rebate_when: Any = data.get("rebate_when", "reached")
    if not isinstance(scales_makers, bool) or rebate_when not in ("reached", "passed"):
        raise InvalidAmount(f"unknown reading of Kalshi's fees: {str(scales_makers)[:40]!r}, {str(rebate_when)[:40]!r}")
    multiplier_e6 = _rate_e6("1" if multiplier is None else multiplier, "fee_multiplier")
    return KalshiFeeSchedule(fee_type, multiplier_e6, account, scales_makers, rebate_when)


def _polymarket_from_json(data: Mapping[str, Any]) -> PolymarketFeeSchedule:
    rate = _first(data, "rate", "r", default="0")
    exponent = _number(_first(data, "exponent", "e", default="1"), "exponent")
    if exponent != int(exponent) or not 0 <= exponent <= _MAX_EXPONENT:
        raise InvalidAmount(f"fee exponent must be a whole number from 0 to {_MAX_EXPONENT}: {exponent}")
    taker_only = _first(data, "taker_only", "takerOnly", "to", default=True)
    if not isinstance(taker_only, bool):
        raise InvalidAmount(f"taker_only must be true or false: {str(taker_only)[:40]!r}")
    rounding = data.get("rounding", "half_up")
    if rounding not in ("floor", "half_up", "ceil"):
        raise InvalidAmount(f"unknown rounding: {str(rounding)[:40]!r}")
    return PolymarketFeeSchedule(_rate_e6(rate, "rate"), int(exponent), taker_only, rounding)


_FROM_JSON: dict[Venue, Callable[[Mapping[str, Any]], FeeSchedule]] = {
    Venue.KALSHI: _kalshi_from_json,
    Venue.POLYMARKET: _polymarket_from_json,
}


def taker_fee_e6(price_e4: int, size_e6: int, schedule: FeeSchedule, *, is_buy: bool = True) -> int:
    """Return what a taker is charged for one fill that is alone in its order, in 1/1,000,000 dollar.

    Args:
        price_e4: Price of the outcome that changes hands, strictly between 0 and 10,000.
        size_e6: Size, at least 0.
        schedule: The market's schedule.
        is_buy: On Kalshi the balance change is rounded, so the side of the money matters below a step.

    Raises:
        InvalidAmount: If price or size is out of range.
    """
    return _fee_e6(price_e4, size_e6, schedule, is_taker=True, is_buy=is_buy)


def maker_fee_e6(price_e4: int, size_e6: int, schedule: FeeSchedule, *, is_buy: bool = True) -> int:
    """Return what a maker is charged for one fill that is alone in its order; arguments as for `taker_fee_e6`."""
    return _fee_e6(price_e4, size_e6, schedule, is_taker=False, is_buy=is_buy)


def _fee_e6(price_e4: int, size_e6: int, schedule: FeeSchedule, *, is_taker: bool, is_buy: bool) -> int:
    if isinstance(schedule, KalshiFeeSchedule):
        return KalshiOrderFees(schedule).fill(price_e4, size_e6, is_taker=is_taker, is_buy=is_buy).fee_e6
    _check(price_e4, size_e6)
    if schedule.taker_only and not is_taker:
        return 0
    return _polymarket_fee_e6(price_e4, size_e6, schedule)


def _polymarket_fee_e6(price_e4: int, size_e6: int, schedule: PolymarketFeeSchedule) -> int:
    curve: int = (price_e4 * (PRICE_ONE_E4 - price_e4)) ** schedule.exponent
    numerator = size_e6 * schedule.rate_e6 * curve
    # in steps of 0.00001 dollar
    denominator: int = (
        SIZE_SCALE * _RATE_SCALE * (PRICE_SCALE**2) ** schedule.exponent * _POLYMARKET_STEP_E6 // CASH_SCALE
    )
    if numerator < denominator:
        return 0
    if schedule.rounding == "floor":
        steps = numerator // denominator
    elif schedule.rounding == "ceil":
        steps = -(-numerator // denominator)
    else:
        steps = (2 * numerator + denominator) // (2 * denominator)
    return steps * _POLYMARKET_STEP_E6


def kalshi_trade_fee_e6(price_e4: int, size_e6: int, schedule: KalshiFeeSchedule, *, is_taker: bool) -> int:
    """Return Kalshi's fee of one fill before the balance is rounded: the model fee, rounded up to 0.000001."""
    _check(price_e4, size_e6)
    rate_e4 = schedule.rate_e4(is_taker=is_taker) * schedule.multiplier_of(is_taker=is_taker)
    numerator = rate_e4 * size_e6 * price_e4 * (PRICE_ONE_E4 - price_e4)
    denominator = PRICE_SCALE * _RATE_SCALE * SIZE_SCALE * PRICE_SCALE**2 // CASH_SCALE
    return -(-numerator // denominator)


@dataclass(frozen=True, slots=True)
class KalshiFillFee:
    """One fill's fee taken apart, all in 1/1,000,000 dollar.

    Attributes:
        trade_fee_e6: The model fee rounded up.
        rounding_fee_e6: What flooring the balance change cost.
        rebate_e6: What the accumulator gave back.
        fee_e6: trade fee + rounding fee - rebate: what the fill costs beside its price. Never negative.
        cash_change_e6: The change of the balance, a whole number of the account's steps.
    """

    trade_fee_e6: int
    rounding_fee_e6: int
    rebate_e6: int
    fee_e6: int
    cash_change_e6: int


class KalshiOrderFees:
    """The fees of one order over all its fills, taker's and maker's.

    The accumulator collects rounding fees; whole steps are paid back at once, never making a fill's fee negative.
    """

    __slots__ = ("accumulator_e6", "schedule")

    def __init__(self, schedule: KalshiFeeSchedule, accumulator_e6: int = 0) -> None:
        self.schedule = schedule
        self.accumulator_e6 = accumulator_e6

    def fill(self, price_e4: int, size_e6: int, *, is_taker: bool, is_buy: bool = True) -> KalshiFillFee:
        """Account for the next fill of the order.

        Args:
            price_e4: Price of the outcome that changes hands.
            size_e6: Contracts of this fill.
            is_taker: Whether the order took.
            is_buy: True when cash is paid for the outcome, False when it is received.

        Raises:
            InvalidAmount: If price or size is out of range; nothing is changed.
        """
        trade_fee = kalshi_trade_fee_e6(price_e4, size_e6, self.schedule, is_taker=is_taker)
        step = self.schedule.step_e6
        principal = cash_e6_of(price_e4, size_e6, paying=is_buy)
        exact_change = (-principal if is_buy else principal) - trade_fee
        change = exact_change // step * step
        rounding_fee = exact_change - change
        self.accumulator_e6 += rounding_fee
        # A step that is only just reached is not due where it must be passed.
        due = self.accumulator_e6 if self.schedule.rebate_when == "reached" else max(0, self.accumulator_e6 - 1)
        rebate = min(due, trade_fee + rounding_fee) // step * step
        self.accumulator_e6 -= rebate
        return KalshiFillFee(trade_fee, rounding_fee, rebate, trade_fee + rounding_fee - rebate, change + rebate)


def fee_bound_e6(price_e4: int, size_e6: int, schedule: FeeSchedule, *, fills: int = 1, is_taker: bool = True) -> int:
    """Return an amount that the fees of an order at one price never exceed, however it is split.

    Args:
        price_e4: Price of every fill.
        size_e6: Sum of the fills' sizes.
        schedule: The market's schedule.
        fills: Most pieces the order may be filled in.
        is_taker: Which curve applies.
    """
    if isinstance(schedule, PolymarketFeeSchedule):
        if schedule.taker_only and not is_taker:
            return 0
        whole = _polymarket_fee_e6(price_e4, size_e6, schedule)
        # A piece below the least fee pays nothing, so pieces add at most one step each, and one for this rounding.
        return whole + _POLYMARKET_STEP_E6 * fills if schedule.rate_e6 else 0
    trade_fee = kalshi_trade_fee_e6(price_e4, size_e6, schedule, is_taker=is_taker)
    # One 0.000001 a piece for rounding up, and the balance's rounding: whole steps of it are paid back by the
    # accumulator unless a piece's fee is smaller than what is due, so each piece may keep one.
    return trade_fee + (1 + schedule.step_e6) * fills


def piecewise_fee_bound_e6(
    prices_e4: Sequence[int], size_e6: int, schedule: FeeSchedule, *, splits: int, is_taker: bool = True
) -> int:
    """Return an amount that the fees of an order never exceed if it fills in pieces of at least one contract.

    A Kalshi account keeps the rounding of a piece only where the piece's fee is below a step of its balance: a direct
    member's steps are so small that one is kept in all, a broker's whole cents may be kept on each cheap contract.

    Args:
        prices_e4: Of the levels it may fill at.
        size_e6: Contracts of the order.
        schedule: The market's schedule.
        splits: Pieces that may be smaller: the ends of levels.
        is_taker: Which curve applies.
    """
    nearest = min(prices_e4, key=lambda price: abs(2 * price - PRICE_ONE_E4))
    pieces = -(-size_e6 // SIZE_SCALE) + splits
    if isinstance(schedule, PolymarketFeeSchedule):
        return fee_bound_e6(nearest, size_e6, schedule, fills=pieces, is_taker=is_taker)
    furthest = max(prices_e4, key=lambda price: abs(2 * price - PRICE_ONE_E4))
    least = kalshi_trade_fee_e6(furthest, SIZE_SCALE, schedule, is_taker=is_taker)
    kept = splits + 1 if least >= schedule.step_e6 else pieces
    whole = kalshi_trade_fee_e6(nearest, size_e6, schedule, is_taker=is_taker)
    return whole + pieces + schedule.step_e6 * kept


def spend_fee_bound_e6(cash_e6: int, schedule: FeeSchedule) -> int:
    """Return an amount the taker fee of spending `cash_e6` never exceeds, at whatever price (0 to 1) it is filled.

    At a better price dollars buy more contracts: fee / dollars = rate x (1-p)^e x p^(e-1), which the rate bounds.
    Kalshi: the same with k x M, exponent 1.

    Raises:
        InvalidAmount: For an exponent of 0, where the fee per dollar has no bound.
    """
    if isinstance(schedule, KalshiFeeSchedule):
        rate, scale = schedule.rate_e4(is_taker=True) * schedule.multiplier_e6, PRICE_SCALE * _RATE_SCALE
        return -(-cash_e6 * rate // scale) + schedule.step_e6 + 1
    if not schedule.rate_e6:
        return 0
    if schedule.exponent == 0:
        raise InvalidAmount("a fee that does not shrink with the price has no bound per dollar")
    return -(-cash_e6 * schedule.rate_e6 // _RATE_SCALE) + _POLYMARKET_STEP_E6


def _check(price_e4: int, size_e6: int) -> None:
    if not 0 < price_e4 < PRICE_ONE_E4:
        raise InvalidAmount(f"price must lie strictly between 0 and 1 dollar: {Decimal(price_e4).scaleb(-4)}")
    if size_e6 < 0:
        raise InvalidAmount(f"size must not be negative: {Decimal(size_e6).scaleb(-6)}")


def _first(data: Mapping[str, Any], *names: str, default: Any) -> Any:
    for name in names:
        if data.get(name) is not None:
            return data[name]
    return default


def _number(value: Any, what: str) -> Decimal:
    """Return a JSON number or decimal string; a float is taken by its shortest text, as on the wire."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise InvalidAmount(f"{what} is not a number: {str(value)[:40]!r}")
    return Decimal(scaled_int(repr(value) if isinstance(value, float) else value, _RATE_SCALE, what)).scaleb(-6)


def _rate_e6(value: Any, what: str) -> int:
    rate = int(_number(value, what).scaleb(6))
    if rate < 0:
        raise InvalidAmount(f"{what} must not be negative: {str(value)[:40]!r}")
    return rate


def _rate_text(value_e6: int) -> str:
    text = f"{Decimal(value_e6).scaleb(-6):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
