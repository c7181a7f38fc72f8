"""When an order is looked for, and what proves that it never arrived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestration.execution.decide.absence import (
    begun,
    due_in_s,
    is_absent,
    look_every_s,
    may_be_older_than_cancel,
    may_prove,
    not_shown,
    shown,
)
from streams.market.identity import Venue
from streams.market.trading import BootTime, OrderWatch
from streams.processes.boot_clock import boot_now

AFTER_S = 30.0


def at(seconds: float, boot: str = "a") -> BootTime:
    return BootTime(boot, int(seconds * 1000))


SENT = OrderWatch(1, Venue.KALSHI, since=at(0))


def looked(watch: OrderWatch, *seconds: float, behind_s: float | None = 0.0) -> OrderWatch:
    for second in seconds:
        watch = not_shown(begun(watch, at(second)), at(second), AFTER_S, behind_s)
    return watch


@pytest.mark.parametrize(
    ("age_s", "every_s"),
    [(0, 1), (59.9, 1), (60, 10), (3_599, 10), (3_600, 60), (86_400, 60), (31_536_000, 60)],
)
def test_it_is_looked_for_each_second_then_each_ten_then_each_minute_without_an_end(
    age_s: float, every_s: float
) -> None:
    assert look_every_s(age_s) == every_s


def test_what_was_given_up_is_looked_for_ever_more_seldom_and_without_an_end() -> None:
    assert [look_every_s(age_s, is_given_up=True) for age_s in (30, 600, 86_400, 31_536_000)] == [
        60, 60, 8_640, 3_153_600
    ]  # fmt: skip


def test_it_takes_two_whole_lists_past_the_waiting_time() -> None:
    assert not is_absent(looked(SENT, *range(30)))
    assert not is_absent(looked(SENT, *range(31)))
    assert is_absent(looked(SENT, *range(32)))


def test_the_same_instant_is_not_read_twice() -> None:
    assert not is_absent(looked(SENT, 30, 30, 30.5, 30.9))


@pytest.mark.parametrize("behind_s", [None, 2.5, 3_600.0])
def test_lists_that_do_not_reach_past_the_waiting_time_prove_nothing(behind_s: float | None) -> None:
    assert not is_absent(looked(SENT, 30, 31, 32, behind_s=behind_s))


def test_lists_that_lie_behind_prove_it_once_they_have_come_far_enough() -> None:
    assert not is_absent(looked(SENT, 32.4, 33.4, behind_s=2.5))
    assert is_absent(looked(SENT, 32.5, 33.5, behind_s=2.5))


def test_lists_of_the_future_shorten_nothing() -> None:
    assert not is_absent(looked(SENT, 10, 20, 29, behind_s=-3_600.0))


def test_what_was_seen_once_is_never_absent() -> None:
    seen = shown(SENT, at(1))
    assert not is_absent(looked(seen, 40, 50, 60, 4_000))
    assert not may_prove(seen, at(4_000), AFTER_S)
    assert not is_absent(looked(replace(SENT, is_seen=True), 40, 50))
    assert not is_absent(shown(looked(SENT, 40), at(41)))


def test_after_a_reboot_the_waiting_begins_anew_and_what_was_seen_stays_seen() -> None:
    half = looked(SENT, 40)
    assert half.absent_reads == 1
    anew = begun(half, at(5, "b"))
    assert (anew.since, anew.looked, anew.absent_reads) == (at(5, "b"), None, 0)
    assert begun(replace(half, is_seen=True), at(5, "b")).is_seen
    for second in (5, 34.9):
        anew = not_shown(begun(anew, at(second, "b")), at(second, "b"), AFTER_S, 0.0)
    assert anew.absent_reads == 0
    for second in (36, 37):
        anew = not_shown(begun(anew, at(second, "b")), at(second, "b"), AFTER_S, 0.0)
    assert is_absent(anew)


def test_a_clock_that_went_back_is_another_one() -> None:
    assert begun(OrderWatch(1, Venue.KALSHI, since=at(100)), at(50)).since == at(50)


def test_when_the_next_look_is_due() -> None:
    assert due_in_s(replace(SENT, looked=at(10)), at(10.25)) == 0.75
    assert due_in_s(replace(SENT, looked=at(100)), at(103)) == 7
    assert due_in_s(replace(SENT, looked=at(100)), at(113)) == -3
    assert due_in_s(SENT, at(4)) == -4
    assert due_in_s(OrderWatch(1, Venue.KALSHI), at(4)) == float("-inf")
    assert due_in_s(replace(SENT, looked=at(100)), at(4, "b")) == float("-inf")


def test_what_is_read_right_after_a_cancel_may_come_from_before_it() -> None:
    assert may_be_older_than_cancel(replace(SENT, cancelled=at(5)), at(5.9))
    assert not may_be_older_than_cancel(replace(SENT, cancelled=at(5)), at(6))
    assert not may_be_older_than_cancel(SENT, at(6))


def test_the_clock_runs_on_and_has_the_boots_name() -> None:
    first = boot_now()
    later = boot_now().since_ms(first)
    assert first.boot
    assert later is not None
    assert later >= 0


def test_the_waiting_time_and_the_time_between_reads_hold_to_the_millisecond() -> None:
    assert not may_prove(SENT, at(29.999), AFTER_S)
    assert may_prove(SENT, at(30), AFTER_S)
    once = looked(SENT, 30)
    assert not may_prove(once, at(30.999), AFTER_S)
    assert may_prove(once, at(31), AFTER_S)
    assert may_be_older_than_cancel(replace(SENT, cancelled=at(5)), at(5.999))


def test_where_a_venue_waits_less_than_a_second_its_reads_may_follow_each_other_as_fast() -> None:
    once = not_shown(SENT, at(0.5), 0.5, 0.0)
    assert not may_prove(once, at(0.999), 0.5)
    assert may_prove(once, at(1), 0.5)


def test_an_order_that_was_never_watched_proves_nothing() -> None:
    assert not may_prove(OrderWatch(1, Venue.KALSHI), at(4_000), AFTER_S)
    assert not is_absent(not_shown(OrderWatch(1, Venue.KALSHI), at(4_000), AFTER_S, 0.0))
