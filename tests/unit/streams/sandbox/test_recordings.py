"""The recorded lists as catalogues."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.catalogue.truth import true_pairs
from streams.sandbox.core.model import ListMarket
from streams.sandbox.simulation.flow import Flow
from streams.sandbox.simulation.parameters import FlowParameters

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KALSHI = {
    "title": "Will it rain?", "ticker": "KXRAIN-26-A", "event_ticker": "KXRAIN-26", "subtitle": "",
    "rules_primary": "If it rains.",
    "rules_secondary": "", "close_time": "2026-04-01T03:59:00Z", "status": "active", "volume_fp": "269535.00",
    "yes_ask_dollars": "0.8500", "no_ask_dollars": "0.1600",
}  # fmt: skip
POLYMARKET = {
    "title": "Rain?", "id": "643853", "slug": "rain", "description": "Resolves to Yes if it rains.", "category": "",
    "end_date": "2028-04-12T00:00:00Z", "outcomePrices": '["0.0015", "0.9985"]', "volumeNum": 10941.5,
}  # fmt: skip


def write(folder: Path, name: str, *rows: object) -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_missing_fields_are_derived_and_named(tmp_path: Path) -> None:
    write(tmp_path, "kalshi_markets.jsonl", KALSHI)
    write(tmp_path, "polymarket_markets.jsonl", POLYMARKET)
    kalshi, polymarket = load_catalogue(tmp_path, NOW).markets
    assert (kalshi.series_id, kalshi.start_price_e4, kalshi.volume_contracts) == ("KXRAIN", 8_450, 269_535)
    assert {"close_time", "series_id", "fee_schedule"} <= set(kalshi.derived_fields)
    assert kalshi.close_time > NOW
    assert (kalshi.close_time - datetime(2026, 4, 1, 3, 59, tzinfo=UTC)) % timedelta(days=364) == timedelta()
    assert (polymarket.start_price_e4, polymarket.gamma_id) == (15, "643853")
    assert {"market_id", "tokens"} <= set(polymarket.derived_fields)
    assert "close_time" not in polymarket.derived_fields


@pytest.mark.parametrize(
    ("relation", "polarity"), [("equivalent", ["aligned"]), ("inverted", ["inverted"]), ("related", [])]
)
def test_a_truth_file_ties_markets_of_one_fact_together(tmp_path: Path, relation: str, polarity: list[str]) -> None:
    write(tmp_path, "kalshi_markets.jsonl", KALSHI)
    write(tmp_path, "polymarket_markets.jsonl", POLYMARKET)
    truth = write(
        tmp_path, "truth.jsonl", {"kalshi_ticker": "KXRAIN-26-A", "polymarket_id": "643853", "relation": relation}
    )
    catalogue = load_catalogue(tmp_path, NOW, truth)
    assert [pair.polarity for pair in true_pairs(catalogue.truth)] == polarity


def test_a_row_without_its_id_and_an_empty_folder_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no list of markets"):
        load_catalogue(tmp_path, NOW)
    write(tmp_path, "polymarket_markets.jsonl", {"title": "x"})
    with pytest.raises(ConfigurationError, match="row 1"):
        load_catalogue(tmp_path, NOW)


def test_truth_belongs_to_recorded_lists_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="its own truth"):
        load_catalogue(None, NOW, tmp_path / "truth.jsonl")


def test_the_real_universe_loads_whole_and_can_be_run(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "universe_2026-03-24"
    catalogue = load_catalogue(folder, NOW, shared_dir / "data" / "labels" / "pairs_sklekng.jsonl")
    assert Counter(market.venue for market in catalogue.markets) == {Venue.KALSHI: 4_287, Venue.POLYMARKET: 3_259}
    assert len(true_pairs(catalogue.truth)) > 200
    assert all(market.close_time > NOW for market in catalogue.markets)
    acts = Flow(catalogue, 1, FlowParameters(coins=())).step(int(NOW.timestamp() * 1000), [])
    assert sum(isinstance(act, ListMarket) for act in acts) == 4_287 + 3_259


def test_raw_event_lists_load_too(shared_dir: Path) -> None:
    catalogue = load_catalogue(shared_dir / "data" / "topic_iran_2026-03-01", NOW)
    assert Counter(market.venue for market in catalogue.markets) == {Venue.KALSHI: 763, Venue.POLYMARKET: 242}
    polymarket = next(market for market in catalogue.markets if market.venue is Venue.POLYMARKET)
    assert "market_id" not in polymarket.derived_fields
