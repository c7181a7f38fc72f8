"""How the legs of a hedge are sent: what each way is expected to cost, by hand, and what rules one of them out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import pytest

from orchestration.opportunities.leg_risk import (
    LegOdds,
    LegPriors,
    kept_in_turn,
    leg_odds,
    match_ms,
    sending_of,
    sureness,
)

PRIORS = LegPriors(Decimal("0.9"), Decimal("0.2"), Decimal("0.01"), 500_000_000)
EXITS = [Decimal("0.03"), Decimal("0.03")]


class Record(NamedTuple):
    first_asked_e6: int = 0
    first_filled_e6: int = 0
    later_asked_e6: int = 0
    later_filled_e6: int = 0
    shortfall_e6: int = 0


def assumed(match: int = 0, delay: int | None = 0) -> LegOdds:
    return leg_odds(PRIORS, Record(), match, delay)


def test_without_orders_of_our_own_the_priors_hold() -> None:
    odds = assumed()
    assert (odds.fills, odds.fades, odds.fade_usd) == (Decimal("0.9"), Decimal("0.2"), Decimal("0.01"))
    assert PRIORS.gap_usd == Decimal("0.002")


def test_500_contracts_of_our_own_weigh_as_much_as_the_priors() -> None:
    """Of 500 that left first half filled: (450 + 250) / 1,000. Of 500 that left later 200: (360 + 200) / 1,000."""
    odds = leg_odds(PRIORS, Record(500_000_000, 250_000_000, 500_000_000, 200_000_000, 7_000_000), 0, 0)
    assert odds.fills == Decimal("0.7")
    assert odds.fades == Decimal("0.2")
    assert (odds.missed_e6, odds.shortfall_e6) == (550_000_000, 7_000_000)


def test_both_ways_are_priced_by_hand() -> None:
    """In turn: 0.9 x (1 - 0.9 x 0.8) x 0.01. At once: each leg alone, 2 x 0.1 x 0.9 x 0.01."""
    sending = sending_of([assumed(), assumed()], EXITS, 500)
    assert sending.in_turn_usd == Decimal("0.00252")
    assert sending.at_once_usd == Decimal("0.0018")
    assert (sending.is_at_once, sending.cost_usd, sending.why) == (True, Decimal("0.0018"), "")


def test_a_leg_that_can_be_sold_for_less_than_the_other_costs_dearer_is_sold() -> None:
    """Selling either again costs 0.004: 0.9 x 0.28 x 0.004 and 2 x 0.09 x 0.004."""
    sending = sending_of([assumed(), assumed()], [Decimal("0.004")] * 2, 500)
    assert (sending.in_turn_usd, sending.at_once_usd) == (Decimal("0.001008"), Decimal("0.00072"))


def test_what_nobody_buys_back_is_completed() -> None:
    sending = sending_of([assumed(), assumed()], [None, None], 500)
    assert sending.at_once_usd == Decimal("0.0018")


def test_what_missing_legs_have_cost_weighs_more_than_what_is_assumed() -> None:
    """10 contracts missed cost 1 dollar; 500 at 0.01 are 5: 6 dollars for 510 contracts."""
    odds = leg_odds(PRIORS, Record(10_000_000, 0, 0, 0, 1_000_000), 0, 0)
    sending = sending_of([replace(odds, fills=Decimal("0.5")), replace(odds, fills=Decimal("0.5"))], EXITS, 500)
    assert sending.at_once_usd == pytest.approx(Decimal(6) / 510 / 2, abs=Decimal("0.000001"))


def test_makers_that_never_step_back_are_bought_in_turn_where_legs_are_unsure() -> None:
    """Unsure legs cost nothing in turn as long as the first does not fill, and makers that stay cost no more later."""
    steady = LegOdds(Decimal("0.5"), Decimal(0), Decimal("0.01"), delay_ms=0)
    sending = sending_of([steady, steady], EXITS, 500)
    # 0.5 x 0.5 x 0.01 in turn, 2 x 0.5 x 0.5 x 0.01 at once
    assert (sending.in_turn_usd, sending.at_once_usd) == (Decimal("0.0025"), Decimal("0.005"))
    assert (sending.is_at_once, sending.holds_ms) == (False, ())


@pytest.mark.parametrize(
    ("delay_ms", "match", "said"),
    [
        (1_000, 0, "for a second or more"),
        (3_000, 0, "for a second or more"),
        (None, 0, "not known"),
        (0, 501, "for too long"),
    ],
)
def test_what_never_leaves_at_once(delay_ms: int | None, match: int, said: str) -> None:
    sending = sending_of([assumed(match, delay_ms), assumed()], EXITS, 500)
    assert not sending.is_at_once
    assert said in sending.why
    assert sending.cost_usd == sending.in_turn_usd


def test_the_faster_order_is_held_back_by_what_the_slower_one_takes_longer() -> None:
    sending = sending_of([assumed(227, 150), assumed(25)], EXITS, 500)
    assert sending.holds_ms == (0, 202)


def test_three_legs_at_once_and_in_turn() -> None:
    """At once each of three is missing alone: 3 x 0.1 x (1 - 0.1 x 0.1) x 0.01; in turn two: 0.9 x 2 x 0.28 x 0.01."""
    sending = sending_of([assumed()] * 3, [Decimal("0.03")] * 3, 500)
    assert (sending.in_turn_usd, sending.at_once_usd) == (Decimal("0.00504"), Decimal("0.00297"))


def test_an_order_matches_after_half_a_round_trip_and_what_its_market_holds_it_back() -> None:
    assert match_ms([60, 107, 155, 202, 250], 150) == 227
    assert match_ms([], None) == 0


def test_legs_count_as_equally_sure_within_one_in_twenty() -> None:
    assert sureness(LegOdds(Decimal("0.91"), Decimal(0), Decimal(0))) == sureness(assumed())
    assert sureness(LegOdds(Decimal("0.8"), Decimal(0), Decimal(0))) < sureness(assumed())


def test_what_is_kept_in_turn_says_why_and_what_it_costs() -> None:
    kept = kept_in_turn(sending_of([assumed(), assumed()], EXITS, 500), "it is off")
    assert (kept.is_at_once, kept.cost_usd, kept.why) == (False, Decimal("0.00252"), "it is off")
    assert kept.to_json() == {
        "is_at_once": False, "at_once_usd": "0.001800", "in_turn_usd": "0.002520", "holds_ms": [], "why": "it is off"
    }  # fmt: skip
