"""Exposure times seconds goes on over restarts and reboots, whatever the wall clock does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.execution.decide.exposure import ExposureSum, Moment, alarm_e6_s, exposure_sum
from orchestration.execution.decide.hedge_plan import Plan
from streams.market.trading import BootTime

ONE = 1_000_000
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def moment(seconds: float, *, boot: str = "a", wall_s: float | None = None) -> Moment:
    return Moment(
        BootTime(boot, int(seconds * 1_000)), START + timedelta(seconds=seconds if wall_s is None else wall_s)
    )


def test_each_exposure_counts_for_as_long_as_it_lasted() -> None:
    exposed = ExposureSum().moved(20 * ONE, moment(10)).moved(5 * ONE, moment(13)).moved(0, moment(14))
    assert (exposed.until(moment(99)), exposed.peak_e6) == (65 * ONE, 20 * ONE)


def test_who_takes_over_counts_the_time_in_which_nobody_worked_on_it() -> None:
    stored = ExposureSum().moved(9 * ONE, moment(1)).to_json()
    assert exposure_sum(stored).until(moment(8)) == 63 * ONE
    assert exposure_sum(stored).moved(4 * ONE, moment(8)).until(moment(10)) == 71 * ONE
    assert exposure_sum({"exposure_e6_s": 7, "peak_exposure_e6": 3}) == ExposureSum(0, 7, 3)  # of before


@pytest.mark.parametrize("wall_s", [-3_600, 0, 3_600])
def test_a_wall_clock_that_is_set_changes_nothing(wall_s: float) -> None:
    exposed = ExposureSum().moved(9 * ONE, moment(1))
    assert exposed.until(moment(8, wall_s=wall_s)) == 63 * ONE


def test_after_a_reboot_the_wall_clock_counts_and_never_backwards() -> None:
    exposed = ExposureSum().moved(9 * ONE, moment(100))
    assert exposed.until(moment(2, boot="b", wall_s=130)) == 270 * ONE
    assert exposed.until(moment(2, boot="b", wall_s=50)) == 0


def test_when_a_budget_is_used_up_is_known_beforehand() -> None:
    exposed = ExposureSum().moved(20 * ONE, moment(10))
    assert exposed.seconds_until(100 * ONE, moment(12)) == 3
    assert exposed.seconds_until(100 * ONE, moment(16)) == 0
    assert exposed.moved(0, moment(12)).seconds_until(100 * ONE, moment(13)) is None


def test_fractions_of_a_second_count_to_the_millisecond() -> None:
    exposed = ExposureSum().moved(2_500, moment(1))
    assert exposed.until(moment(1.999)) == 2_497
    assert exposed.until(moment(2)) == 2_500
    assert exposed.until(moment(1, boot="b", wall_s=2.5)) == 3_750


def test_nothing_has_been_exposed_at_first() -> None:
    new = ExposureSum()
    assert (new.level_e6, new.usd_seconds_e6, new.peak_e6, new.since) == (0, 0, 0, None)
    assert new.until(moment(9)) == 0
    assert exposure_sum({}) == new
    assert exposure_sum(new.to_json()) == new


def test_what_is_kept_is_read_again_as_it_was() -> None:
    exposed = ExposureSum().moved(20 * ONE, moment(10)).moved(5 * ONE, moment(13))
    assert exposure_sum(exposed.to_json()) == exposed


def test_a_budget_that_is_just_used_up_is_used_up_also_where_nothing_is_exposed_any_more() -> None:
    assert ExposureSum(0, 100).seconds_until(100, moment(1)) == 0
    assert ExposureSum(0, 100).seconds_until(101, moment(1)) is None
    assert ExposureSum(1, 100).seconds_until(101, moment(1)) == 1


def test_a_person_is_told_at_the_alarm_and_in_former_plans_at_the_budget() -> None:
    plan = Plan((), 0, 0, 0, 600, 0, exposure_alarm_e6_s=100)
    assert alarm_e6_s(plan) == 100
    assert alarm_e6_s(replace(plan, exposure_alarm_e6_s=0)) == 600
