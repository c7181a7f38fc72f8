"""Some thousand mutated frames through every decoder; `make fuzz` runs a million."""

from __future__ import annotations

import pytest

from streams.market.identity import Venue
from tests.proofs.fuzz import Fuzzer
from tests.support.frames import fixture_frames


def test_mutated_frames_give_events_or_malformed_frame_and_nothing_else() -> None:
    found = Fuzzer(fixture_frames(), 20261121).run(4_000)
    assert found.failures == []
    assert found.refused > 1_000
    assert found.recorded == 500
    assert len(found.mutations) == 13


def test_the_same_seed_gives_the_same_frames() -> None:
    one, other = (Fuzzer(fixture_frames(), 5) for _ in range(2))
    frames = fixture_frames()[:40]
    venues = [Venue(frame.read_as.split("_")[0]) for frame in frames]
    made = [one.mutate(frame, venue) for frame, venue in zip(frames, venues, strict=True)]
    assert made == [other.mutate(frame, venue) for frame, venue in zip(frames, venues, strict=True)]
    assert sum(raw != frame.raw for raw, frame in zip(made, frames, strict=True)) > 35


def test_a_decoder_that_raises_anything_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_raw: bytes, _tokens: object) -> list[object]:
        raise KeyError("size")

    monkeypatch.setattr("streams.venues.polymarket.market_frames.parse_frame", broken)
    found = Fuzzer(fixture_frames(), 5).run(50)
    assert any("KeyError" in failure for failure in found.failures)
