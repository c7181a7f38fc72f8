"""Near misses, one table: what reads alike and settles differently is never the same contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.matching.rules_judge import judge_by_rules
from orchestration.matching.verdict import RELATIONS
from streams.market.identity import Venue
from streams.market.listing import Listing

CLOSE = datetime(2026, 12, 31, 15, tzinfo=UTC)
THRESHOLD = Decimal("0.85")


def kalshi(title: str, rules: str = "", yes: str = "", strike: dict[str, str] | None = None) -> Listing:
    return Listing(Venue.KALSHI, "KX-1", "KX", title, rules=rules, close_time=CLOSE, yes_means=yes, strike=strike)


def polymarket(title: str, rules: str = "", outcomes: tuple[str, str] = ("Yes", "No")) -> Listing:
    return Listing(Venue.POLYMARKET, "0x1", "e", title, rules=rules, close_time=CLOSE, outcomes=outcomes)


NEAR_MISSES = [
    # title A, rules A, title B, rules B, relation
    ("Will Ada visit Iran before Jul 1, 2026?", "", "Will Ada visit Iran by December 31?", "", "a_implies_b"),
    ("Will Ada visit Iran before Jan 1, 2027?", "", "Will Ada visit Iran by April 30?", "", "b_implies_a"),
    ("Will Ada Lune win the 2027 Gotham mayoral election?", "",
     "Will Ben Sol win the 2027 Gotham mayoral election?", "",
     "mutually_exclusive"),
    ("Will Ada win the first round of the 2026 Gotham presidential election?", "",
     "Will Ada win the 2026 Gotham presidential election?", "", "related"),
    ("Will Ada win the 2026 Gotham presidential election?", "",
     "Will Ada finish in second place in the 2026 Gotham presidential election?", "", "related"),
    ("Will Democratic win the House race for TX-13?", "", "Will the Democratic Party win the TX-32 House seat?", "",
     None),
    ("Will Ada win the 2026 Gotham mayoral election?", "", "Will Ada win the 2030 Gotham mayoral election?", "",
     "related"),
    ("Bitcoin price on Dec 5, 2026 at 5pm EST?",
     "If CF Benchmarks' index is above 92000, then the market resolves to Yes.",
     "Will the price of Bitcoin be above $92,000 on December 5?", "Resolved by the Binance candle at 12:00 (noon) ET.",
     None),
    ("Will there be a recession in 2027?", "If there are two consecutive quarters of negative growth in 2027, then the "
     "market resolves to Yes.", "Recession declared in 2027?", "Yes if the NBER announces it in 2027.", "uncertain"),
    ("Will the Fed Hike rates by >25bps at their April 2026 meeting?", "",
     "Will the Fed increase interest rates by 25+ bps after the April 2026 meeting?", "", "a_implies_b"),
    ("Will X have a top-ranked AI model before 2027?", "", "Will X have the best AI model at the end of June 2026?", "",
     "related"),
    ("Will Ada be the next person to leave the Cabinet?", "",
     "Will Ada be the next to leave the Cabinet before 2027?", "", "uncertain"),
    ("Will Ada win Gotham?", "If Ada wins Gotham, then the market resolves to Yes.", "Will Ada win Gotham?",
     "If neither wins, this market resolves 50-50.", "uncertain"),
    ("Highest temperature in NYC on Dec 5, 2026?", "Recorded at Central Park.",
     "Highest temperature in NYC on December 5?", "Recorded at LaGuardia Airport.", "uncertain"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "rules_a", "b", "rules_b", "relation"), NEAR_MISSES)
def test_a_near_miss_is_not_the_same_contract(a: str, rules_a: str, b: str, rules_b: str, relation: str | None) -> None:
    verdict = judge_by_rules(kalshi(a, rules_a), polymarket(b, rules_b))
    assert not verdict.same_contract or verdict.confidence < THRESHOLD
    if relation is not None:
        assert verdict.relation == relation
    assert verdict.judge == "rules"


SAME = [
    ("Will Democrats win the House in 2026?", "Will the Democratic Party control the House in 2026?"),
    ("Will the Argentina win the 2026 Men's World Cup?", "Will Argentina win the 2026 FIFA World Cup?"),
    ("Will Boston Bruins win the 2025-26 Stanley Cup Finals?", "Will the Boston Bruins win the 2026 NHL Stanley Cup?"),
    ("Will Ada visit Iran before Jul 1, 2026?", "Will Ada enter Iran by June 30?"),
    ("Will Ada be the Democratic Presidential nominee in 2028?",
     "Will Ada win the 2028 Democratic presidential nomination?"),
    ("Will the Federal Reserve Cut rates by 25bps at their April 2026 meeting?",
     "Will the Fed decrease interest rates by 25 bps after the April 2026 meeting?"),
    ("Will Democratic win the House race for TX-01?", "Will the Democratic Party win the TX-01 House seat?"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SAME)
def test_the_same_question_in_other_words_is_the_same_contract(a: str, b: str) -> None:
    verdict = judge_by_rules(kalshi(a), polymarket(b))
    assert (verdict.relation, verdict.polarity) == ("equivalent", "aligned")
    assert verdict.confidence >= THRESHOLD


@pytest.mark.parametrize("words", ["by December 31", "by the end of December", "before January 1"])
def test_a_day_without_a_year_is_of_the_year_that_ends_when_the_market_closes_just_after_it(words: str) -> None:
    a = kalshi("Will Ada visit Iran before Jan 1, 2027?")
    b = replace(polymarket(f"Will Ada visit Iran {words}?"), close_time=datetime(2027, 1, 1, 5, tzinfo=UTC))
    assert judge_by_rules(a, b).relation == "equivalent"


def test_a_denied_question_is_inverted() -> None:
    verdict = judge_by_rules(kalshi("Will Ada visit Iran in 2026?"), polymarket("Will Ada not visit Iran in 2026?"))
    assert (verdict.relation, verdict.polarity) == ("inverted", "inverted")


def test_a_strike_just_below_a_round_number_equals_the_round_number() -> None:
    a = kalshi(
        "Ethereum price on Dec 5, 2026 at 5pm EST?",
        yes="$2,300 or above",
        strike={"type": "greater", "floor": "2299.99"},
    )
    b = polymarket("Will Ethereum be $2,300 or above at 5PM ET on December 5?")
    assert judge_by_rules(a, b).relation == "equivalent"


@pytest.mark.parametrize(
    ("yes", "outcomes", "relation"),
    [
        ("Houston", ("Houston Astros", "Cincinnati Reds"), "equivalent"),
        ("Cincinnati", ("Houston Astros", "Cincinnati Reds"), "inverted"),
        ("", ("Houston Astros", "Cincinnati Reds"), "uncertain"),
    ],
)
def test_the_side_that_yes_means_decides_the_polarity_of_a_game(
    yes: str, outcomes: tuple[str, str], relation: str
) -> None:
    a = Listing(Venue.KALSHI, "KXMLBGAME-26MAY09HOUCIN-X", "E", "Houston vs Cincinnati", yes_means=yes)
    b = polymarket("Houston Astros vs. Cincinnati Reds 2026-05-09", outcomes=outcomes)
    assert judge_by_rules(a, b).relation == relation


@pytest.mark.parametrize(
    "title",
    [
        "Houston Astros vs. Cincinnati Reds 2026-05-10",  # the next game of the series
        "Houston Astros vs. Cincinnati Reds 2026-05-09: O/U 8.5",
        "Houston Astros vs. Chicago Cubs 2026-05-09",
        "Houston Astros vs. Cincinnati Reds",  # no day stated
    ],
)
def test_another_day_part_or_side_is_another_game(title: str) -> None:
    a = Listing(Venue.KALSHI, "KXMLBGAME-26MAY09HOUCIN-HOU", "E", "Houston vs Cincinnati", yes_means="Houston")
    b = polymarket(title, outcomes=("Houston Astros", "Cincinnati Reds"))
    assert not judge_by_rules(a, b).same_contract


def test_differences_quote_both_sides() -> None:
    a, b = kalshi("Will Ada visit Iran before Jul 1, 2026?"), polymarket("Will Ada visit Iran by April 30?")
    [difference] = judge_by_rules(a, b).differences
    assert (difference.clause, difference.a, difference.b) == ("deadline", "before jul 1, 2026", "by april 30")


@given(st.text(max_size=80), st.text(max_size=200), st.text(max_size=80), st.text(max_size=200))
def test_any_text_gets_a_verdict(title_a: str, rules_a: str, title_b: str, rules_b: str) -> None:
    verdict = judge_by_rules(kalshi(title_a, rules_a), polymarket(title_b, rules_b))
    assert verdict.relation in RELATIONS
    assert 0 <= verdict.confidence <= 1
    assert verdict.same_contract == (verdict.polarity is not None)
