"""Faults as data: what a file may say, what the admin port takes, and that every kind follows its own seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultKind, FaultPlan, FaultRule, SettlementPlan, load_plan, parse_rule
from streams.sandbox.core.profile import REALISTIC
from streams.sandbox.exchange.exchange import Exchange

KINDS = get_args(FaultKind)


def written(tmp_path: Path, document: Any) -> FaultPlan:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(document))
    return load_plan(path)


def fired(plan: FaultPlan, kind: FaultKind) -> list[bool]:
    return [plan.fires(kind, Venue.KALSHI, when="before") is not None for _ in range(200)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_by_file_and_by_port_follows_its_own_seed(kind: FaultKind, tmp_path: Path) -> None:
    rule = {"kind": kind, "probability": "0.5", "seed": 11}
    by_file = fired(written(tmp_path, {"seed": 1, "rules": [rule]}), kind)
    later = FaultPlan([FaultRule("fade", venue=Venue.POLYMARKET) for _ in range(3)], seed=2)
    later.add([parse_rule(rule)])
    assert fired(later, kind) == by_file
    assert 60 < sum(by_file) < 140
    other = fired(written(tmp_path, {"rules": [{**rule, "seed": 12}]}), kind)
    assert other != by_file
    unseeded = {"kind": kind, "probability": "0.5"}
    twice = [fired(written(tmp_path, {"seed": 5, "rules": [unseeded]}), kind) for _ in range(2)]
    assert twice[0] == twice[1] != fired(written(tmp_path, {"seed": 6, "rules": [unseeded]}), kind)


def test_rules_together_draw_as_they_do_alone(tmp_path: Path) -> None:
    rules = [{"kind": kind, "probability": "0.5", "seed": number} for number, kind in enumerate(KINDS)]
    together = written(tmp_path, {"rules": rules})
    draws: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for _ in range(200):
        for kind in KINDS:
            draws[kind].append(together.fires(kind, Venue.KALSHI, when="before") is not None)
    for rule in rules:
        alone = written(tmp_path, {"rules": [rule]})
        assert draws[str(rule["kind"])] == fired(alone, rule["kind"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "delay", "market": "X"},
        {"kind": "reject", "path": "/x"},
        {"kind": "dropped_frame", "path": "/x"},
        {"kind": "fade", "ms": 5},
        {"kind": "delay", "ms": -1},
        {"kind": "delay", "ms": 1.5},
        {"kind": "delay", "ms": "5"},
        {"kind": "fade", "times": -1},
        {"kind": "fade", "skip": True},
        {"kind": "server_error", "status": 200},
        {"kind": "server_error", "when": "during"},
        {"kind": "fade", "probability": "often"},
        {"kind": "fade", "probability": "NaN"},
        {"kind": "partial_fill", "fraction": "1.5"},
        {"kind": "fade", "venue": "elsewhere"},
    ],
)
def test_a_rule_that_could_never_fire_or_cannot_be_meant_is_refused(rule: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_rule(rule)
    with pytest.raises(ConfigurationError):
        written(tmp_path, {"rules": [rule]})


@pytest.mark.parametrize("settlement", [{"mined_ms": -1}, {"confirmed_ms": "x"}, {"failed_probability": "2"},
                                        {"sellable": "soon"}])  # fmt: skip
def test_a_settlement_that_cannot_be_meant_is_refused(settlement: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        written(tmp_path, {"settlement": settlement})


def test_clocks_and_settlement_come_from_the_file_too(tmp_path: Path) -> None:
    plan = written(tmp_path, {"clock": {"kalshi": -4_000}, "settlement": {"failed_probability": "0.5"}})
    assert plan.clock_ms == {Venue.KALSHI: -4_000}
    assert plan.settlement is not None
    assert str(plan.settlement.failed_probability) == "0.5"


def test_a_file_that_says_the_usual_settlement_overrides_the_profile_and_one_that_says_none_does_not(
    tmp_path: Path,
) -> None:
    usual = {"mined_ms": 1500, "confirmed_ms": 4000, "failed_probability": "0", "sellable": "matched"}
    for document, is_ours in (({"settlement": usual}, True), ({"seed": 3}, False)):
        exchange = Exchange(Venue.POLYMARKET, written(tmp_path, document), profile=REALISTIC)
        assert (exchange.timing.plan == SettlementPlan()) is is_ours
