"""Where one step of a hedge ends and the next one begins, to the digit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestration.execution.decide.hedge import (
    Finish,
    LegBook,
    Place,
    RunConditions,
    Step,
    Wait,
    needs_books,
    next_step,
    state_of,
    under_way,
)
from orchestration.execution.decide.hedge_plan import OrderFact, Plan, PlanLeg
from streams.market.identity import Venue
from streams.market.trading import ExecutionState, Purpose

ONE = 1_000_000
RUN = RunConditions("run", 0, False)
FRESH = replace(RUN, is_plan_fresh=True)
HEDGED, FLAT, ESCALATED = ExecutionState.HEDGED, ExecutionState.FLAT, ExecutionState.ESCALATED


def leg(number: int, **more: Any) -> PlanLeg:
    """A leg of a pair, planned at 0.45; the first one on Polymarket, the second one on Kalshi."""
    pays = ((10_000, 0), (0, 10_000))[number]
    venue = (Venue.POLYMARKET, Venue.KALSHI)[number]
    return replace(PlanLeg(number, venue, f"M{number}", "yes", 4_500, pays, 9 * ONE), **more)


def plan_of(first: dict[str, Any] | None = None, second: dict[str, Any] | None = None, **more: Any) -> Plan:
    """20 contracts; 50 dollars and 600 dollar seconds may be exposed, 2.00 are dust, 3.00 may be lost."""
    plain = Plan(
        (leg(0, **(first or {})), leg(1, **(second or {}))),
        20 * ONE,
        slippage_e4=200,
        exposure_budget_e6=50 * ONE,
        exposure_budget_e6_s=600 * ONE,
        dust_e6=2 * ONE,
        loss_bound_e6=3 * ONE,
        planned_profit_e6=2 * ONE,
        exposure_alarm_e6_s=100 * ONE,
    )
    return replace(plain, **more)


def bought(number: int, size: int, cash: int, purpose: Purpose = "open") -> OrderFact:
    return OrderFact(number, purpose, "buy", size, cash, True)


def free(_price_e4: int, _size_e6: int) -> int:
    return 0


def book(ask: int | None, bid: int | None, sellable: int = 100 * ONE) -> LegBook:
    asks, bids = ([] if price is None else [(price, 100 * ONE)] for price in (ask, bid))
    return LegBook(asks, bids, sellable, free)


def ended(step: Step) -> tuple[ExecutionState, str]:
    assert isinstance(step, Finish)
    return step.state, step.why


ALONE = [bought(0, 20 * ONE, 9 * ONE)]
SELL, COMPLETE = {0: book(None, 4_400), 1: book(None, None)}, {0: book(None, None), 1: book(4_500, None)}
NOTHING = {0: book(None, None), 1: book(None, None)}
TOO_SMALL = "what is left is too small to trade and above what is accepted"


def test_the_purpose_of_the_last_order_says_how_far_an_execution_is() -> None:
    states = {
        purpose: state_of([bought(0, 0, 0), bought(1, 0, 0, purpose)])
        for purpose in ("open", "complete", "unwind", "complement", "flatten")
    }
    unwinding = dict.fromkeys(("unwind", "complement", "flatten"), ExecutionState.UNWINDING)
    assert states == {"open": ExecutionState.OPENING, "complete": ExecutionState.COMPLETING, **unwinding}
    assert state_of([]) is ExecutionState.PLANNED


def test_two_cents_that_do_not_match_are_let_be_and_more_is_mended() -> None:
    other = bought(1, 20 * ONE, 9 * ONE)
    # 0.04 contracts too many, for 0.020000 and 0.020001
    assert ended(next_step(plan_of(), [bought(0, 20_040_000, 10_020_000), other], {}, RUN)) == (
        HEDGED,
        "all legs are filled",
    )
    assert next_step(plan_of(), [bought(0, 20_040_000, 10_020_501), other], SELL, RUN) == Place(
        0, "unwind", "sell", 4_400, 40_000, 17_600
    )


@pytest.mark.parametrize(("dust", "state"), [(250_000, HEDGED), (249_999, ESCALATED)])
def test_less_than_a_step_is_accepted_up_to_the_dust(dust: int, state: ExecutionState) -> None:
    plan = plan_of({"size_step_e6": ONE}, {"size_step_e6": ONE}, dust_e6=dust)
    step = next_step(plan, [bought(0, 20_500_000, 10_250_000), bought(1, 20 * ONE, 9 * ONE)], {}, RUN)
    assert ended(step)[0] is state


@pytest.mark.parametrize(
    ("first", "second", "dust", "expected"),
    [
        (0, 0, 0, (FLAT, "nothing is held")),
        (5_000, 0, 2_500, (FLAT, "what is left is within the accepted dust")),
        (5_000, 0, 2_499, (ESCALATED, "what is held is too small to trade and above what is accepted")),
        (9_999, 9_999, 0, (FLAT, "what is left is within the accepted dust")),
        (10_000, 10_000, 0, (HEDGED, "all legs are filled")),
    ],
)
def test_less_than_a_step_of_each_leg_is_flat_and_a_step_is_a_hedge(
    first: int, second: int, dust: int, expected: tuple[ExecutionState, str]
) -> None:
    orders = [bought(0, first, first // 2), bought(1, second, second // 2)]
    assert ended(next_step(plan_of(dust_e6=dust), orders, {}, RUN)) == expected


@pytest.mark.parametrize(
    ("conditions", "is_over"),
    [
        (RUN, False),
        (replace(RUN, exposure_usd_seconds_e6=600 * ONE - 1), False),
        (replace(RUN, exposure_usd_seconds_e6=600 * ONE), True),
        (replace(RUN, is_overdue=True), True),
        (replace(RUN, switch="kill"), True),
        (replace(RUN, switch="reduce"), False),
    ],
)
def test_an_order_of_unknown_outcome_is_waited_for_until_time_budget_or_a_kill(
    conditions: RunConditions, is_over: bool
) -> None:
    unknown = [OrderFact(0, "open", "buy", 0, 0, False, 20 * ONE, 9 * ONE)]
    step = next_step(plan_of(), unknown, {}, conditions)
    over = Finish(ESCALATED, "the outcome of an order is not known")
    assert step == (over if is_over else Wait("the outcome of an order is not known yet"))


def test_a_leg_is_bought_as_planned_down_to_its_minimums_and_for_its_share_of_the_cost() -> None:
    half = [bought(0, 12 * ONE, 5_400_000)]
    expected = Place(1, "open", "buy", 4_500, 12 * ONE, 5_400_000)
    for second in ({"min_size_e6": 12 * ONE}, {"min_notional_e6": 5_400_000}, {"size_step_e6": 12 * ONE}):
        assert next_step(plan_of(second=second), half, {}, FRESH) == expected
    for second in ({"min_size_e6": 12 * ONE + 1}, {"min_notional_e6": 5_400_001}):
        assert isinstance(next_step(plan_of(second=second), half, {}, FRESH), Wait)
        assert needs_books(plan_of(second=second), half, FRESH)
    # 9.000001 for 20 are 5.4000006 for 12: rounded up
    dearer = next_step(plan_of(second={"cost_e6": 9_000_001}), half, {}, FRESH)
    assert isinstance(dearer, Place)
    assert dearer.cost_e6 == 5_400_001


def test_nothing_is_bought_as_planned_beyond_the_plan_after_a_sale_or_for_a_late_fill() -> None:
    more = next_step(plan_of(), [bought(0, 25 * ONE, 11_250_000)], {}, FRESH)
    assert more == Place(1, "open", "buy", 4_500, 20 * ONE, 9 * ONE)
    sold = [*ALONE, OrderFact(0, "unwind", "sell", ONE, -440_000, True)]
    assert isinstance(next_step(plan_of(), sold, {}, FRESH), Wait)
    assert isinstance(next_step(plan_of(), ALONE, {}, replace(FRESH, may_exceed_plan=False)), Wait)


@pytest.mark.parametrize("missing", [0, 1])
def test_nothing_is_mended_without_a_book_of_each_leg_until_time_is_over(missing: int) -> None:
    books = {0: book(4_600, 4_400), 1: book(4_500, 4_400)}
    for without in ({**books, missing: None}, {1 - missing: books[1 - missing]}):
        assert next_step(plan_of(), ALONE, without, RUN) == Wait("no fresh book of a leg that is out of balance")
        step = next_step(plan_of(), ALONE, without, replace(RUN, is_overdue=True))
        assert isinstance(step, Place)
        assert step.leg_no == 1 - missing


def test_a_leg_that_was_tried_before_is_completed_and_one_that_was_not_is_opened() -> None:
    for orders, purpose in ((ALONE, "open"), ([*ALONE, bought(1, 0, 0)], "complete")):
        assert next_step(plan_of(), orders, COMPLETE, RUN) == Place(1, purpose, "buy", 4_500, 20 * ONE, 9 * ONE)


def test_a_leg_is_bought_five_times_at_most() -> None:
    tries = [bought(1, 0, 0, "open"), *[bought(1, 0, 0, "complete")] * 4]
    assert isinstance(next_step(plan_of(), [*ALONE, *tries[:4]], COMPLETE, RUN), Place)
    assert next_step(plan_of(), [*ALONE, *tries], COMPLETE, RUN) == Wait("no way to balance is within the loss bound")


def test_excess_is_given_up_eight_times_at_most() -> None:
    sale = OrderFact(0, "unwind", "sell", 0, 0, True)
    pair = OrderFact(0, "complement", "sell", 0, 0, True)
    assert isinstance(next_step(plan_of(), [*ALONE, *[sale] * 6, pair], SELL, RUN), Place)
    assert next_step(plan_of(), [*ALONE, *[sale] * 7, pair], SELL, RUN) == Wait(
        "no way to balance is within the loss bound"
    )


def test_where_every_kind_of_order_is_used_up_what_is_left_is_accepted_as_dust_or_escalated() -> None:
    used_up = [
        *[OrderFact(0, "unwind", "sell", 0, 0, True)] * 8,
        *[bought(0, 0, 0, "complete")] * 5,
        *[bought(1, 0, 0, "complete")] * 5,
    ]
    assert ended(next_step(plan_of(), [*ALONE, *used_up], SELL, RUN)) == (ESCALATED, TOO_SMALL)
    accepted = "what is left is too small to trade and within what is accepted"
    for dust, state in ((9 * ONE, FLAT), (9 * ONE - 1, ESCALATED)):
        assert ended(next_step(plan_of(dust_e6=dust), [*ALONE, *used_up], SELL, RUN))[0] is state
    both = [*ALONE, bought(1, 16 * ONE, 7_200_000), *used_up[:-1]]
    assert ended(next_step(plan_of(), both, SELL, RUN)) == (HEDGED, accepted)


def test_dust_that_no_way_mends_is_accepted_and_more_waits_for_other_books() -> None:
    assert ended(next_step(plan_of(dust_e6=9 * ONE), ALONE, NOTHING, RUN))[0] is FLAT
    assert isinstance(next_step(plan_of(dust_e6=9 * ONE - 1), ALONE, NOTHING, RUN), Wait)


@pytest.mark.parametrize(("least", "is_over"), [(20 * ONE, False), (20 * ONE + 1, True)])
def test_what_is_below_the_least_order_of_every_leg_ends(least: int, is_over: bool) -> None:
    plan = plan_of({"min_size_e6": least}, {"min_size_e6": least})
    step = next_step(plan, ALONE, NOTHING, RUN)
    assert step == (Finish(ESCALATED, TOO_SMALL) if is_over else Wait("no way to balance is within the loss bound"))


def test_plans_of_before_there_was_a_loss_bound_have_the_one_of_their_slippage() -> None:
    # 0.02 for each of 20 contracts: 0.40 are lost at 0.57
    former = plan_of(loss_bound_e6=0)
    assert isinstance(next_step(former, ALONE, {**NOTHING, 1: book(5_700, None)}, RUN), Place)
    assert isinstance(next_step(former, ALONE, {**NOTHING, 1: book(5_701, None)}, RUN), Wait)


def test_an_order_is_cut_to_the_whole_steps_that_the_cap_on_exposure_allows() -> None:
    # 8.88 contracts at 0.45 are 3.996; 8.89 would be 4.0005
    capped = {"exposure_budget_e6": 4 * ONE}
    expected = Place(0, "open", "buy", 4_500, 8_880_000, 3_996_000)
    assert next_step(plan_of(**capped), [], {}, RUN) == expected
    for first in ({"min_size_e6": 8_880_000}, {"min_notional_e6": 3_996_000}):
        assert next_step(plan_of(first, **capped), [], {}, RUN) == expected
    for first in ({"min_size_e6": 8_880_001}, {"min_notional_e6": 3_996_001}):
        assert ended(next_step(plan_of(first, **capped), [], {}, RUN)) == (FLAT, "no order fits the cap on exposure")
    assert next_step(plan_of(exposure_budget_e6=9 * ONE), [], {}, RUN) == Place(
        0, "open", "buy", 4_500, 20 * ONE, 9 * ONE
    )
    # one step costs 0.0045
    assert next_step(plan_of(exposure_budget_e6=4_500), [], {}, RUN) == Place(0, "open", "buy", 4_500, 10_000, 4_500)
    assert ended(next_step(plan_of(exposure_budget_e6=4_499), [], {}, RUN))[0] is FLAT


def test_the_cost_of_an_order_that_is_cut_is_its_share_rounded_up() -> None:
    step = next_step(plan_of({"cost_e6": 8_999_999}, exposure_budget_e6=4 * ONE), [], {}, RUN)
    assert step == Place(0, "open", "buy", 4_500, 8_880_000, 3_996_000)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # a purchase may cost its limit, and what it walks where that is more
        (Place(0, "open", "buy", 4_500, ONE, 440_000), OrderFact(0, "open", "buy", 0, 0, False, ONE, 450_000)),
        (Place(0, "open", "buy", 4_500, ONE, 460_000), OrderFact(0, "open", "buy", 0, 0, False, ONE, 460_000)),
        (Place(1, "unwind", "sell", 4_400, ONE, 430_000), OrderFact(1, "unwind", "sell", 0, 0, False, ONE, -430_000)),
        # a complement takes its price and brings a pair, which is a dollar
        (
            Place(0, "complement", "buy", 5_600, ONE, 550_000),
            OrderFact(0, "complement", "sell", 0, 0, False, ONE, -440_000),
        ),
    ],
)
def test_an_order_under_way_counts_with_the_worst_it_may_take(step: Place, expected: OrderFact) -> None:
    assert under_way(step) == expected
