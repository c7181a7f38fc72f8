"""Blocking finds what may match, in order, and the real lists in well under a minute."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

from orchestration.matching.candidates import find_candidates, find_candidates_for_new
from orchestration.matching.normalise import extract
from streams.market.identity import Venue
from streams.market.listing import Listing
from streams.venues.common.times import parse_time


def listing(venue: Venue, market_id: str, title: str) -> Listing:
    return Listing(venue, market_id, "E", title)


KALSHI = [
    extract(listing(Venue.KALSHI, "A", "Will Ada Lune win the 2027 Gotham mayoral election?")),
    extract(listing(Venue.KALSHI, "B", "Will it rain in Oslo on May 5, 2027?")),
]
POLYMARKET = [
    extract(listing(Venue.POLYMARKET, "1", "Will Ada Lune win the Gotham mayoral election in 2027?")),
    extract(listing(Venue.POLYMARKET, "2", "Will Ben Sol win the Gotham mayoral election in 2027?")),
    extract(listing(Venue.POLYMARKET, "3", "Bitcoin above 100k?")),
]


def test_the_best_candidate_comes_first_and_says_why() -> None:
    found = find_candidates(KALSHI, POLYMARKET, top=5, min_score=Decimal("0.2"))
    first, second = [c for c in found if c.kalshi_market_id == "A"]
    assert (first.polymarket_market_id, first.rank, second.polymarket_market_id, second.rank) == ("1", 1, "2", 2)
    assert first.score > second.score
    assert {"ada", "lune"} <= set(first.reasons)


def test_a_number_of_any_length_in_a_text_or_strike_is_survived() -> None:
    title = f"Will BTC be above {'1' * 60} or below {'2' * 60}.{'3' * 60}?"
    strikes = [{"type": "between", "floor": floor, "cap": "1e999999"} for floor in ("NaN", "Infinity", "-1e999999")]
    long = [Listing(Venue.KALSHI, str(n), "E", title, strike=strike) for n, strike in enumerate([None, *strikes])]
    found = find_candidates([extract(item) for item in long], POLYMARKET, top=5, min_score=Decimal(0))
    assert {candidate.polymarket_market_id for candidate in found} >= {"3"}


def test_nothing_in_common_makes_no_candidate() -> None:
    found = find_candidates(KALSHI, POLYMARKET, top=5, min_score=Decimal("0.2"))
    assert all(c.kalshi_market_id != "B" for c in found)


def test_no_more_than_top_are_kept() -> None:
    assert len(find_candidates(KALSHI, POLYMARKET, top=1, min_score=Decimal(0))) == 1


def test_a_new_polymarket_market_is_found_from_its_side() -> None:
    found = find_candidates_for_new(KALSHI, POLYMARKET[:1], top=5, min_score=Decimal("0.4"))
    assert [(c.kalshi_market_id, c.polymarket_market_id) for c in found] == [("A", "1")]


def test_the_real_lists_are_matched_and_labelled_pairs_are_among_the_candidates(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "universe_2026-03-24"
    with gzip.open(folder / "kalshi_markets.jsonl.gz", "rt") as lines:
        kalshi = [
            Listing(Venue.KALSHI, row["ticker"], row["event_ticker"], row["title"], rules=row["rules_primary"],
                    close_time=parse_time(row["close_time"]))
            for row in map(json.loads, lines)
        ]  # fmt: skip
    with gzip.open(folder / "polymarket_markets.jsonl.gz", "rt") as lines:
        polymarket = [
            Listing(Venue.POLYMARKET, row["id"], "", row["title"], rules=row["description"] or "",
                    close_time=parse_time(row["end_date"]))
            for row in map(json.loads, lines)
        ]  # fmt: skip
    found = find_candidates(
        [extract(x) for x in kalshi], [extract(x) for x in polymarket], top=5, min_score=Decimal("0.45")
    )
    pairs = {(c.kalshi_market_id, c.polymarket_market_id) for c in found}
    ids = {x.market_id for x in kalshi}, {x.market_id for x in polymarket}
    with (shared_dir / "data" / "labels" / "pairs_sklekng.jsonl").open() as lines:
        labelled = [
            (row["kalshi_ticker"], row["polymarket_id"])
            for row in map(json.loads, lines)
            if row["same_contract"] and row["kalshi_ticker"] in ids[0] and row["polymarket_id"] in ids[1]
        ]
    assert len(labelled) > 200
    assert sum(pair in pairs for pair in labelled) / len(labelled) > 0.98
