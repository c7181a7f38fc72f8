"""The bundled catalogue: its size and shapes, and that its truth hangs together."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.bundled.build import build_lines, encode
from streams.sandbox.catalogue.catalogue import Catalogue
from streams.sandbox.catalogue.load import BUNDLED, load_catalogue, render_dates
from streams.sandbox.catalogue.truth import Interval, true_pairs

NOW = datetime(2027, 2, 27, 18, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def bundled() -> Catalogue:
    return load_catalogue(None, NOW)


def test_the_committed_file_is_what_the_builder_writes() -> None:
    assert BUNDLED.read_bytes() == encode(build_lines())


def test_each_side_has_at_least_300_markets_and_the_file_is_under_a_megabyte(bundled: Catalogue) -> None:
    counts = Counter(market.venue for market in bundled.markets)
    assert counts[Venue.KALSHI] >= 300
    assert counts[Venue.POLYMARKET] >= 300
    assert BUNDLED.stat().st_size < 1_000_000


def test_every_market_has_the_shape_of_its_venue(bundled: Catalogue) -> None:
    for market in bundled.markets:
        assert market.title
        assert market.rules
        assert "{{" not in market.title + market.rules + market.market_id + market.rules_secondary
        assert market.open_time < NOW < market.close_time
        if market.venue is Venue.KALSHI:
            assert market.market_id == market.market_id.upper()
            assert market.market_id.startswith(market.event_id)
            assert market.rules.endswith("resolves to Yes.")
        else:
            assert len(market.market_id) == 66
            assert int(market.yes_token) != int(market.no_token)
            assert int(market.yes_token) < 2**256
            assert market.gamma_id.isdigit()
            assert len(market.rules) > 120


def test_ids_of_all_kinds_are_unique(bundled: Catalogue) -> None:
    polymarket = [market for market in bundled.markets if market.venue is Venue.POLYMARKET]
    for name in ("market_id", "gamma_id", "slug", "yes_token", "no_token"):
        assert len({getattr(market, name) for market in polymarket}) == len(polymarket)


@pytest.mark.parametrize("day", ["2026-12-31", "2027-01-01", "2028-02-29", "2026-11-20"])
def test_it_lies_in_the_future_whatever_the_day_of_the_first_start(day: str) -> None:
    now = datetime.fromisoformat(day + "T23:59:00+00:00")
    catalogue = load_catalogue(None, now)
    assert all(market.close_time > now - timedelta(days=1) for market in catalogue.markets)
    assert sum(market.close_time > now for market in catalogue.markets) > 600


def test_many_pairs_match_in_both_polarities_and_many_nearly_do(bundled: Catalogue) -> None:
    pairs = true_pairs(bundled.truth)
    polarities = Counter(pair.polarity for pair in pairs)
    assert polarities["aligned"] > 150
    assert polarities["inverted"] > 10
    assert len(bundled.truth.near_misses) > 80


def test_no_planted_near_miss_is_a_true_pair(bundled: Catalogue) -> None:
    same = {(pair.kalshi_id, pair.polymarket_id) for pair in true_pairs(bundled.truth)}
    assert not [miss for miss in bundled.truth.near_misses if (miss.kalshi_id, miss.polymarket_id) in same]


def test_titles_of_true_pairs_are_worded_differently(bundled: Catalogue) -> None:
    titles = {market.ref: market.title for market in bundled.markets}
    pairs = true_pairs(bundled.truth)
    same = [p for p in pairs if titles[Venue.KALSHI, p.kalshi_id] == titles[Venue.POLYMARKET, p.polymarket_id]]
    assert len(same) < len(pairs) / 20


def test_markets_of_an_exclusive_event_have_chances_of_at_most_one_together(bundled: Catalogue) -> None:
    exclusive = {(event.venue, event.event_id) for event in bundled.events if event.is_exclusive}
    sums: dict[tuple[Venue, str], float] = defaultdict(float)
    for market in bundled.markets:
        if (market.venue, market.event_id) in exclusive:
            sums[market.venue, market.event_id] += bundled.truth.probability(market.ref)
    assert len(sums) > 40
    assert all(total < 1.0 + 1e-6 for total in sums.values())
    assert sum(math.isclose(total, 1.0, abs_tol=1e-6) for total in sums.values()) > 20


def test_ladders_are_monotone_in_truth(bundled: Catalogue) -> None:
    rungs: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for market in bundled.markets:
        bounds = bundled.truth.conditions[market.ref].yes
        if isinstance(bounds, Interval) and bounds.high >= 10**15:
            key = (market.event_id, bundled.truth.conditions[market.ref].fact_id)
            rungs[key].append((bounds.low, bundled.truth.probability(market.ref)))
    ladders = [sorted(found) for found in rungs.values() if len(found) > 2]
    assert len(ladders) > 15
    for ladder in ladders:
        chances = [chance for _, chance in ladder]
        assert chances == sorted(chances, reverse=True)


def test_strikes_stated_to_the_venue_agree_with_the_truth(bundled: Catalogue) -> None:
    for market in bundled.markets:
        bounds = bundled.truth.conditions[market.ref].yes
        if market.strike and isinstance(bounds, Interval) and market.strike["type"] in ("greater", "less", "between"):
            assert (bounds.high >= 10**15) == (market.strike["type"] == "greater")


def test_dates_are_rendered_relative_to_the_anchor() -> None:
    anchor = NOW.date()
    assert render_dates("by {{d3}}", anchor) == "by 2027-03-02"
    assert render_dates("{{m-2:%B %Y}} {{y1:%Y}}", anchor) == "December 2026 2028"


def _write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_a_line_that_does_not_fit_is_named_with_file_and_line(tmp_path: Path) -> None:
    fact = {"type": "fact", "id": "a", "kind": "categorical", "options": {"x": 0.5, "y": 0.2}}
    with pytest.raises(ConfigurationError, match="sum to"):
        load_catalogue(_write(tmp_path / "one.jsonl", fact), NOW)
    with pytest.raises(ConfigurationError, match=r"two\.jsonl line 2"):
        load_catalogue(
            _write(tmp_path / "two.jsonl", {"type": "fact", "id": "a", "kind": "binary", "p": 0.4}, {"type": "market"}),
            NOW,
        )


def test_a_missing_empty_or_broken_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_catalogue(tmp_path / "none.jsonl", NOW)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ConfigurationError, match="empty"):
        load_catalogue(tmp_path / "empty.jsonl", NOW)
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(ConfigurationError, match="not JSON"):
        load_catalogue(tmp_path / "broken.jsonl", NOW)


def test_a_near_miss_must_name_listed_markets(tmp_path: Path) -> None:
    line = {"type": "near_miss", "kalshi": "KXA", "slug": "a", "why": "x"}
    with pytest.raises(ConfigurationError, match="not listed"):
        load_catalogue(_write(tmp_path / "miss.jsonl", {"type": "fact", "id": "a", "kind": "binary"}, line), NOW)


def test_references_of_near_misses_are_of_both_venues(bundled: Catalogue) -> None:
    conditions = bundled.truth.conditions
    for miss in bundled.truth.near_misses:
        assert MarketRef(Venue.KALSHI, miss.kalshi_id) in conditions
        assert MarketRef(Venue.POLYMARKET, miss.polymarket_id) in conditions
