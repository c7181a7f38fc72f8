from __future__ import annotations

import random
from dataclasses import replace

import pytest

from orchestration.execution.decide.hedge import Finish, LegBook, Place, RunConditions, Wait, needs_books, next_step
from orchestration.execution.decide.hedge_plan import (
    OrderFact,
    Plan,
    PlanLeg,
    exposure_e6,
    holdings,
    locked_e6,
    spent_e6,
    unmatched_e6,
)
from streams.market.identity import Venue
from streams.market.trading import ExecutionState

ONE = 1_000_000


def free(_price_e4: int, _size_e6: int) -> int:
    return 0


def flat_fee(_price_e4: int, size_e6: int) -> int:
    return 7 * size_e6 // 400


def leg(number: int, pays: tuple[int, ...], *, price: int = 4_500) -> PlanLeg:
    venue = Venue.POLYMARKET if number == 0 else Venue.KALSHI
    return PlanLeg(number, venue, f"M{number}", "yes", price, pays, price * 20 * 100)


def plan_of(legs: int = 2) -> Plan:
    """A pair pays one of two legs; three exclusive NO legs pay at least two of three."""
    pair = ((10_000, 0), (0, 10_000))
    rows = pair if legs == 2 else ((0, 10_000, 10_000), (10_000, 0, 10_000), (10_000, 10_000, 0))
    return Plan(
        tuple(leg(n, rows[n]) for n in range(legs)),
        20 * ONE,
        200,
        50 * ONE,
        600 * ONE,
        2 * ONE,
        3 * ONE,
        2 * ONE,
        100 * ONE,
    )


def bought(number: int, size: int, cash: int, *, purpose: str = "open") -> OrderFact:
    return OrderFact(number, purpose, "buy", size, cash, True)  # type: ignore[arg-type]


def book(ask: int, bid: int, size: int = 100 * ONE) -> LegBook:
    return LegBook([(ask, size)], [(bid, size)], size, free)


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


def test_a_leg_that_became_dear_is_completed_while_that_earns_more_than_selling_the_excess() -> None:
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    step = next_step(plan_of(), orders, {0: book(4_500, 100), 1: book(4_710, 4_700)}, RUN)
    assert step == Place(1, "open", "buy", 4_710, 20 * ONE, 9_420_000)
    # completing at 0.59 locks -0.80, selling at 0.43 only -0.40
    step = next_step(plan_of(), orders, {0: book(4_500, 4_300), 1: book(5_900, 4_700)}, RUN)
    assert step == Place(0, "unwind", "sell", 4_300, 20 * ONE, 8_600_000)


def test_what_no_way_mends_within_the_loss_bound_is_held_until_the_budget_of_exposure_is_used_up() -> None:
    # either way loses 4.00 or more of a bound of 3.00
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    books = {0: book(4_500, 2_500), 1: book(7_500, 4_700)}
    assert isinstance(next_step(plan_of(), orders, books, RUN), Wait)
    assert isinstance(next_step(plan_of(), orders, books, RunConditions("run", 599 * ONE, False)), Wait)
    end = next_step(plan_of(), orders, books, RunConditions("run", 600 * ONE, False))
    assert isinstance(end, Finish)
    assert (end.state, end.why) == (ExecutionState.ESCALATED, "exposed for too long")


def test_what_the_day_has_lost_already_narrows_what_mending_may_lose() -> None:
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    books = {0: book(4_500, 4_300), 1: book(5_900, 4_700)}
    assert isinstance(next_step(plan_of(), orders, books, replace(RUN, day_loss_left_e6=400_000)), Place)
    assert isinstance(next_step(plan_of(), orders, books, replace(RUN, day_loss_left_e6=399_999)), Wait)
    assert isinstance(next_step(plan_of(), orders, books, replace(RUN, day_loss_left_e6=-ONE)), Wait)


