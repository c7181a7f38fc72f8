from __future__ import annotations

import random
from dataclasses import replace

import pytest

from orchestration.execution.decide.hedge import (
    Finish,
    LegBook,
    OrderFact,
    Place,
    Plan,
    PlanLeg,
    RunConditions,
    Wait,
    exposure_e6,
    holdings,
    locked_e6,
    next_step,
    spent_e6,
    unmatched_e6,
)
from streams.market.identity import Venue
from streams.market.trading import ExecutionState

ONE = 1_000_000


def leg(number: int, pays: tuple[int, ...], *, price: int = 4_500) -> PlanLeg:
    venue = Venue.POLYMARKET if number == 0 else Venue.KALSHI
    return PlanLeg(number, venue, f"M{number}", "yes", price, pays, price * 20 * 100)


def plan_of(legs: int = 2) -> Plan:
    """A pair pays one of two legs; three exclusive NO legs pay at least two of three."""
    pair = ((10_000, 0), (0, 10_000))
    rows = pair if legs == 2 else ((0, 10_000, 10_000), (10_000, 0, 10_000), (10_000, 10_000, 0))
    return Plan(tuple(leg(n, rows[n]) for n in range(legs)), 20 * ONE, 200, 50 * ONE, 600 * ONE, 2 * ONE)


def bought(number: int, size: int, cash: int, *, purpose: str = "open") -> OrderFact:
    return OrderFact(number, purpose, "buy", size, cash, True)  # type: ignore[arg-type]


def book(ask: int, bid: int, size: int = 100 * ONE) -> LegBook:
    return LegBook([(ask, size)], [(bid, size)], size)


RUN = RunConditions("run", 0, False)


def test_the_first_order_opens_the_first_leg_at_its_planned_limit() -> None:
    step = next_step(plan_of(), [], {}, RUN)
    assert step == Place(0, "open", "buy", 4_500, 20 * ONE, 9 * ONE)


@pytest.mark.parametrize("switch", ["pause", "reduce", "kill"])
def test_nothing_opens_unless_the_switch_says_run(switch: str) -> None:
    step = next_step(plan_of(), [], {}, RunConditions(switch, 0, False))  # type: ignore[arg-type]
    assert isinstance(step, Finish)
    assert step.state is ExecutionState.FLAT


def test_the_second_leg_is_sized_from_what_the_first_one_got() -> None:
    step = next_step(plan_of(), [bought(0, 7_654_321, 3 * ONE)], {0: book(4_500, 4_400), 1: book(4_500, 4_400)}, RUN)
    assert isinstance(step, Place)
    assert (step.leg_no, step.size_e6, step.purpose) == (1, 7_650_000, "open")


def test_a_leg_that_is_too_dear_is_not_completed_but_the_excess_sold() -> None:
    # planned 0.45, bound 0.47, offered at 0.48
    step = next_step(plan_of(), [bought(0, 20 * ONE, 9 * ONE)], {0: book(4_500, 4_300), 1: book(4_800, 4_700)}, RUN)
    assert step == Place(0, "unwind", "sell", 4_300, 20 * ONE, 8_600_000)


def test_pausing_lets_an_open_hedge_finish_and_killing_escalates_it() -> None:
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    books = {0: book(4_500, 4_300), 1: book(4_500, 4_400)}
    assert isinstance(next_step(plan_of(), orders, books, RunConditions("pause", 0, False)), Place)
    assert isinstance(next_step(plan_of(), orders, books, RunConditions("reduce", 0, False)), Place)
    killed = next_step(plan_of(), orders, books, RunConditions("kill", 0, False))
    assert isinstance(killed, Finish)
    assert killed.state is ExecutionState.ESCALATED


def test_what_cannot_be_sold_yet_is_waited_for_and_then_escalated() -> None:
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    books = {0: LegBook([], [(4_300, 100 * ONE)], 0), 1: book(4_800, 4_700)}
    assert isinstance(next_step(plan_of(), orders, books, RUN), Wait)
    late = next_step(plan_of(), orders, books, RunConditions("run", 0, True))
    assert isinstance(late, Finish)
    assert late.state is ExecutionState.ESCALATED


