"""The lifecycle of orders and fills: messages come twice, late and in any order."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from streams.market.identity import Venue
from streams.market.order_lifecycle import FillLifecycles, OrderLifecycles
from streams.market.user_stream_events import FillStatus, FillUpdate, OrderUpdate

FILL = FillUpdate(
    Venue.POLYMARKET, "trade", "order", "M", "bid", 4_400, 10_000_000, 4_400_000, True, "matched", venue_sent_ms=1_000
)
ORDER = OrderUpdate(
    Venue.POLYMARKET, "order", "M", "live", "bid", 4_400, 10_000_000, 0, 10_000_000, venue_sent_ms=1_000
)  # fmt: skip


def step(status: FillStatus, at_ms: int | None) -> FillUpdate:
    return replace(FILL, status=status, venue_sent_ms=at_ms)


def test_a_fill_goes_from_matched_to_confirmed_and_each_step_counts_once() -> None:
    lifecycles = FillLifecycles()
    steps = [step("matched", 1), step("matched", 1), step("mined", 2), step("confirmed", 3), step("confirmed", 3)]
    assert [lifecycles.apply(update) for update in steps] == ["first", "repeated", "advanced", "advanced", "repeated"]
    assert lifecycles.unsettled() == []
    assert lifecycles.filled_e6("order") == 10_000_000


@pytest.mark.parametrize("end", ["confirmed", "failed"])
def test_in_whatever_order_the_steps_arrive_the_end_is_the_same(end: FillStatus) -> None:
    steps = [step("matched", 1), step("mined", 2), step("retrying", 3), step(end, 9)]
    for order in itertools.permutations(steps):
        lifecycles = FillLifecycles()
        for update in order:
            lifecycles.apply(update)
        assert lifecycles.fills[FILL.key].status == end
    assert lifecycles.filled_e6("order") == (0 if end == "failed" else 10_000_000)


def test_a_lost_block_sends_a_fill_back_to_retrying_and_a_late_word_of_it_does_not() -> None:
    lifecycles = FillLifecycles()
    lifecycles.apply(step("mined", 5))
    assert lifecycles.apply(step("retrying", 4)) == "outdated"
    assert lifecycles.apply(step("retrying", 6)) == "advanced"
    assert lifecycles.apply(step("matched", 7)) == "outdated"
    assert lifecycles.apply(step("mined", 8)) == "advanced"
    assert [fill.status for fill in lifecycles.unsettled()] == ["mined"]


def test_without_times_the_step_nearer_to_the_end_counts() -> None:
    lifecycles = FillLifecycles()
    assert [lifecycles.apply(step(word, None)) for word in ("mined", "retrying", "failed")] == [  # type: ignore[arg-type]
        "first", "outdated", "advanced",
    ]  # fmt: skip


def test_confirmed_and_failed_of_one_fill_are_a_contradiction_that_changes_nothing() -> None:
    lifecycles = FillLifecycles()
    lifecycles.apply(step("confirmed", 1))
    assert lifecycles.apply(step("failed", 2)) == "contradicted"
    assert lifecycles.fills[FILL.key].status == "confirmed"


def test_two_of_our_orders_in_one_trade_are_two_fills() -> None:
    lifecycles = FillLifecycles()
    lifecycles.apply(FILL)
    assert lifecycles.apply(replace(FILL, order_id="other")) == "first"
    assert len(lifecycles.unsettled()) == 2


def test_a_placement_after_the_match_it_led_to_changes_nothing() -> None:
    lifecycles = OrderLifecycles()
    matched = replace(ORDER, status="filled", filled_e6=10_000_000, remaining_e6=0, venue_sent_ms=1_000)
    assert lifecycles.apply(matched) == matched
    assert lifecycles.apply(ORDER) is None
    assert lifecycles.working() == []


def test_a_kill_that_states_no_filled_amount_keeps_what_was_filled() -> None:
    lifecycles = OrderLifecycles()
    lifecycles.apply(replace(ORDER, filled_e6=4_000_000, remaining_e6=6_000_000))
    killed = lifecycles.apply(replace(ORDER, status="canceled", remaining_e6=0, reason="killed", venue_sent_ms=2_000))
    assert killed is not None
    assert (killed.status, killed.filled_e6, killed.remaining_e6) == ("canceled", 4_000_000, 0)


def test_a_fill_told_of_before_its_placement_leaves_the_rest_working() -> None:
    lifecycles = OrderLifecycles()
    partly = replace(ORDER, filled_e6=4_000_000, remaining_e6=6_000_000, venue_sent_ms=2_000)
    assert lifecycles.apply(partly) == partly
    assert lifecycles.apply(ORDER) is None
    assert lifecycles.working() == [partly]


def test_a_word_nobody_knows_does_not_hide_the_state_known_before() -> None:
    lifecycles = OrderLifecycles()
    lifecycles.apply(ORDER)
    assert lifecycles.apply(replace(ORDER, status="unknown", venue_sent_ms=5_000)) is None
    assert lifecycles.orders["order"].status == "live"


def test_an_amended_order_is_news() -> None:
    lifecycles = OrderLifecycles()
    lifecycles.apply(ORDER)
    amended = replace(ORDER, price_e4=4_500, venue_sent_ms=2_000)
    assert lifecycles.apply(amended) == amended
    assert lifecycles.apply(ORDER) is None
