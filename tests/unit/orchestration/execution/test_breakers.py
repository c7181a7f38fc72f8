"""Circuit breakers: above their threshold they trip once, and only on what happened since a person resumed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.execution.decide.gate.breakers import (
    Breaker,
    BreakerState,
    Sample,
    counts_from,
    judge_breaker,
)
from orchestration.execution.gate.breaker_watch import breakers_of
from orchestration.execution.venues.answers import fault_of
from streams.market.errors import OutcomeUnknown, Refused, StreamsError, Unavailable
from streams.settings import load_settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ARMED = BreakerState()
RATE = Breaker(
    name="gap_rate",
    is_of_account=False,
    is_share=True,
    what="sold again",
    of="hedges",
    window=timedelta(minutes=10),
    least=4,
    threshold=Decimal("0.5"),
)
LOSS = replace(RATE, name="loss", is_share=False, what="lost", least=1, threshold=Decimal("50"))


def ago(seconds: float, bad: int, base: int = 1) -> Sample:
    return Sample(NOW - timedelta(seconds=seconds), bad, base)


@pytest.mark.parametrize(
    ("bads", "trips"),
    [
        ([1, 1, 1], False),  # too few
        ([1, 1, 0, 0], False),  # at the threshold
        ([1, 1, 1, 0], True),
        ([0, 0, 0, 0], False),
    ],
)
def test_a_share_trips_above_its_threshold_and_from_its_least_count_on(bads: list[int], trips: bool) -> None:
    found = judge_breaker(RATE, ARMED, [ago(number, bad) for number, bad in enumerate(bads)], NOW)
    assert (found is not None) is trips


def test_what_a_breaker_tripped_on_is_said_in_one_sentence() -> None:
    trip = judge_breaker(RATE, ARMED, [ago(1, 1), ago(2, 1), ago(3, 1), ago(4, 0)], NOW)
    assert trip is not None
    assert trip.why == "circuit breaker gap_rate: sold again: 0.7500 is above 0.5 (4 hedges)"
    assert (trip.counted, trip.reading, trip.since) == (4, Decimal("0.75"), NOW - RATE.window)


def test_dollars_are_summed_and_gains_make_up_for_losses() -> None:
    assert judge_breaker(LOSS, ARMED, [ago(1, 50_000_000)], NOW) is None
    trip = judge_breaker(LOSS, ARMED, [ago(1, 50_000_001)], NOW)
    assert trip is not None
    assert trip.why == "circuit breaker loss: lost: 50.0000 USD is above 50 USD (1 hedges)"
    assert judge_breaker(LOSS, ARMED, [ago(1, 50_000_001), ago(2, -1)], NOW) is None


def test_slippage_is_a_share_of_the_dollars_bought() -> None:
    """50 contracts for 49 dollars that were to lock 0.65 and lost 1.35: 2.00 of 49.00."""
    slippage = replace(RATE, name="slippage", least=1, threshold=Decimal("0.04"))
    trip = judge_breaker(slippage, ARMED, [ago(1, 2_000_000, 49_000_000)], NOW)
    assert trip is not None
    assert trip.reading == Decimal(2) / 49


def test_what_is_older_than_the_window_or_than_the_resumption_does_not_count() -> None:
    bad = [ago(60 + number, 1) for number in range(4)]
    assert judge_breaker(RATE, ARMED, bad, NOW) is not None
    assert judge_breaker(RATE, ARMED, bad, NOW + RATE.window) is None
    resumed = BreakerState(resumed_at=NOW - timedelta(seconds=60))
    assert judge_breaker(RATE, resumed, bad, NOW) is None
    assert judge_breaker(RATE, resumed, [ago(59 - number, 1) for number in range(4)], NOW) is not None
    assert judge_breaker(RATE, BreakerState(is_tripped=True), bad, NOW) is None


def test_what_a_clock_that_was_set_back_left_in_the_future_counts() -> None:
    assert judge_breaker(RATE, ARMED, [ago(-3600 - number, 1) for number in range(4)], NOW) is not None


def test_no_base_says_nothing() -> None:
    assert judge_breaker(RATE, ARMED, [ago(number, 1, 0) for number in range(9)], NOW) is None


SAMPLES = st.lists(
    st.builds(
        Sample,
        st.integers(-60, 1200).map(lambda s: NOW - timedelta(seconds=s)),
        st.integers(0, 1),
    ),
    max_size=40,
)
RESUMED = st.none() | st.integers(0, 1200).map(lambda s: NOW - timedelta(seconds=s))


@given(samples=SAMPLES, resumed_at=RESUMED)
def test_a_trip_follows_from_the_samples_that_count_alone(samples: list[Sample], resumed_at: datetime | None) -> None:
    state = BreakerState(resumed_at=resumed_at)
    since = counts_from(RATE, state, NOW)
    counted = [sample for sample in samples if sample.at > since]
    bad = sum(sample.bad for sample in counted)
    expected = len(counted) >= 4 and 2 * bad > len(counted)
    found = judge_breaker(RATE, state, samples, NOW)
    assert (found is not None) is expected
    assert judge_breaker(RATE, state, counted, NOW) == found
    assert judge_breaker(RATE, state, list(reversed(samples)), NOW) == found


@given(samples=SAMPLES, more=SAMPLES)
def test_one_that_was_resumed_does_not_trip_on_the_rows_it_tripped_on(
    samples: list[Sample], more: list[Sample]
) -> None:
    past = [sample for sample in samples if sample.at <= NOW]
    resumed = BreakerState(resumed_at=NOW)
    assert judge_breaker(RATE, resumed, past, NOW) is None
    later = NOW + timedelta(minutes=5)
    new = [Sample(sample.at + timedelta(minutes=25), sample.bad) for sample in more]
    assert judge_breaker(RATE, resumed, past + new, later) == judge_breaker(RATE, resumed, new, later)


def test_every_setting_of_a_breaker_is_finite_and_reaches_it() -> None:
    changed = {
        "breaker_reject_window_s": 11, "breaker_reject_count": 12, "breaker_reject_share": "0.13",
        "breaker_venue_errors_window_s": 21, "breaker_venue_errors_count": 22, "breaker_venue_errors_share": "0.23",
        "breaker_slippage_window_s": 31, "breaker_slippage_count": 32, "breaker_slippage_share": "0.33",
        "breaker_gap_window_s": 41, "breaker_gap_count": 42, "breaker_gap_share": "0.43",
        "breaker_loss_window_s": 51, "breaker_loss_count": 52, "breaker_loss_usd": "53",
    }  # fmt: skip
    found = [
        (b.name, b.window.total_seconds(), b.least, str(b.threshold)) for b in breakers_of(load_settings(**changed))
    ]
    assert found == [
        ("reject_rate", 11, 12, "0.13"),
        ("venue_errors", 21, 22, "0.23"),
        ("slippage", 31, 32, "0.33"),
        ("gap_rate", 41, 42, "0.43"),
        ("loss", 51, 52, "53"),
    ]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (Refused("insufficient_balance"), "refused"),
        (Refused("fak_not_matched"), None),
        (Refused("fok_not_filled"), None),
        (Refused("fill_or_kill_insufficient_resting_volume"), None),
        (Unavailable("425"), "venue"),
        (OutcomeUnknown("timeout"), "venue"),
    ],
)
def test_that_there_was_nothing_to_take_is_no_fault(error: StreamsError, fault: str | None) -> None:
    assert fault_of(error) == fault
