from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from orchestration.execution.decide.flatten import Bound, flatten_step, floor_of
from orchestration.execution.decide.hedge import Finish, LegBook, Place, RunConditions, Step, Wait
from orchestration.execution.decide.hedge_plan import OrderFact, Plan, PlanLeg, exposure_e6, holdings, unmatched_e6
from streams.market.identity import Venue
from streams.market.trading import ExecutionState

ONE = 1_000_000
RUN = RunConditions("run", 0, is_overdue=False)
LATE = RunConditions("run", 0, is_overdue=True)
BOUND = Bound({0: 4_000, 1: 4_300}, 0)


def plan_of(legs: int = 2) -> Plan:
    """A pair pays one of two legs; three NO legs of exclusive outcomes pay at least two of three."""
    pair = ((10_000, 0), (0, 10_000))
    rows = pair if legs == 2 else ((0, 10_000, 10_000), (10_000, 0, 10_000), (10_000, 10_000, 0))
    made = tuple(PlanLeg(n, Venue.KALSHI, f"M{n}", "yes", 4_500, rows[n], 9 * ONE) for n in range(legs))
    return Plan(made, 20 * ONE, 200, 50 * ONE, 600 * ONE, 2 * ONE)


def bought(number: int, contracts: int = 20, cash: int = 9) -> OrderFact:
    return OrderFact(number, "open", "buy", contracts * ONE, cash * ONE, is_resolved=True)


def sold(number: int, size: int, cash: int) -> OrderFact:
    return OrderFact(number, "flatten", "sell", size, -cash, is_resolved=True)


def bids(*levels: tuple[int, int], sellable: int = 100) -> LegBook:
    return LegBook([], [(price, size * ONE) for price, size in levels], sellable * ONE, lambda _price, _size: 0)


HEDGE = [bought(0), bought(1)]
BOOKS = {0: bids((4_200, 50)), 1: bids((4_800, 50))}


def test_of_a_whole_hedge_the_leg_that_brings_more_is_sold_first() -> None:
    assert flatten_step(plan_of(), HEDGE, BOOKS, RUN, BOUND) == Place(1, "flatten", "sell", 4_800, 20 * ONE, 9_600_000)


def test_then_the_other_one_and_then_it_is_flat() -> None:
    orders = [*HEDGE, sold(1, 20 * ONE, 9_600_000)]
    step = flatten_step(plan_of(), orders, BOOKS, RUN, BOUND)
    assert step == Place(0, "flatten", "sell", 4_200, 20 * ONE, 8_400_000)
    end = flatten_step(plan_of(), [*orders, sold(0, 20 * ONE, 8_400_000)], BOOKS, RUN, BOUND)
    assert end == Finish(ExecutionState.FLAT, "all is sold")


def test_a_piece_is_no_larger_than_what_every_leg_can_sell_now() -> None:
    books = {0: bids((4_200, 6)), 1: bids((4_800, 50))}
    step = flatten_step(plan_of(), HEDGE, books, RUN, BOUND)
    assert isinstance(step, Place)
    assert (step.leg_no, step.size_e6) == (1, 6 * ONE)


def test_bids_below_the_bound_are_not_sold_into() -> None:
    books = {0: bids((4_200, 6), (4_000, 3), (3_900, 50)), 1: bids((4_800, 50))}
    step = flatten_step(plan_of(), [bought(0), bought(1, 0, 0)], books, RUN, BOUND)
    assert step == Place(0, "flatten", "sell", 4_000, 9 * ONE, 3_720_000)


@pytest.mark.parametrize(
    ("book", "why"),
    [
        (None, "no fresh book of yes of kalshi:M0"),
        (bids(), "no bid for yes of kalshi:M0 within the bound"),
        (bids((3_900, 50)), "no bid for yes of kalshi:M0 within the bound"),
        (bids((4_200, 50), sellable=0), "yes of kalshi:M0 is not confirmed and cannot be sold yet"),
    ],
)
def test_a_whole_hedge_is_kept_while_one_of_its_legs_cannot_be_sold(book: LegBook | None, why: str) -> None:
    books = {0: book, 1: bids((4_800, 50))}
    assert flatten_step(plan_of(), HEDGE, books, RUN, BOUND) == Wait(why)
    assert flatten_step(plan_of(), HEDGE, books, LATE, BOUND) == Finish(ExecutionState.HEDGED, why)


def test_a_leg_that_stands_alone_and_cannot_be_sold_is_escalated() -> None:
    orders = [*HEDGE, sold(1, 20 * ONE, 9_600_000)]
    books = {0: bids((3_900, 50)), 1: bids((4_800, 50))}
    step = flatten_step(plan_of(), orders, books, LATE, BOUND)
    assert step == Finish(ExecutionState.ESCALATED, "no bid for yes of kalshi:M0 within the bound")


