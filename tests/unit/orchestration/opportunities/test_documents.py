from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app.cli import calc as calc_commands
from orchestration.opportunities.documents import calc_answer, edges_answer
from orchestration.opportunities.outcomes import InvalidSet

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def market(name: str, venue: str = "kalshi", **more: object) -> dict[str, object]:
    fee = {"fee_type": "quadratic", "fee_multiplier": "0"} if venue == "kalshi" else {"rate": "0"}
    return {"id": name, "venue": venue, "fee": fee, "size_step": "0.01", "min_size": "0.01", **more}


def pair(**more: object) -> dict[str, object]:
    return {
        "as_of": "2026-11-20T00:00:00Z",
        "markets": [
            market("A", yes_asks=[["0.40", "100"], ["0.45", "50"]], no_asks=[["0.61", "100"]]),
            market("B", "polymarket", yes_asks=[["0.52", "100"]], no_asks=[["0.50", "120"], ["0.58", "100"]]),
        ],
        "outcomes": [["A", "B"], []],
        "resolves_at": "2026-11-30T00:00:00Z",
        **more,
    }


def test_a_pair_is_walked_to_its_last_profitable_level() -> None:
    answer = edges_answer(pair(), NOW)
    # 100 at 0.40 + 0.50, 20 at 0.45 + 0.50 -> 10 + 1; the next 30 would cost 0.45 + 0.58
    assert answer["locked_profit_usd"] == "11"
    assert {(leg["market"], leg["side"], leg["size"]) for leg in answer["legs"]} == {
        ("A", "yes", "120"),
        ("B", "no", "120"),
    }
    assert answer["cost_usd"] == "109"
    assert answer["payoffs_usd"] == ["120", "120"]
    assert Decimal(answer["annualised_return"]) == pytest.approx(Decimal(11) / 109 * 365 / 10, abs=Decimal("0.00001"))


def test_a_ladder_is_bought_below_and_sold_above() -> None:
    document = {
        "markets": [
            market("over50", yes_asks=[["0.55", "40"]], no_asks=[["0.50", "40"]]),
            market("over60", yes_asks=[["0.60", "40"]], no_asks=[["0.42", "40"]]),
        ],
        "outcomes": [[], ["over50"], ["over50", "over60"]],
    }
    answer = edges_answer(document, NOW)
    # YES of the lower strike and NO of the higher: 0.97 for at least a dollar
    assert answer["locked_profit_usd"] == "1.2"
    assert answer["payoffs_usd"] == ["40", "80", "40"]


def test_an_exclusive_event_sells_every_outcome() -> None:
    names = ["a", "b", "c"]
    document = {
        "markets": [market(name, no_asks=[["0.60", "10"]]) for name in names],
        "outcomes": [[name] for name in names] + [[]],
    }
    # three NO at 0.60 pay at least 2
    assert edges_answer(document, NOW)["locked_profit_usd"] == "2"


def test_a_missing_none_outcome_lets_all_yes_lock() -> None:
    names = ["a", "b", "c"]
    markets = [market(name, yes_asks=[["0.30", "10"]]) for name in names]
    exhaustive = {"markets": markets, "outcomes": [[name] for name in names]}
    assert edges_answer(exhaustive, NOW)["locked_profit_usd"] == "1"
    assert edges_answer({**exhaustive, "outcomes": [*exhaustive["outcomes"], []]}, NOW)["legs"] == []


def test_stress_outcomes_are_reported_and_not_optimised_for() -> None:
    void = {"name": "void", "kind": "stress", "settles": {"A": "0.2", "B": "0.9"}}
    answer = edges_answer(pair(outcomes=[["A", "B"], [], void]), NOW)
    # 120 x (0.2 + 0.1) paid against 109 spent
    assert answer["payoffs_usd"][2] == "36"
    assert answer["stress_loss_usd"] == "73"
    assert answer["locked_profit_usd"] == "11"


@pytest.mark.parametrize(
    ("limits", "profit", "binding"),
    [
        ({"max_cost_usd": "45"}, "5", "max_cost_usd"),
        ({"cost_by_account": {"kalshi": "20"}}, "5", "cost_by_account.kalshi"),
        ({"min_edge_usd": "0.06"}, "10", "depth"),
    ],
)
def test_limits_bind_and_are_named(limits: dict[str, object], profit: str, binding: str) -> None:
    answer = edges_answer(pair(limits=limits), NOW)
    assert answer["locked_profit_usd"] == profit if binding != "depth" else answer["locked_profit_usd"] == "10"
    if binding != "depth":
        assert binding in answer["binding"]


def test_a_minimum_size_above_the_depth_leaves_the_leg_out() -> None:
    document = pair()
    document["markets"][1]["min_size"] = "500"  # type: ignore[index]
    assert edges_answer(document, NOW)["legs"] == []


def test_fees_are_charged_at_each_level() -> None:
    document = pair()
    document["markets"][0]["fee"] = {"fee_type": "quadratic", "fee_multiplier": "1"}  # type: ignore[index]
    answer = edges_answer(document, NOW)
    # 0.07 x 100 x 0.4 x 0.6 = 1.68; 0.07 x 20 x 0.45 x 0.55 = 0.3465
    assert answer["fees_usd"] == "2.0265"
    assert Decimal(answer["fees_bound_usd"]) >= Decimal(answer["fees_usd"])
    assert Decimal(answer["locked_profit_usd"]) == Decimal(11) - Decimal("2.0265")


def test_calc_evaluates_given_legs_even_when_they_lose() -> None:
    document = pair(legs=[{"market": "A", "side": "yes", "size": "10", "price": "0.60"}])
    answer = calc_answer(document, NOW)
    assert answer["locked_profit_usd"] == "-6"
    assert answer["payoffs_usd"] == ["10", "0"]


@pytest.mark.parametrize(
    "change",
    [
        {"outcomes": []},
        {"outcomes": [["A", "C"]]},
        {"outcomes": [["A", "A"]]},
        {"outcomes": [[]] * 4_097},
        {"markets": []},
        {"markets": [market("A"), market("A")]},
        {"outcomes": [{"kind": "stress", "settles": {}}]},
        {"resolves_at": "soon"},
    ],
)
def test_a_set_that_cannot_be_meant_is_refused_with_a_sentence(change: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(InvalidSet) as refusal:
        edges_answer(pair(**change), NOW)
    assert str(refusal.value).endswith(".")
    cli = typer.Typer()
    calc_commands.register(cli)
    path = tmp_path / "set.json"
    path.write_text(json.dumps(pair(**change)))
    result = CliRunner().invoke(cli, ["edges", str(path), "--json"])
    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_command_prints_one_document(tmp_path: Path) -> None:
    cli = typer.Typer()
    calc_commands.register(cli)
    path = tmp_path / "set.json"
    path.write_text(json.dumps(pair()))
    result = CliRunner().invoke(cli, ["edges", str(path), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["locked_profit_usd"] == "11"