def test_the_second_leg_needs_no_books_while_those_of_the_plan_are_young() -> None:
    orders, fresh = [bought(0, 12 * ONE, 5_400_000)], replace(RUN, is_plan_fresh=True)
    assert not needs_books(plan_of(), orders, fresh)
    assert next_step(plan_of(), orders, {}, fresh) == Place(1, "open", "buy", 4_500, 12 * ONE, 5_400_000)
    assert needs_books(plan_of(), orders, RUN)
    assert isinstance(next_step(plan_of(), orders, {}, RUN), Wait)
    tried = [*orders, OrderFact(1, "open", "buy", 0, 0, True)]
    assert needs_books(plan_of(), tried, fresh)


def test_contracts_that_the_venue_does_not_let_us_sell_are_paired() -> None:
    # nobody offers the other leg, and the venue sells nothing that is not confirmed
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    books = {0: LegBook([], [(4_400, 100 * ONE)], 0, free), 1: LegBook([], [(4_400, 100 * ONE)], 0, free)}
    waiting = next_step(plan_of(), orders, books, replace(RUN, exposure_usd_seconds_e6=99 * ONE))
    assert waiting == Wait("the excess cannot be sold yet")
    step = next_step(plan_of(), orders, books, replace(RUN, exposure_usd_seconds_e6=100 * ONE))
    assert step == Place(0, "complement", "buy", 5_600, 20 * ONE, 11_200_000)
    paired = [*orders, OrderFact(0, "complement", "sell", 20 * ONE, 11_200_000 - 20 * ONE, True)]
    assert (locked_e6(plan_of(), paired), exposure_e6(plan_of(), paired)) == (-200_000, 200_000)
    end = next_step(plan_of(), paired, books, RUN)
    assert isinstance(end, Finish)
    assert end.state is ExecutionState.FLAT


