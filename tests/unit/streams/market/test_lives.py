"""The lives of orders and fills: messages come twice, late and in any order."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from streams.market.identity import Venue
from streams.market.lives import FillLives, OrderLives
from streams.market.private import FillStatus, FillUpdate, OrderUpdate

FILL = FillUpdate(
    Venue.POLYMARKET, "trade", "order", "M", "bid", 4_400, 10_000_000, 4_400_000, True, "matched", venue_sent_ms=1_000
)
ORDER = OrderUpdate(
    Venue.POLYMARKET, "order", "M", "live", "bid", 4_400, 10_000_000, 0, 10_000_000, venue_sent_ms=1_000
)  # fmt: skip


def step(status: FillStatus, at_ms: int | None) -> FillUpdate:
    return replace(FILL, status=status, venue_sent_ms=at_ms)


def test_a_fill_goes_from_matched_to_confirmed_and_each_step_counts_once() -> None:
    lives = FillLives()
    steps = [step("matched", 1), step("matched", 1), step("mined", 2), step("confirmed", 3), step("confirmed", 3)]
    assert [lives.apply(update) for update in steps] == ["first", "repeated", "advanced", "advanced", "repeated"]
    assert lives.unsettled() == []
    assert lives.filled_e6("order") == 10_000_000


@pytest.mark.parametrize("end", ["confirmed", "failed"])
def test_in_whatever_order_the_steps_arrive_the_end_is_the_same(end: FillStatus) -> None:
    steps = [step("matched", 1), step("mined", 2), step("retrying", 3), step(end, 9)]
    for order in itertools.permutations(steps):
        lives = FillLives()
        for update in order:
            lives.apply(update)
        assert lives.fills[FILL.key].status == end
    assert lives.filled_e6("order") == (0 if end == "failed" else 10_000_000)


def test_a_lost_block_sends_a_fill_back_to_retrying_and_a_late_word_of_it_does_not() -> None:
    lives = FillLives()
    lives.apply(step("mined", 5))
    assert lives.apply(step("retrying", 4)) == "outdated"
    assert lives.apply(step("retrying", 6)) == "advanced"
    assert lives.apply(step("matched", 7)) == "outdated"
    assert lives.apply(step("mined", 8)) == "advanced"
    assert [fill.status for fill in lives.unsettled()] == ["mined"]


def test_without_times_the_step_nearer_to_the_end_counts() -> None:
    lives = FillLives()
    assert [lives.apply(step(word, None)) for word in ("mined", "retrying", "failed")] == [  # type: ignore[arg-type]
        "first", "outdated", "advanced",
    ]  # fmt: skip


def test_confirmed_and_failed_of_one_fill_are_a_contradiction_that_changes_nothing() -> None:
    lives = FillLives()
    lives.apply(step("confirmed", 1))
    assert lives.apply(step("failed", 2)) == "contradicted"
    assert lives.fills[FILL.key].status == "confirmed"


def test_two_of_our_orders_in_one_trade_are_two_fills() -> None:
    lives = FillLives()
    lives.apply(FILL)
    assert lives.apply(replace(FILL, order_id="other")) == "first"
    assert len(lives.unsettled()) == 2


def test_a_placement_after_the_match_it_led_to_changes_nothing() -> None:
    lives = OrderLives()
    matched = replace(ORDER, status="filled", filled_e6=10_000_000, remaining_e6=0, venue_sent_ms=1_000)
    assert lives.apply(matched) == matched
    assert lives.apply(ORDER) is None
    assert lives.working() == []


def test_a_kill_that_states_no_filled_amount_keeps_what_was_filled() -> None:
    lives = OrderLives()
    lives.apply(replace(ORDER, filled_e6=4_000_000, remaining_e6=6_000_000))
    killed = lives.apply(replace(ORDER, status="canceled", remaining_e6=0, reason="killed", venue_sent_ms=2_000))
    assert killed is not None
    assert (killed.status, killed.filled_e6, killed.remaining_e6) == ("canceled", 4_000_000, 0)


def test_a_fill_told_of_before_its_placement_leaves_the_rest_working() -> None:
    lives = OrderLives()
    partly = replace(ORDER, filled_e6=4_000_000, remaining_e6=6_000_000, venue_sent_ms=2_000)
    assert lives.apply(partly) == partly
    assert lives.apply(ORDER) is None
    assert lives.working() == [partly]


def test_a_word_nobody_knows_does_not_hide_the_state_known_before() -> None:
    lives = OrderLives()
    lives.apply(ORDER)
    assert lives.apply(replace(ORDER, status="unknown", venue_sent_ms=5_000)) is None
    assert lives.orders["order"].status == "live"


def test_an_amended_order_is_news() -> None:
    lives = OrderLives()
    lives.apply(ORDER)
    amended = replace(ORDER, price_e4=4_500, venue_sent_ms=2_000)
    assert lives.apply(amended) == amended
    assert lives.apply(ORDER) is None
