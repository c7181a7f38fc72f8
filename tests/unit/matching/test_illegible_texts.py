"""Texts that the rules cannot read whole: they are never called the same, and none of them stops the others."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from orchestration.matching.candidates import find_candidates
from orchestration.matching.groups import Member, ladder_groups
from orchestration.matching.normalise import extract
from orchestration.matching.rules_judge import judge_by_rules
from streams.market.identity import Venue
from streams.market.listing import Listing

CLOSE = datetime(2026, 12, 31, 15, tzinfo=UTC)


def listing(venue: Venue, title: str, market_id: str = "M", **more: str) -> Listing:
    return replace(Listing(venue, market_id, "E", title, close_time=CLOSE), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Выиграет Ада к 2026-12-31?", "Проиграет Бен к 2026-12-31?"),
        ("Will Ада win on December 31, 2026?", "Will Бен win on December 31, 2026?"),
        ("東京 2026-12-31", "大阪 2026-12-31"),
        ("هل تفوز ليلى؟ 2026-12-31", "هل يفوز سامي؟ 2026-12-31"),
        ("Will 北 be above 5 on December 31?", "Will 南 be above 5 on December 31?"),
        ("Will team ٣ win by December 31?", "Will team ٤ win by December 31?"),
        ("Will 🇺🇸 win in 2026?", "Will 🇨🇦 win in 2026?"),
        ("Will it cost above €5 in 2026?", "Will it cost above £5 in 2026?"),
        ("Will β win in 2026?", "Will γ win in 2026?"),
        ("", ""),
        ("?", "!"),
        ("Will Ada win? " * 300, "Will Ada win? " * 300),
    ],
)
def test_what_folding_drops_is_never_called_the_same(a: str, b: str) -> None:
    for first, second in ((a, b), (a, a), (b, b)):
        verdict = judge_by_rules(listing(Venue.KALSHI, first), listing(Venue.POLYMARKET, second))
        assert verdict.relation == "uncertain"
        assert not verdict.same_contract


@pytest.mark.parametrize("field", ["yes_means", "subtitle", "event_title"])
def test_a_name_in_other_letters_is_not_read_either(field: str) -> None:
    named = {field: "Бен"}
    verdict = judge_by_rules(
        listing(Venue.KALSHI, "Who will win in 2026?", **named), listing(Venue.POLYMARKET, "Who will win in 2026?")
    )
    assert not verdict.same_contract


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Will Erdoğan’s “Łukasz” win in 2026?", "Will Erdogan's Łukasz win in 2026?"),
        ("Will it be above 5 °C — in São Paulo?", "Will it be above 5 °C - in Sao Paulo?"),
        ("Will it be ≥50 on December 31?", "Will it be at least 50 on December 31?"),
        ("Will it be ≤50 on December 31?", "Will it be at most 50 on December 31?"),
    ],
)
def test_latin_letters_and_signs_with_a_plain_form_are_read(a: str, b: str) -> None:
    assert judge_by_rules(listing(Venue.KALSHI, a), listing(Venue.POLYMARKET, b)).relation == "equivalent"


@pytest.mark.parametrize(("a", "b"), [("be ≥50", "be ≤50"), ("be below −5", "be below 5"), ("win 5½", "win 512")])
def test_signs_that_mean_something_are_not_dropped(a: str, b: str) -> None:
    verdict = judge_by_rules(
        listing(Venue.KALSHI, f"Will it {a} on December 31?"), listing(Venue.POLYMARKET, f"Will it {b} on December 31?")
    )
    assert not verdict.same_contract


def step(title: str, strike: int) -> Member:
    rules = (
        f"If the number of votes reported by the Gotham Board of Elections for Dec 31, 2026 is greater than {strike}, "
        "then the market resolves to Yes."
    )
    return Member(extract(listing(Venue.KALSHI, title, f"M{strike}", rules=rules)), False, CLOSE)


def test_markets_in_other_letters_are_no_ladder() -> None:
    titles = ("Ада above 50 in 2026?", "Бен above 60 in 2026?")
    members = [Member(extract(listing(Venue.KALSHI, t, f"M{n}")), False, None) for n, t in enumerate(titles)]
    assert ladder_groups(members) == []
    same = [step(f"Ada above {n}0 in 2026?", n * 10) for n in (5, 6)]
    assert len(ladder_groups(same)) == 1


def test_an_event_of_thousands_of_strikes_is_no_group() -> None:
    members = [step(f"Ada above {n} in 2026?", n) for n in range(10_000, 10_500)]
    assert ladder_groups(members) == []
    assert len(ladder_groups(members[:100])) == 1


@pytest.mark.parametrize(
    "title",
    [
        f"Will the Fed hike by above {'9' * 40} bps?",
        f"Will the Fed hike by above 1{'0' * 300} bps in 2026?",
        f"Will the Fed hike by above {'1,000' * 60} bps?",
    ],
)
def test_a_step_of_any_size_is_read(title: str) -> None:
    assert extract(listing(Venue.KALSHI, title)).thresholds


@pytest.mark.parametrize("part", ["9", "20", "1,000,", "1-", "1 to ", "vs ", "a vs ", "above ", "½", "if a, ", "x: "])
def test_no_text_takes_long(part: str) -> None:
    started = time.process_time()
    for length in (1_900, 100_000):
        text = part * (length // len(part))
        for field in ("title", "subtitle", "event_title", "yes_means", "rules"):
            extract(replace(listing(Venue.KALSHI, "Will Ada win?"), **{field: text}))  # type: ignore[arg-type]
    assert time.process_time() - started < 10


def test_a_text_too_long_to_be_read_finds_no_candidate() -> None:
    long = extract(listing(Venue.KALSHI, "Will Ada Lune win in 2026? " * 100, "long"))
    good = extract(listing(Venue.KALSHI, "Will Ada Lune win in 2026?", "good"))
    theirs = [extract(listing(Venue.POLYMARKET, "Will Ada Lune win in 2026?", "theirs"))]
    found = find_candidates([long, good], theirs, top=3, min_score=Decimal("0.1"))
    assert [c.kalshi_market_id for c in found] == ["good"]
