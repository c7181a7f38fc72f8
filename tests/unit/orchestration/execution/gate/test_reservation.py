"""What a whole hedge holds back: its legs with the bounds of their fees, its loss bound, and the fees of one unwind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestration.execution.decide.gate.reservation import (
    HedgeReservation,
    ReservedLeg,
    loss_bound_e6,
    pieces_of,
    reservation_of,
    unwind_fee_e6,
)
from orchestration.execution.decide.hedge_plan import Plan, PlanLeg
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, PolymarketFeeSchedule, fee_bound_e6, spend_fee_bound_e6
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import Target

ONE = 1_000_000
KALSHI, POLYMARKET = KalshiFeeSchedule(), PolymarketFeeSchedule(rate_e6=50_000)


def target(venue: Venue, name: str, schedule: FeeSchedule, shard: int | None = None) -> Target:
    return Target(venue, name, MarketTerms(exchange_index=shard), schedule)


def plan(*prices: int, size: int = 60 * ONE) -> Plan:
    """Legs at these prices: the first one on Kalshi, the second one on Polymarket."""
    venues = ((Venue.KALSHI, "K"), (Venue.POLYMARKET, "P"))
    legs = tuple(
        PlanLeg(number, *venues[number], "yes", price, (), price * size // 10_000)
        for number, price in enumerate(prices)
    )
    return Plan(legs, size, 0, 0, 0, 0, loss_bound_e6=ONE)


TARGETS = {
    "kalshi:K": target(Venue.KALSHI, "K", KALSHI, 2),
    "polymarket:P": target(Venue.POLYMARKET, "P", POLYMARKET, 2),
}


@pytest.mark.parametrize(
    ("planned", "cap", "bound"),
    [(1, 100, 3), (33, 100, 99), (34, 100, 100), (0, 100, 0), (-1, 100, 0), (5, -1, 0)],
)
def test_a_hedge_may_lose_three_times_its_planned_profit_at_most_its_cap_and_never_less_than_nothing(
    planned: int, cap: int, bound: int
) -> None:
    assert loss_bound_e6(planned, cap) == bound


@pytest.mark.parametrize(
    ("size", "pieces"), [(1, 50), (50 * ONE, 50), (50 * ONE + 1, 51), (51 * ONE, 51), (51 * ONE + 1, 52)]
)
def test_bounds_of_fees_reckon_with_pieces_of_one_contract_and_with_fifty_at_least(size: int, pieces: int) -> None:
    assert pieces_of(size) == pieces


def test_the_fees_of_one_unwind_are_those_of_the_dearest_leg_at_one_half() -> None:
    dear = fee_bound_e6(5_000, 80 * ONE, KALSHI, fills=80)
    assert unwind_fee_e6([(60 * ONE, KALSHI), (80 * ONE, KALSHI), (0, KALSHI)]) == dear
    assert unwind_fee_e6([(80 * ONE, KALSHI), (80 * ONE, POLYMARKET)]) == dear
    assert unwind_fee_e6([(0, KALSHI)]) == unwind_fee_e6([]) == 0


def test_each_leg_takes_its_planned_cost_and_the_bound_of_its_fees() -> None:
    held = reservation_of(plan(4_500, 5_300), TARGETS)
    # Kalshi's contracts are fixed; dollars buy more contracts at Polymarket where they are cheaper
    kalshi = 27 * ONE + fee_bound_e6(4_500, 60 * ONE, KALSHI, fills=60)
    polymarket = 31_800_000 + spend_fee_bound_e6(31_800_000, POLYMARKET)
    assert held.legs == (
        ReservedLeg(0, Venue.KALSHI, 2, "K", 60 * ONE, kalshi),
        ReservedLeg(1, Venue.POLYMARKET, None, "P", 60 * ONE, polymarket),
    )
    spare = ONE + unwind_fee_e6([(60 * ONE, KALSHI), (60 * ONE, POLYMARKET)])
    assert (held.loss_bound_e6, held.spare_e6, held.total_e6) == (ONE, spare, kalshi + polymarket + spare)


def test_a_leg_above_one_half_may_fill_where_fees_peak() -> None:
    (leg, _) = reservation_of(plan(8_000, 1_000), TARGETS).legs
    assert leg.cash_e6 == 48 * ONE + fee_bound_e6(5_000, 60 * ONE, KALSHI, fills=60)


def test_an_exchange_shard_that_is_not_known_stays_unknown() -> None:
    targets = {**TARGETS, "kalshi:K": target(Venue.KALSHI, "K", KALSHI)}
    assert reservation_of(plan(4_500, 5_300), targets).legs[0].shard is None
    with pytest.raises(KeyError, match="kalshi:K"):
        reservation_of(plan(4_500, 5_300), {})


def test_what_is_held_back_counts_the_spare_once() -> None:
    leg = ReservedLeg(0, Venue.KALSHI, None, "K", ONE, 7)
    held = HedgeReservation((leg, replace(leg, cash_e6=11)), 100, 1_000)
    assert (held.spare_e6, held.total_e6, leg.market_key) == (1_100, 1_118, "kalshi:K")
