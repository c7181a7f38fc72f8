"""Each field of a catalogue's lines with values that it cannot have: one sentence with the line, or a catalogue."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.market.errors import ConfigurationError
from streams.sandbox.catalogue.load import load_catalogue

NOW = datetime(2026, 5, 1, tzinfo=UTC)
FACT: dict[str, Any] = {
    "type": "fact", "id": "f", "kind": "scalar", "mean": 1.0, "sd": 1.0, "step": "1", "parent": "", "coupling": 0.5,
    "volatility": 1.0, "void": 0.1, "p": 0.5,
}  # fmt: skip
EVENT: dict[str, Any] = {
    "type": "event", "venue": "kalshi", "id": "E", "series": "S", "title": "T", "subtitle": "", "category": "c",
    "exclusive": False, "extra": {},
}  # fmt: skip
MARKET: dict[str, Any] = {
    "type": "market", "venue": "kalshi", "id": "M", "event": "E", "series": "S", "title": "T", "rules": "R",
    "rules2": "", "open": "2026-01-01T00:00:00Z", "close": "2026-12-01T00:00:00Z", "subtitle": "", "yes": "", "no": "",
    "outcomes": ["Yes", "No"], "strike": None, "category": "", "ranges": [[0, 10_000, 100]], "min_size_e6": 10_000,
    "fee": {"fee_type": "quadratic"}, "lag": 0, "volume": 0, "neg_risk": False, "extra": {},
    "truth": {"fact": "f", "op": "gt", "value": "1"},
}  # fmt: skip
MISS: dict[str, Any] = {"type": "near_miss", "kalshi": "M", "slug": "m", "why": "w"}
LINES = {"fact": FACT, "event": EVENT, "market": MARKET, "near_miss": MISS}
ODD = [
    None, True, 7, -1, 1.5, 10**30, "", "x", "0", "{{d99999999999}}", "{{y99999}}", "{{m-99999}}", "{{d1:%Q%}}", "NaN",
    "1e999999", "9999-12-31T23:59:59", "2026-01-01", [], [1], [[]], {}, {"a": None}, ["Yes"], [["a", "b", "c"]],
]  # fmt: skip
KALSHI: dict[str, Any] = {
    "ticker": "K", "event_ticker": "E", "title": "T", "rules_primary": "R", "yes_sub_title": "Y", "subtitle": "",
    "yes_ask": 40, "no_ask": 62, "volume": 5, "open_time": "2026-01-01T00:00:00Z", "close_time": "2026-12-01T00:00:00Z",
    "strike_type": "greater", "floor_strike": 5,
}  # fmt: skip
POLYMARKET: dict[str, Any] = {
    "id": "1", "slug": "s", "question": "Q", "conditionId": f"0x{1:064x}", "clobTokenIds": '["1", "2"]',
    "outcomes": '["Yes", "No"]', "outcomePrices": '["0.4", "0.6"]', "description": "D", "endDate": "2026-12-01",
    "startDate": "2026-01-01", "volume": "5", "orderPriceMinTickSize": 0.01, "negRisk": False,
}  # fmt: skip


def read(path: Path, *lines: dict[str, Any]) -> str:
    """Return the refusal of a catalogue, empty where it is taken."""
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    try:
        load_catalogue(path, NOW)
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, line in LINES.items() for name in line])
def test_any_value_in_a_field_of_ours(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / "catalogue.jsonl"
    assert read(path, FACT, EVENT, MARKET) == ""
    for value in ODD:
        lines = {**LINES, kind: {**LINES[kind], name: value}}
        chosen = list(lines.values()) if kind == "near_miss" else list(lines.values())[:3]
        said = read(path, *chosen)
        assert "\n" not in said
        assert len(said) < 700


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("market", {"title": 5}), ("market", {"close": "2026-12-01T00:00:00"}), ("market", {"min_size_e6": "5"}),
        ("market", {"ranges": [["0", "1", "0.01"]]}), ("market", {"ranges": [[0, 10_000, 0]]}), ("market", {"id": 5}),
        ("market", {"fee": {"fee_type": "cubic"}}), ("market", {"neg_risk": 1}), ("event", {"title": None}),
        ("event", {"exclusive": "no"}), ("fact", {"step": "0"}), ("fact", {"volatility": "fast"}),
        ("fact", {"parent": 5}), ("event", {"id": "{{d99999999999}}"}),
    ],
)  # fmt: skip
def test_what_the_exchange_would_find_out_later_is_refused_with_its_line(
    tmp_path: Path, kind: str, change: dict[str, Any]
) -> None:
    lines = {**LINES, kind: {**LINES[kind], **change}}
    said = read(tmp_path / "catalogue.jsonl", *list(lines.values())[:3])
    assert f"line {list(lines).index(kind) + 1 if 'step' not in change else 3}" in said


@pytest.mark.parametrize("row", [KALSHI, POLYMARKET], ids=["kalshi", "polymarket"])
def test_any_value_in_a_field_of_a_recorded_list(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "kalshi_markets.jsonl"
    assert read(path, row) == ""
    for name in row:
        for value in ODD:
            assert "\n" not in read(path, {**row, name: value})


@pytest.mark.parametrize("markets", [5, "x", {"a": 1}, [None], [[]], ["x"]])
def test_nested_markets_that_are_none(tmp_path: Path, markets: Any) -> None:
    assert "markets is no list" in read(tmp_path / "kalshi_markets.jsonl", {"event_ticker": "E", "markets": markets})
