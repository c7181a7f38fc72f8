"""Which markets of an event are steps of one ladder: source, date, comparator and unit are read from both rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestration.matching.groups import Group, Member, ladder_groups
from orchestration.matching.normalise import extract
from streams.market.identity import Venue
from streams.market.listing import Listing

CLOSE = datetime(2026, 12, 24, 22, tzinfo=UTC)
GAS = (
    "If the national average price of regular gasoline reported by AAA for Dec 24, 2026 is greater than ${strike}, "
    "then the market resolves to Yes."
)
RAIN = (
    'This market will resolve to "Yes" if the monthly climate report of the National Weather Service for Central Park '
    "gives a total precipitation of more than {strike} inches for December 2026. Otherwise, this market will resolve "
    'to "No".'
)


def gas(strike: str, rules: str = GAS) -> Member:
    listing = Listing(
        Venue.KALSHI, f"KXGAS-{strike}", "KXGAS", f"Will average gas prices be above ${strike} on Dec 24, 2026?",
        event_title="Gas prices on Dec 24, 2026", rules=rules.format(strike=strike), close_time=CLOSE,
        strike={"type": "greater", "floor": strike},
    )  # fmt: skip
    return Member(extract(listing), False, CLOSE)


def rain(strike: str, rules: str = RAIN) -> Member:
    listing = Listing(
        Venue.POLYMARKET, f"0x{strike}", "rain", f"Will NYC get more than {strike} inches of rain in December?",
        event_title="Rain in New York in December", rules=rules.format(strike=strike), close_time=CLOSE,
    )  # fmt: skip
    return Member(extract(listing), False, CLOSE)


def sizes(groups: list[Group]) -> list[int]:
    return sorted(len(group.markets) for group in groups)


def test_steps_whose_rules_agree_are_one_ladder_on_either_venue() -> None:
    groups = ladder_groups([gas("3.00"), gas("3.20"), gas("3.10"), rain("2"), rain("3.5")])
    assert sizes(groups) == [2, 3]
    [ladder] = [group for group in groups if len(group.markets) == 3]
    assert [market for _, market in ladder.markets] == ["KXGAS-3.00", "KXGAS-3.10", "KXGAS-3.20"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("reported by AAA", "reported by GasBuddy"),
        ("reported by AAA ", ""),
        ("for Dec 24, 2026", "for Dec 23, 2026"),
        ("for Dec 24, 2026 ", ""),
        ("is greater than", "is less than"),
        ("is greater than ${strike}", "is ${strike}"),
        ("is greater than", "is at least"),
        ("${strike}", "{strike} euros"),
        ("${strike}", "{strike}"),
        ("${strike}", "$4.00"),
        ("regular gasoline", "premium gasoline"),
        (", then the market resolves to Yes", ""),
    ],
)
def test_a_step_whose_rules_say_something_else_or_cannot_be_read_is_in_no_ladder(old: str, new: str) -> None:
    assert old in GAS
    other = gas("3.10", GAS.replace(old, new))
    assert sizes(ladder_groups([gas("3.00"), other, gas("3.20")])) == [2]
    assert ladder_groups([gas("3.00"), other]) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Central Park", "JFK Airport"),
        ("December 2026", "November 2026"),
        ("more than", "at least"),
        ("inches", "centimetres"),
        ("the National Weather Service", "the city"),
    ],
)
def test_the_same_holds_for_rules_in_sentences(old: str, new: str) -> None:
    assert old in RAIN
    assert ladder_groups([rain("2"), rain("3", RAIN.replace(old, new))]) == []


def test_ladders_of_one_event_that_differ_in_their_rules_have_names_of_their_own() -> None:
    other = GAS.replace("reported by AAA", "reported by GasBuddy")
    groups = ladder_groups([gas("3.00"), gas("3.20"), gas("3.10", other), gas("3.30", other)])
    assert sizes(groups) == [2, 2]
    assert len({group.group_id for group in groups}) == 2


def test_a_rung_that_comes_or_goes_leaves_the_name() -> None:
    [two], [three] = ladder_groups([gas("3.00"), gas("3.20")]), ladder_groups([gas("3.00"), gas("3.20"), gas("3.40")])
    assert two.group_id == three.group_id
