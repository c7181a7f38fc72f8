"""Settings of both faces come from the behaviour file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.market.errors import ConfigurationError
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.process.options import options_from
from streams.settings import load_settings


def load(folder: Path, document: Any) -> KalshiVenueSettings:
    """The settings that a behaviour file leads to."""
    path = folder / "behaviour.json"
    path.write_text(json.dumps(document))
    return options_from(load_settings(home=folder, sandbox_behaviour=path)).kalshi


def test_the_behaviour_file_changes_them(tmp_path: Path) -> None:
    changes = {"rate_limit_body": "documented", "max_batch": 20, "unsigned_reads_per_s": None, "ping_interval_s": 1}
    settings = load(tmp_path, {"read_lag_ms": 5, "kalshi": changes})
    assert (settings.rate_limit_body, settings.max_batch, settings.unsigned_reads_per_s) == ("documented", 20, None)
    assert load(tmp_path, {"read_lag_ms": 5}) == KalshiVenueSettings()


@pytest.mark.parametrize(
    "changes",
    [
        {"unheard": 1},
        {"rate_limit_body": "other"},
        {"pause_status": "409"},
        {"pause_status": True},
        {"has_novelties": 1},
        {"max_batch": -1},
        {"group_window_ms": None},
        [],
    ],
)
def test_what_cannot_be_meant_stops_the_start(tmp_path: Path, changes: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        load(tmp_path, {"kalshi": changes})


def test_the_polymarket_emulator_has_a_part_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "behaviour.json"
    path.write_text(json.dumps({"polymarket": {"kill_status": 200, "micro_amounts": True}}))
    settings = options_from(load_settings(home=tmp_path, sandbox_behaviour=path)).polymarket
    assert (settings.kill_status, settings.micro_amounts) == (200, True)
    path.write_text(json.dumps({"polymarket": {"micro_amounts": 1}}))
    with pytest.raises(ConfigurationError, match="micro_amounts"):
        options_from(load_settings(home=tmp_path, sandbox_behaviour=path))
