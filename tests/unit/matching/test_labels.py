"""The rules judge against labelled pairs and against the bundled catalogue's truth."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from orchestration.matching.candidates import find_candidates
from orchestration.matching.normalise import extract
from orchestration.matching.rules_judge import judge_by_rules, judge_features
from streams.market.identity import Venue
from streams.market.listing import Listing
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.catalogue.truth import true_pairs
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket
from streams.sandbox.simulation.parameters import COINS
from streams.sandbox.simulation.short_series import ShortEvent, strikes_around
from streams.sandbox.simulation.short_series import listings as series_listings
from streams.venues.common.times import parse_time

THRESHOLD = Decimal("0.85")


def as_listing(event: CatalogueEvent, market: CatalogueMarket) -> Listing:
    """What discovery makes of a market of the sandbox."""
    return Listing(
        market.venue, market.market_id, market.event_id, market.title, market.subtitle, event.title,
        f"{market.rules}\n{market.rules_secondary}", market.close_time, market.outcomes,
        market.yes_means or str(market.extra.get("groupItemTitle", "")), market.strike, market.category,
    )  # fmt: skip


def test_precision_on_labelled_pairs_is_high_at_the_approval_threshold(shared_dir: Path) -> None:
    right = wrong = real = 0
    with (shared_dir / "data" / "labels" / "pairs_sklekng.jsonl").open() as lines:
        rows = [row for row in map(json.loads, lines) if row["same_contract"] is not None]
    for row in rows:
        subtitle = row["kalshi_subtitle"] or ""
        a = Listing(
            Venue.KALSHI, row["kalshi_ticker"], "", row["kalshi_title"],
            rules=f"{row['kalshi_rules_primary']}\n{row['kalshi_rules_secondary']}",
            close_time=parse_time(row["kalshi_close_time"]), yes_means="" if subtitle.startswith("::") else subtitle,
        )  # fmt: skip
        b = Listing(
            Venue.POLYMARKET, row["polymarket_id"], "", row["polymarket_title"], rules=row["polymarket_description"],
            close_time=parse_time(row["polymarket_end_date"]),
        )  # fmt: skip
        verdict = judge_by_rules(a, b)
        is_called = verdict.same_contract and verdict.confidence >= THRESHOLD
        real += row["same_contract"]
        right += is_called and row["same_contract"] and verdict.polarity == row["polarity"]
        wrong += is_called and not row["same_contract"]
    assert right / (right + wrong) >= 0.97
    assert right / real >= 0.85


def test_the_bundled_catalogue_gives_many_true_pairs_and_no_false_one() -> None:
    catalogue = load_catalogue(None, datetime(2026, 11, 20, 12, tzinfo=UTC))
    events = {(event.venue, event.event_id): event for event in catalogue.events}
    listings = [as_listing(events[m.venue, m.event_id], m) for m in catalogue.markets]
    features = {x.market_id: extract(x) for x in listings}
    sides = {v: [features[x.market_id] for x in listings if x.venue == v] for v in Venue}
    truth = {(p.kalshi_id, p.polymarket_id): p.polarity for p in true_pairs(catalogue.truth)}
    found = find_candidates(sides[Venue.KALSHI], sides[Venue.POLYMARKET], top=5, min_score=Decimal("0.45"))
    approved = {}
    for candidate in found:
        key = candidate.kalshi_market_id, candidate.polymarket_market_id
        verdict = judge_features(features[key[0]], features[key[1]])
        if verdict.same_contract and verdict.confidence >= THRESHOLD:
            approved[key] = verdict.polarity
    wrong = {key for key in approved if truth.get(key) != approved[key]}
    assert wrong == set()
    assert len(approved) >= 60


def test_short_series_pair_exactly_by_minute_and_strike() -> None:
    start_ms = int(datetime(2026, 11, 20, 23, 50, tzinfo=UTC).timestamp()) * 1000
    rows = [
        row
        for coin in COINS[:2]
        for minute in range(3)
        for row in series_listings(
            ShortEvent(coin, start_ms + minute * 60_000, start_ms - 60_000, strikes_around(92_000, coin))
        )
    ]
    conditions = {market.market_id: condition for _, market, condition in rows}
    features = [extract(as_listing(event, market)) for event, market, _ in rows]
    sides = {v: [f for f in features if f.listing.venue == v] for v in Venue}
    by_id = {f.listing.market_id: f for f in features}
    found = find_candidates(sides[Venue.KALSHI], sides[Venue.POLYMARKET], top=5, min_score=Decimal("0.45"))
    approved = []
    for candidate in found:
        key = candidate.kalshi_market_id, candidate.polymarket_market_id
        verdict = judge_features(by_id[key[0]], by_id[key[1]])
        if verdict.same_contract and verdict.confidence >= THRESHOLD:
            approved.append(key)
    assert len(approved) == len(sides[Venue.KALSHI])
    assert all(
        (conditions[a].fact_id, conditions[a].yes) == (conditions[b].fact_id, conditions[b].yes) for a, b in approved
    )
