"""The proof's own reading of the catalogue's truth tells true pairs from planted near misses."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.catalogue.truth import true_pairs
from tests.proofs.truth import catalogue_world


def test_no_true_pair_is_contradicted_and_every_planted_near_miss_is() -> None:
    world = catalogue_world()
    pairs = true_pairs(load_catalogue(None, datetime.now(UTC)).truth)
    assert len(pairs) > 100
    for pair in pairs:
        keys = [f"kalshi:{pair.kalshi_id}", f"polymarket:{pair.polymarket_id}"]
        outcomes = [keys, []] if pair.polarity == "aligned" else [[keys[0]], [keys[1]]]
        assert world.contradiction(outcomes, keys) == ""
    assert world.near_misses
    for kalshi, polymarket in world.near_misses:
        keys = [f"kalshi:{kalshi}", f"polymarket:{polymarket}"]
        assert world.contradiction([keys, []], keys)
        assert world.contradiction([[keys[0]], [keys[1]]], keys)
