"""What a whole hedge takes: its legs at the planned prices, what it may lose, and the fees of one unwind. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestration.execution.decide.hedge_plan import Plan
from streams.market.fees import FeeSchedule, fee_bound_e6, spend_fee_bound_e6
from streams.market.identity import Venue, market_key
from streams.market.trading import Target
from streams.market.units import PRICE_ONE_E4, SIZE_SCALE
from streams.market.venue_traits import TRAITS

_FEWEST_PIECES = 50
"""Pieces that the bounds of fees reckon with for an order of fewer contracts."""
_HALF_E4 = PRICE_ONE_E4 // 2
LOSS_PROFITS = 3
"""A hedge may lose this many times what it was to earn, if the cap is not less."""


@dataclass(frozen=True, slots=True)
class ReservedLeg:
    """What one leg takes: contracts, and cash at the planned price with the bound of its fees.

    `shard`: the exchange shard whose cash pays; None where the venue has one pot or the shard is not known.
    """

    leg_no: int
    venue: Venue
    shard: int | None
    market_id: str
    contracts_e6: int
    cash_e6: int

    @property
    def market_key(self) -> str:
        """Its market's name "venue:market_id"."""
        return market_key(self.venue, self.market_id)


@dataclass(frozen=True, slots=True)
class HedgeReservation:
    """What a hedge holds back of limits and cash.

    Attributes:
        loss_bound_e6: The most it may lose.
        unwind_fee_e6: The bound of the fees of selling its dearest leg once.
    """

    legs: tuple[ReservedLeg, ...]
    loss_bound_e6: int
    unwind_fee_e6: int

    @property
    def spare_e6(self) -> int:
        """What is held back besides the legs, once for the whole hedge; any of its pots may have to pay it."""
        return self.loss_bound_e6 + self.unwind_fee_e6

    @property
    def total_e6(self) -> int:
        """All of it together."""
        return sum(leg.cash_e6 for leg in self.legs) + self.spare_e6


def loss_bound_e6(planned_profit_e6: int, cap_e6: int) -> int:
    """Return the most a trade may lose: three times what it should earn, at most the cap."""
    return max(0, min(LOSS_PROFITS * planned_profit_e6, cap_e6))


def pieces_of(size_e6: int) -> int:
    """Return the pieces in which an order may be filled, as the bounds of fees reckon: of one contract or less."""
    return max(_FEWEST_PIECES, -(-size_e6 // SIZE_SCALE))


def unwind_fee_e6(legs: Sequence[tuple[int, FeeSchedule]]) -> int:
    """Return the bound of the fees of selling one leg, whichever is the dearest; each is (contracts, fee schedule)."""
    bounds = (fee_bound_e6(_HALF_E4, size, schedule, fills=pieces_of(size)) for size, schedule in legs if size)
    return max(bounds, default=0)


def reservation_of(plan: Plan, targets: Mapping[str, Target]) -> HedgeReservation:
    """Return what a plan holds back.

    Args:
        plan: What was decided.
        targets: Its markets by "venue:market_id".

    Raises:
        KeyError: If a market is not among them.
        InvalidAmount: If the fees of a market have no bound.
    """
    legs: list[ReservedLeg] = []
    for leg in plan.legs:
        target = targets[leg.market_key]
        # It may fill at a better price: fees peak at one half, and dollars buy more contracts.
        if TRAITS[leg.venue].buys_spend_dollars:
            fee = spend_fee_bound_e6(leg.cost_e6, target.schedule)
        else:
            price, pieces = min(leg.limit_price_e4, _HALF_E4), pieces_of(plan.size_e6)
            fee = fee_bound_e6(price, plan.size_e6, target.schedule, fills=pieces)
        shard = target.terms.exchange_index if TRAITS[leg.venue].exchange_shards else None
        legs.append(ReservedLeg(leg.leg_no, leg.venue, shard, leg.market_id, plan.size_e6, leg.cost_e6 + fee))
    fees = unwind_fee_e6([(plan.size_e6, targets[leg.market_key].schedule) for leg in plan.legs])
    return HedgeReservation(tuple(legs), plan.loss_bound_e6, fees)