def test_after_a_late_fill_no_leg_is_bought_beyond_the_plan_and_the_rest_is_sold() -> None:
    # 20 were planned; an order that was given up has filled after all: 32 are held of one leg and 12 of the other
    orders = [bought(0, 12 * ONE, 5_400_000), bought(1, 32 * ONE, 14_400_000)]
    books = {0: book(4_600, 4_500), 1: book(4_600, 4_300)}
    late = replace(RUN, may_exceed_plan=False)
    steps = []
    while isinstance(step := next_step(plan_of(), orders, books, late), Place):
        steps.append(step)
        spent = step.cost_e6 if step.action == "buy" else -step.cost_e6
        orders.append(OrderFact(step.leg_no, step.purpose, step.action, step.size_e6, spent, True))
    assert [(one.leg_no, one.action, one.size_e6 // ONE) for one in steps] == [(1, "sell", 12), (0, "buy", 8)]
    assert isinstance(step, Finish)
    assert step.state is ExecutionState.HEDGED
    # without the late fill all of the leg that is held more is matched
    before = next_step(plan_of(), orders[:2], books, RUN)
    assert isinstance(before, Place)
    assert (before.action, before.size_e6) == ("buy", 20 * ONE)
    # what had ended flat is sold, though completing would lock a profit
    flat = next_step(plan_of(), [bought(0, 12 * ONE, 5_400_000)], books, late)
    assert isinstance(flat, Place)
    assert (flat.leg_no, flat.action, flat.size_e6) == (0, "sell", 12 * ONE)


def test_the_cheaper_sale_is_waited_for_although_something_dearer_could_be_bought_at_once() -> None:
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    books = {0: LegBook([], [(4_400, 100 * ONE)], 0, free), 1: book(5_900, 4_400)}
    assert next_step(plan_of(), orders, books, RUN) == Wait("the excess cannot be sold yet")
    books[0] = LegBook([], [(4_400, 100 * ONE)], 5 * ONE, free)
    assert next_step(plan_of(), orders, books, RUN) == Place(0, "unwind", "sell", 4_400, 5 * ONE, 2_200_000)
    books[1] = book(4_800, 4_400)
    assert next_step(plan_of(), orders, books, RUN) == Place(1, "open", "buy", 4_800, 20 * ONE, 9_600_000)


@pytest.mark.parametrize("legs", [2, 3])
def test_no_order_raises_exposure_beyond_its_cap(legs: int) -> None:
    plan = replace(plan_of(legs), exposure_budget_e6=4 * ONE)
    first = next_step(plan, [], {}, RUN)
    assert isinstance(first, Place)
    assert 3_990_000 < first.cost_e6 <= 4 * ONE
    # a purchase that lowers what is at risk is never cut, though it may not fill
    plan = replace(plan, exposure_budget_e6=9 * ONE)
    orders = [bought(0, 20 * ONE, 9 * ONE)]
    second = next_step(plan, orders, {n: book(4_500, 4_400) for n in range(legs)}, RUN)
    assert isinstance(second, Place)
    assert (
        exposure_e6(plan, [*orders, OrderFact(1, "open", "buy", 0, 0, False, second.size_e6, second.cost_e6)])
        <= 9 * ONE
    )
    small = replace(plan, exposure_budget_e6=1_000)
    assert isinstance(next_step(small, [], {}, RUN), Finish)


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
    books = {0: LegBook([], [(2_300, 100 * ONE)], 0, free), 1: book(7_800, 4_700)}
    assert isinstance(next_step(plan_of(), orders, books, RUN), Wait)
    late = next_step(plan_of(), orders, books, RunConditions("run", 0, True))
    assert isinstance(late, Finish)
    assert late.state is ExecutionState.ESCALATED


def test_what_is_exposed_beyond_the_cap_by_a_fill_that_failed_is_escalated_at_once() -> None:
    # 60 dollars of one leg stand alone where 50 may, because the fill of the other one failed
    books = {0: book(4_500, 4_400), 1: book(4_500, 4_400)}
    alone = [bought(0, 0, 0), bought(1, 130 * ONE, 60 * ONE)]
    step = next_step(plan_of(), alone, books, RUN)
    assert step == Finish(ExecutionState.ESCALATED, "more is exposed than the cap allows")
    within = [bought(0, 0, 0), bought(1, 100 * ONE, 50 * ONE)]
    assert isinstance(next_step(plan_of(), within, books, RUN), Place)
    # an order under way is within the cap by its limit: only what has filled counts
    unknown = OrderFact(0, "open", "buy", 0, 0, False, 130 * ONE, 60 * ONE)
    assert isinstance(next_step(plan_of(), [unknown], books, RUN), Wait)


def test_exposure_counts_an_unknown_order_both_ways() -> None:
    plan = plan_of()
    first = bought(0, 20 * ONE, 9 * ONE)
    unknown = OrderFact(1, "open", "buy", 0, 0, False, 20 * ONE, 9 * ONE)
    # not there: 9 at risk; there: 20 paid for 18
    assert exposure_e6(plan, [first, unknown]) == 9 * ONE
    assert exposure_e6(plan, [unknown]) == 9 * ONE
    assert exposure_e6(plan, [first, replace(unknown, is_resolved=True, filled_e6=20 * ONE, spent_e6=9 * ONE)]) == 0


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
        if finish.state is not ExecutionState.ESCALATED:
            assert locked_e6(plan, orders) >= -plan.loss_bound_e6 - plan.dust_e6, seed
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
    return LegBook(asks, [(middle - 50, 100 * ONE)] if source.random() < 0.9 else [], 100 * ONE, flat_fee)


def _check(plan: Plan, orders: list[OrderFact], step: Place) -> None:
    held = holdings(plan, orders)
    if step.action == "sell":
        assert step.size_e6 <= held[step.leg_no] - min(held.values())
    elif orders:
        assert step.size_e6 <= max(held.values()) - held[step.leg_no]
        assert step.mend is not None
        assert step.limit_price_e4 <= step.mend.stop_e4
    else:
        assert step.size_e6 == plan.size_e6


def _fill(source: random.Random, step: Place) -> OrderFact:
    filled = source.choice([0, step.size_e6 // 3 // 10_000 * 10_000, step.size_e6, step.size_e6])
    cash = step.limit_price_e4 * filled // 10_000
    fee = flat_fee(0, filled)
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
