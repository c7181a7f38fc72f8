"""How a run is set up: scenario and seed of the sandbox, and its controls."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.load import BUNDLED, load_catalogue, render_dates
from streams.sandbox.catalogue.truth import contract_key
from streams.sandbox.core.identifiers import polymarket_ids

Control = Literal["", "no-gaps", "mismatched"]
_NEVER = 1e-9
NO_GAPS: Mapping[str, Any] = {
    "flow": {
        "gap_share": _NEVER,
        "brief_gaps_per_h": 0.0,
        "short_gaps_per_life": _NEVER,
        "ladder_violations_per_min": _NEVER,
        "noise_e4": 0.0,
        "jumps_per_h": _NEVER,
        "kalshi_lag_ms": 500.0,
        "polymarket_lag_ms": 500.0,
    }
}
"""A flow in which both venues mean the same price at every moment, and nobody quotes another one."""


def variables(folder: Path, scenario: str, seed: int, control: Control) -> dict[str, str]:
    """Return the environment of a run, its files written to `folder`."""
    found = {"CROSSBOOK_SANDBOX_SCENARIO": scenario, "CROSSBOOK_SANDBOX_SEED": str(seed)}
    if control:
        behaviour = folder / "behaviour.json"
        behaviour.write_text(json.dumps(NO_GAPS))
        found["CROSSBOOK_SANDBOX_BEHAVIOUR"] = str(behaviour)
    if control == "mismatched":
        catalogue = folder / "catalogue.jsonl"
        with gzip.open(BUNDLED, "rt") as file:
            lines = mismatched(map(json.loads, file), datetime.now(UTC).date())
        catalogue.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found["CROSSBOOK_SANDBOX_CATALOGUE"] = str(catalogue)
    return found


def mismatched(lines: Iterable[Mapping[str, Any]], anchor: date) -> list[Mapping[str, Any]]:
    """Return the lines of a catalogue whose two venues share texts and no contract.

    Of Polymarket's markets those stay that were planted as near misses of a Kalshi market; of Kalshi's all go that are
    truly the same contract as one of them.
    """
    rows = list(lines)
    planted = {render_dates(row["slug"], anchor) for row in rows if row["type"] == "near_miss"}
    kept = {MarketRef(Venue.POLYMARKET, polymarket_ids(slug).condition_id) for slug in planted}
    truth = load_catalogue(None, datetime(anchor.year, anchor.month, anchor.day, tzinfo=UTC)).truth
    keys = {ref: contract_key(truth.facts[c.fact_id], c)[:2] for ref, c in truth.conditions.items()}
    same = {keys[ref] for ref in kept}
    gone = {ref.market_id for ref, key in keys.items() if ref.venue is Venue.KALSHI and key in same}
    return [row for row in rows if _stays(row, anchor, planted, gone)]


def _stays(row: Mapping[str, Any], anchor: date, planted: set[str], gone: set[str]) -> bool:
    if row["type"] == "near_miss":
        return render_dates(row["kalshi"], anchor).upper() not in gone
    if row["type"] != "market":
        return True
    if row["venue"] == "kalshi":
        return render_dates(row["id"], anchor).upper() not in gone
    return render_dates(row["id"], anchor) in planted
