"""Which plans are worth their capital, and what a person's settings lift."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from orchestration.execution.decide.gate.selection import WorthPolicy, is_long, refuse_worth
from orchestration.execution.trading_context import worth_policy
from orchestration.opportunities.worth import StressLoss, StressPriors, Worth
from streams.settings import Settings, load_settings

POLICY = WorthPolicy(
    priors=StressPriors(Decimal(0), Decimal(0), Decimal(0), {}),
    min_annualised=Decimal("0.1"),
    max_days=Decimal(180),
    long_days=Decimal(2),
    long_e6=1_000_000_000,
)
TIED_UP = Worth(3_270_000, 0, 0, (), 736_000_000, Decimal(331))


def reason(worth: Worth, policy: WorthPolicy = POLICY) -> str | None:
    refusal = refuse_worth(worth, policy)
    return None if refusal is None else str(refusal.reason)


def test_736_dollars_for_331_days_that_lock_3_27_are_refused_unless_a_person_lifts_both_floors() -> None:
    assert reason(TIED_UP) == "tied_too_long"
    longer = replace(POLICY, max_days=Decimal(400))
    assert reason(TIED_UP, longer) == "return_too_low"
    assert reason(TIED_UP, replace(longer, min_annualised=Decimal("0.004"))) is None


@pytest.mark.parametrize(
    ("days", "locked", "expected"),
    [("180", 50_000_000, None), ("180.01", 50_000_000, "tied_too_long"), ("36.5", 10_000_000, None),
     ("36.5", 9_999_000, "return_too_low"), ("0.001", 300_000, None), ("0.001", 1_000, "return_too_low")],
)  # fmt: skip
def test_the_floors_hold_to_the_digit(days: str, locked: int, expected: str | None) -> None:
    assert reason(Worth(locked, 0, 0, (), 1_000_000_000, Decimal(days))) == expected


def test_what_is_expected_to_bring_nothing_or_is_back_nobody_knows_when_is_refused() -> None:
    assert (
        reason(
            Worth(
                1_000_000, 200_000, 300_000, (StressLoss("tie", Decimal("0.01"), 50_000_000),), 50_000_000, Decimal(1)
            )
        )
        == "not_worth"
    )
    assert reason(Worth(1_000_000, 0, 0, (), 50_000_000, None)) == "tied_too_long"


def test_an_exit_that_ties_up_nothing_is_worth_it_whenever_the_rest_comes_back() -> None:
    assert reason(Worth(1_000_000, 0, 0, (), 0, Decimal(331))) is None
    assert reason(Worth(1_000_000, 0, 0, (), 0, None)) is None
    assert reason(Worth(0, 0, 0, (), 0, None)) == "not_worth"


def test_a_refusal_says_what_was_reckoned_beside_the_floor() -> None:
    refusals = [
        refuse_worth(Worth(1_000_000, 400_000, 600_000, (), 50_000_000, Decimal(1)), POLICY),
        refuse_worth(TIED_UP, POLICY),
        refuse_worth(TIED_UP, replace(POLICY, max_days=Decimal(400))),
        refuse_worth(Worth(1_000_000, 0, 0, (), 50_000_000, None), POLICY),
    ]
    assert [refusal and refusal.detail for refusal in refusals] == [
        "$1.000000 locked, $0.000000 expected",
        "331.0 days, at most 180",
        "0.49 % a year, at least 10.0 %",
        "when its cash comes back is not known",
    ]
    assert reason(Worth(1, 0, 0, (), 0, None)) is None


def test_capital_counts_as_long_beyond_its_days_and_where_they_are_not_known() -> None:
    assert [is_long(days, POLICY) for days in (Decimal(2), Decimal("2.1"), None)] == [False, True, True]


def test_the_settings_say_how_careful_a_category_is() -> None:
    policy = worth_policy(Settings(venues="sandbox", stress_by_category="Sports=4, crypto=0.5"))
    assert policy.priors.of(["Sports"]) == (Decimal("0.008"), Decimal("0.004"), Decimal("0.004"))
    assert policy.priors.of(["Crypto"]) == (Decimal("0.001"), Decimal("0.0005"), Decimal("0.0005"))
    for text in ("sports", "sports=x", "=2", "sports=-1", "sports=1001"):
        with pytest.raises(Exception, match="STRESS_BY_CATEGORY"):
            load_settings(stress_by_category=text)