def test_what_exceeds_the_hedge_is_sold_before_the_hedge() -> None:
    step = flatten_step(plan_of(), [bought(0, 20, 9), bought(1, 5, 2)], BOOKS, RUN, BOUND)
    assert isinstance(step, Place)
    assert (step.leg_no, step.size_e6) == (0, 15 * ONE)


@pytest.mark.parametrize("switch", ["pause", "reduce"])
def test_pausing_and_reducing_let_it_sell(switch: str) -> None:
    assert isinstance(flatten_step(plan_of(), HEDGE, BOOKS, RunConditions(switch, 0, is_overdue=False), BOUND), Place)  # type: ignore[arg-type]


def test_a_kill_stops_it_and_escalates_only_what_is_exposed() -> None:
    kill = RunConditions("kill", 0, is_overdue=False)
    whole = flatten_step(plan_of(), HEDGE, BOOKS, kill, BOUND)
    half = flatten_step(plan_of(), [*HEDGE, sold(1, 20 * ONE, 9_600_000)], BOOKS, kill, BOUND)
    assert isinstance(whole, Finish)
    assert isinstance(half, Finish)
    assert (whole.state, half.state) == (ExecutionState.HEDGED, ExecutionState.ESCALATED)


def test_nothing_is_sold_while_an_outcome_is_unknown() -> None:
    unknown = replace(bought(1), is_resolved=False, filled_e6=0, spent_e6=0, rest_e6=20 * ONE, rest_spent_e6=9 * ONE)
    assert isinstance(flatten_step(plan_of(), [bought(0), unknown], BOOKS, RUN, BOUND), Wait)
    end = flatten_step(plan_of(), [bought(0), unknown], BOOKS, LATE, BOUND)
    assert end == Finish(ExecutionState.ESCALATED, "the outcome of an order is not known")


def test_the_floor_follows_from_the_best_bid() -> None:
    assert floor_of(bids((4_200, 5), (4_100, 5)), 500) == 3_700
    assert floor_of(bids((300, 5)), 500) == 1
    assert floor_of(bids(), 500) is None


@pytest.mark.parametrize("legs", [2, 3])
def test_random_flattens_never_sell_more_than_is_held_and_never_end_silently_naked(legs: int) -> None:
    ends: dict[ExecutionState, int] = {}
    for seed in range(1_500):
        source = random.Random(seed * 10 + legs)
        plan = plan_of(legs)
        orders = [bought(n, source.choice([20, 20, 20, 7])) for n in range(legs)]
        floors: dict[int, int] = {}
        sales, finish = 0, None
        for tick in range(60):
            books = {n: _random_bids(source) for n in range(legs)}
            for number, book in books.items():
                floor = None if book is None else floor_of(book, 500)
                if floor is not None:
                    floors.setdefault(number, floor)
            switch = "kill" if source.random() < 0.01 else "run"
            step = flatten_step(plan, orders, books, RunConditions(switch, 0, tick > 40), Bound(floors, sales))
            if isinstance(step, Finish):
                finish = step
                break
            if isinstance(step, Place):
                sales += 1
                _check(plan, orders, step, floors)
                orders.append(_fill(source, step))
        assert finish is not None
        ends[finish.state] = ends.get(finish.state, 0) + 1
        held = holdings(plan, orders)
        assert all(size >= 0 for size in held.values())
        if finish.state is not ExecutionState.ESCALATED:
            assert unmatched_e6(plan, orders) <= plan.dust_e6
        assert (finish.why == "all is sold") == (not any(held.values()))
    assert ends[ExecutionState.FLAT] > 500
    assert ends[ExecutionState.ESCALATED] > 10


def _random_bids(source: random.Random) -> LegBook | None:
    if source.random() < 0.1:
        return None
    top = source.randrange(4_200, 4_800, 50)
    levels = [(top - 100 * n, source.randrange(1, 30)) for n in range(source.randrange(0, 4))]
    return bids(*levels, sellable=source.choice([0, 100, 100]))


def _check(plan: Plan, orders: Sequence[OrderFact], step: Step, floors: dict[int, int]) -> None:
    assert isinstance(step, Place)
    assert (step.purpose, step.action) == ("flatten", "sell")
    assert 0 < step.size_e6 <= holdings(plan, orders)[step.leg_no]
    assert step.limit_price_e4 >= floors[step.leg_no]
    held = holdings(plan, orders)
    if len(set(held.values())) > 1:  # uneven legs: what is sold is what exceeds the hedge
        assert step.size_e6 <= held[step.leg_no] - min(held.values())
        assert exposure_e6(plan, orders) >= 0


def _fill(source: random.Random, step: Place) -> OrderFact:
    filled = source.choice([0, step.size_e6 // 3 // 10_000 * 10_000, step.size_e6, step.size_e6])
    return sold(step.leg_no, filled, step.limit_price_e4 * filled // 10_000)
