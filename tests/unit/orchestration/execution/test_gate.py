"""The gate fails closed, and its page in the docs names every check."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import Check, Finding, at_most
from orchestration.execution.decide.gate.registry import CHECKS, judge
from streams.market.trading import RefusalReason
from tests.golden.execution.gate import ALLOWED
from tests.golden.execution.stage_gate import gate_facts

_PAGE = Path(__file__).parents[4] / "docs" / "gate.md"
_REASON = RefusalReason.LIMIT_TOTAL


@pytest.mark.parametrize(
    ("reading", "limit"),
    [
        (None, Decimal(1)),
        (Decimal(0), None),
        (Decimal("NaN"), Decimal(1)),
        (Decimal(0), Decimal("NaN")),
        (Decimal("-Infinity"), Decimal(1)),
        (Decimal(0), Decimal("Infinity")),
        ("0", Decimal(1)),
    ],
)
def test_a_number_that_is_missing_or_none_refuses(reading: Any, limit: Any) -> None:
    found = at_most(reading, limit, _REASON)
    assert (found.verdict, found.reason) == ("refuse", _REASON)


def test_a_check_that_raises_refuses_and_the_others_are_made() -> None:
    def broken(_: GateFacts) -> Finding:
        raise ZeroDivisionError("nothing to divide by")

    facts = gate_facts(ALLOWED)
    judgement = judge(facts, [Check("broken", "", "", "", broken), *CHECKS])
    assert judgement.refusal is not None
    assert judgement.refusal.reason == "error"
    assert judgement.refusal.detail == "ZeroDivisionError: nothing to divide by"
    assert [finding.verdict for _, finding in judgement.findings].count("refuse") == 1
    assert len(judgement.findings) == len(CHECKS) + 1


def test_what_needs_a_hedge_is_not_asked_before_there_is_one() -> None:
    facts = gate_facts(ALLOWED)
    made = {check.name for check, _ in judge(replace(facts, hedge=None)).findings}
    assert made == {check.name for check in CHECKS if not check.needs_hedge}


def test_whatever_is_not_known_refuses_with_a_reason_of_its_own() -> None:
    facts = gate_facts(ALLOWED)
    assert judge(facts).refusal is None
    for name in ("limits", "used", "switch", "is_tradable", "has_text_changed", "unknown_orders", "pots"):
        judgement = judge(replace(facts, **{name: None}))
        assert judgement.refusal is not None, name


def test_the_page_of_the_gate_names_every_check_in_its_order() -> None:
    rows = [f"| `{check.name}` | {check.reads} | {named(check.limit)} | {check.unit} |" for check in CHECKS]
    shown = [line for line in _PAGE.read_text().splitlines() if line.startswith("| `")]
    assert shown == rows, "\n".join(rows)


def named(limit: str) -> str:
    return f"`{limit}`" if limit else ""
