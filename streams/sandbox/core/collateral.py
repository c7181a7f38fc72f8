"""What positions in the markets of one event are sure to pay, whatever happens: the arithmetic of collateral return.

Kalshi's help centre: in mutually exclusive and directional groups of markets the cash that a set of positions is sure
to bring back is returned at once. Its example: NO of two candidates at 0.60 and 0.70 cost 1.30, at least one of them
pays 1.00, so only 0.30 is taken. On the wire the schemes are MECNET and DIRECNET. Of all 7,349 open events of
2026-05-17 exactly the 3,569 exclusive ones were MECNET, and 1,318 others DIRECNET; the venue does not write down which,
what was listed of them were nested ladders of one-sided strikes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4

CollateralType = Literal["MECNET", "DIRECNET", ""]
_LOWER_BOUNDS = {"greater_or_equal": 0, "greater": 1}
_UPPER_BOUNDS = {"less_or_equal": 0, "less": 1}
"""Strike types of a ladder; of two with one strike the first lets more in."""

Rung = tuple[str, Decimal, int]
"""Where a market stands on a ladder: its direction, then what sorts the widest market first."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One market of an event.

    Attributes:
        if_yes_e6: What is received if it resolves YES (1/1,000,000 dollar; negative: paid).
        if_no_e6: What is received if it resolves NO.
        settled_e4: What one YES paid once the market is settled; its amounts count no more, but it bounds the others.
        orders: Contracts that may be bought: (outcome, contracts, cost). Those that would lose at a result count as
            bought, the others not.
    """

    if_yes_e6: int
    if_no_e6: int
    settled_e4: int | None = None
    orders: tuple[tuple[Outcome, int, int], ...] = ()

    def value_e10(self, value_e4: int) -> int:
        """What the leg brings (1e-10 dollar) if one YES pays that much."""
        total = self.if_yes_e6 * value_e4 + self.if_no_e6 * (PRICE_ONE_E4 - value_e4)
        for outcome, contracts_e6, cost_e6 in self.orders:
            payout = contracts_e6 * (value_e4 if outcome == "yes" else PRICE_ONE_E4 - value_e4)
            total -= max(0, cost_e6 * PRICE_ONE_E4 - payout)
        return total


def least_e6(kind: CollateralType, legs: Sequence[Leg]) -> int:
    """Return the least that unsettled legs together bring over all results that are possible.

    With v_i what one YES of market i pays (0 to 1), y_i and n_i what is received at 1 and 0, and p_i(v_i) = n_i + v_i
    (y_i - n_i) less what orders would lose, max(0, cost - payout) each, it is the minimum of sum(p_i(v_i)), rounded
    down, over

    - MECNET, at most one market resolves YES: v_i >= 0 and sum(v_i) <= 1. With room r = 1 - sum of settled values it is
      sum(p_i(0)) + min(0, min_i(p_i(r) - p_i(0))). For NO contracts alone: all of them but the largest position.
    - DIRECNET, every market of the ladder implies the wider ones: 1 >= v_1 >= v_2 >= ... >= 0, widest first. Between
      two settled markets with values h >= l it is the least over k of: the first k markets at h, the others at l.
    - no scheme: each v_i by itself, sum(min(p_i(0), p_i(1))).

    No p_i bends upwards, so that the corners of these sets are enough. They hold every YES/NO result and every scalar
    one between them (a tie that pays two winners a half, fair prices of a void). Once settled values break them,
    nothing holds the markets together any more and each counts by itself.

    Args:
        kind: The event's scheme.
        legs: Its markets; for DIRECNET the widest first.
    """
    settled = [leg.settled_e4 for leg in legs if leg.settled_e4 is not None]
    open_legs = [leg for leg in legs if leg.settled_e4 is None]
    if kind == "" or not is_possible(kind, settled):
        least_e10 = sum(min(leg.value_e10(0), leg.value_e10(PRICE_ONE_E4)) for leg in open_legs)
    elif kind == "MECNET":
        room_e4 = PRICE_ONE_E4 - sum(settled)
        swings = [leg.value_e10(room_e4) - leg.value_e10(0) for leg in open_legs]
        least_e10 = sum(leg.value_e10(0) for leg in open_legs) + min([0, *swings])
    else:
        least_e10 = _least_of_ladder_e10(legs)
    return least_e10 // PRICE_ONE_E4


def is_possible(kind: CollateralType, settled_e4: Sequence[int]) -> bool:
    """Whether settled values (for DIRECNET widest first) are among the results an event's scheme counts on."""
    if kind == "MECNET":
        return sum(settled_e4) <= PRICE_ONE_E4
    return kind == "" or all(wide >= narrow for wide, narrow in pairwise(settled_e4))


def _least_of_ladder_e10(legs: Sequence[Leg]) -> int:
    total, high, stretch = 0, PRICE_ONE_E4, list[Leg]()
    for leg in legs:
        if leg.settled_e4 is None:
            stretch.append(leg)
            continue
        total += _least_of_stretch_e10(stretch, high, leg.settled_e4)
        high, stretch = leg.settled_e4, []
    return total + _least_of_stretch_e10(stretch, high, 0)


def _least_of_stretch_e10(legs: Sequence[Leg], high_e4: int, low_e4: int) -> int:
    """The least of neighbours whose values fall from `high_e4` or less to `low_e4` or more."""
    least = value = sum(leg.value_e10(low_e4) for leg in legs)
    for leg in legs:
        value += leg.value_e10(high_e4) - leg.value_e10(low_e4)
        least = min(least, value)
    return least


def rung_of(strike: Mapping[str, str] | None) -> Rung | None:
    """Return a market's place on a ladder; None when its strike bounds nothing from one side."""
    kind = (strike or {}).get("type", "")
    floor, cap = ((strike or {}).get(name) for name in ("floor", "cap"))
    if kind in _LOWER_BOUNDS and floor:
        return "up", Decimal(floor), _LOWER_BOUNDS[kind]
    if kind in _UPPER_BOUNDS and cap:
        return "down", -Decimal(cap), _UPPER_BOUNDS[kind]
    return None


def is_ladder(strikes: Iterable[Mapping[str, str] | None]) -> bool:
    """Whether markets with these strikes imply one another: all of one direction, no two alike."""
    rungs = [rung_of(strike) for strike in strikes]
    return None not in rungs and len({rung[0] for rung in rungs if rung}) == 1 and len(set(rungs)) == len(rungs)


def collateral_type(said: object, strikes: Iterable[Mapping[str, str] | None], *, is_exclusive: bool) -> CollateralType:
    """Return an event's scheme: what the catalogue says, else MECNET for exclusive ones and DIRECNET for ladders."""
    if said in ("MECNET", "DIRECNET", ""):
        return said  # type: ignore[return-value]
    if is_exclusive:
        return "MECNET"
    return "DIRECNET" if is_ladder(strikes) else ""