def test_exposure_counts_an_unknown_order_both_ways() -> None:
    plan = plan_of()
    first = bought(0, 20 * ONE, 9 * ONE)
    unknown = OrderFact(1, "open", "buy", 0, 0, False, 20 * ONE, 9 * ONE)
    # not there: 9 at risk; there: 20 paid for 18
    assert exposure_e6(plan, [first, unknown]) == 9 * ONE
    assert exposure_e6(plan, [unknown]) == 9 * ONE
    assert exposure_e6(plan, [first, replace(unknown, is_resolved=True, filled_e6=20 * ONE, spent_e6=9 * ONE)]) == 0


def test_spending_too_much_exposure_for_too_long_stops_completing() -> None:
    plan = plan_of()
    books = {0: book(4_500, 4_300), 1: book(4_500, 4_400)}
    step = next_step(plan, [bought(0, 20 * ONE, 9 * ONE)], books, RunConditions("run", 601 * ONE, False))
    assert isinstance(step, Place)
    assert step.purpose == "unwind"


@pytest.mark.parametrize("legs", [2, 3])
def test_thousands_of_random_hedges_end_balanced_or_alarmed(legs: int) -> None:
    ends: dict[ExecutionState, int] = {}
    for seed in range(2_000):
        source = random.Random(seed * 10 + legs)
        plan = plan_of(legs)
        orders: list[OrderFact] = []
        finish: Finish | None = None
        for tick in range(60):
            switch = "kill" if source.random() < 0.01 else "run"
            books = {n: _random_book(source) for n in range(legs)}
            step = next_step(plan, orders, books, RunConditions(switch, 0, tick > 40))
            if isinstance(step, Finish):
                finish = step
                break
            if isinstance(step, Place):
                assert all(order.is_resolved for order in orders)  # never two at once
                _check(plan, orders, step)
                orders.append(_fill(source, step))
            else:
                orders = [_resolve(source, order) for order in orders]
        assert finish is not None
        ends[finish.state] = ends.get(finish.state, 0) + 1
        if finish.state is not ExecutionState.ESCALATED:
            assert unmatched_e6(plan, orders) <= plan.dust_e6
            assert all(order.is_resolved for order in orders)
        held = holdings(plan, orders)
        assert all(size >= 0 for size in held.values())
        assert exposure_e6(plan, orders) >= max(0, -locked_e6(plan, orders))
        if finish.state is ExecutionState.FLAT and not any(held.values()):
            assert locked_e6(plan, orders) == -spent_e6(orders)
    assert ends[ExecutionState.HEDGED] > 250
    assert ends[ExecutionState.FLAT] > 50


def _random_book(source: random.Random) -> LegBook | None:
    if source.random() < 0.1:
        return None
    middle = source.randrange(4_200, 4_900, 50)
    size = source.randrange(0, 40) * ONE
    asks = [(middle + 50, size)] if size else []
    return LegBook(asks, [(middle - 50, 100 * ONE)] if source.random() < 0.9 else [], 100 * ONE)


def _check(plan: Plan, orders: list[OrderFact], step: Place) -> None:
    held = holdings(plan, orders)
    if step.action == "sell":
        assert step.size_e6 <= held[step.leg_no] - min(held.values())
    elif orders:
        assert step.size_e6 <= max(held.values()) - held[step.leg_no]
        assert step.limit_price_e4 <= plan.legs[step.leg_no].limit_price_e4 + plan.slippage_e4
    else:
        assert step.size_e6 == plan.size_e6


def _fill(source: random.Random, step: Place) -> OrderFact:
    filled = source.choice([0, step.size_e6 // 3 // 10_000 * 10_000, step.size_e6, step.size_e6])
    cash = step.limit_price_e4 * filled // 10_000
    fee = 7 * filled // 400
    spent = cash + fee if step.action == "buy" else fee - cash
    fact = OrderFact(step.leg_no, step.purpose, step.action, filled, spent, True)
    if source.random() < 0.2:
        rest = step.size_e6
        worst = step.limit_price_e4 * rest // 10_000
        return replace(
            fact,
            filled_e6=0,
            spent_e6=0,
            is_resolved=False,
            rest_e6=rest,
            rest_spent_e6=worst if step.action == "buy" else -worst,
        )
    return fact


def _resolve(source: random.Random, order: OrderFact) -> OrderFact:
    if order.is_resolved or source.random() < 0.5:
        return order
    if source.random() < 0.5:
        return replace(order, is_resolved=True, rest_e6=0, rest_spent_e6=0)
    return replace(
        order, is_resolved=True, filled_e6=order.rest_e6, spent_e6=order.rest_spent_e6, rest_e6=0, rest_spent_e6=0
    )
