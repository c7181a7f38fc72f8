"""Which markets of an event are steps of one ladder: source, date, comparator and unit are read from both rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestration.matching.groups import Group, MatchedPair, Member, ladder_groups, linked_groups, market_key
from orchestration.matching.normalise import extract
from orchestration.opportunities.bundles import find_bundles
from orchestration.opportunities.outcomes import parse_outcomes
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


def test_a_ladder_whose_steps_trade_on_both_venues_is_linked_with_those_of_the_other() -> None:
    rungs = (("kalshi", "K3"), ("kalshi", "K4"), ("kalshi", "K5"))
    keys = [market_key(*rung) for rung in rungs]
    group = Group("ladder:x", "ladder", "Gas", rungs, tuple(tuple(keys[:count]) for count in range(4)), True)
    pairs = [MatchedPair("p1", "", "K4", "0x4", "aligned"), MatchedPair("p2", "", "K5", "0x5", "inverted")]
    (linked,) = linked_groups([group], [*pairs, MatchedPair("p3", "", "OTHER", "0x9", "aligned")], [])
    assert (linked.group_id, linked.kind, linked.is_tradable) == ("linked:ladder:x", "ladder", True)
    assert linked.markets == (*rungs, ("polymarket", "0x4"), ("polymarket", "0x5"))
    assert linked.outcomes == (
        ("polymarket:0x5",),
        ("kalshi:K3", "polymarket:0x5"),
        ("kalshi:K3", "kalshi:K4", "polymarket:0x4", "polymarket:0x5"),
        ("kalshi:K3", "kalshi:K4", "kalshi:K5", "polymarket:0x4"),
    )
    found = {bundle.leg_set for bundle in find_bundles([market_key(*ref) for ref in linked.markets],
             parse_outcomes(linked.outcomes, {market_key(*ref) for ref in linked.markets}))}  # fmt: skip
    assert "kalshi:K3:yes+polymarket:0x4:no" in found
    assert linked_groups([group], [], []) == []


def test_one_market_that_pairs_with_two_steps_links_nothing() -> None:
    rungs = (("kalshi", "K3"), ("kalshi", "K4"))
    group = Group("ladder:x", "ladder", "Gas", rungs, ((), ("kalshi:K3",), ("kalshi:K3", "kalshi:K4")), True)
    pairs = [MatchedPair("p1", "", "K3", "0x4", "aligned"), MatchedPair("p2", "", "K4", "0x4", "aligned")]
    assert linked_groups([group], pairs, []) == []
