"""The gate fails closed, and its page in the docs names every check."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import Check, Finding, at_least, at_most, state
from orchestration.execution.decide.gate.registry import CHECKS, Judgement, judge
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.gate.house import check_policy
from streams.market.trading import RefusalReason
from streams.settings import load_settings
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
    for compare in (at_most, at_least):
        found = compare(reading, limit, _REASON)
        assert (found.verdict, found.reason, found.detail) == ("refuse", _REASON, "it is not known")
        assert compare(reading, limit, _REASON, "said").detail == "said"


def test_a_number_at_its_limit_passes_and_one_beyond_it_refuses() -> None:
    limit = Decimal(2)
    assert [at_most(number, limit, _REASON).verdict for number in (1, 2, 3)] == ["pass", "pass", "refuse"]
    assert [at_least(number, limit, _REASON).verdict for number in (1, 2, 3)] == ["refuse", "pass", "pass"]
    for beyond in (at_most(3, limit, _REASON), at_least(1, limit, _REASON)):
        assert (beyond.reading, beyond.limit, beyond.reason) == (beyond.detail[0], "2", _REASON)
        assert beyond.detail == f"{beyond.reading} of 2"
    assert at_most(3, limit, _REASON, "said").detail == at_least(1, limit, _REASON, "said").detail == "said"


def test_what_is_not_known_to_be_good_refuses() -> None:
    assert state("on", is_good=True, reason=_REASON, detail="said") == Finding("pass", "on")
    assert state("off", is_good=False, reason=_REASON) == Finding("refuse", "off", "", _REASON)
    assert state(None, is_good=None, reason=_REASON) == Finding("refuse", "", "", _REASON, "it is not known")
    assert state(None, is_good=None, reason=_REASON, detail="said").detail == "said"


def test_every_check_made_is_kept_with_its_reading_limit_and_unit_and_the_first_refusal_names_the_reason() -> None:
    made = [
        Check("first", "", "", "", lambda _: Finding("pass", "1", "2")),
        Check("second", "", "", "USD", lambda _: Finding("refuse", "3", "2", _REASON, "too much")),
        Check("third", "", "", "s", lambda _: Finding("refuse", "", "", RefusalReason.DISK, "full")),
    ]
    judgement = judge(gate_facts(ALLOWED), made)
    assert judgement.refusal == Refusal(_REASON, "too much")
    assert judgement.to_json() == [
        {"check": "first", "verdict": "pass", "reading": "1", "limit": "2", "unit": ""},
        {"check": "second", "verdict": "refuse", "reading": "3", "limit": "2", "unit": "USD"},
        {"check": "third", "verdict": "refuse", "reading": "", "limit": "", "unit": "s"},
    ]
    without = judge(gate_facts(ALLOWED), [Check("odd", "", "", "", lambda _: Finding("refuse"))])
    assert without.refusal == Refusal(RefusalReason.ERROR, "")


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


def test_commits_need_not_last_where_no_order_goes_to_a_live_venue() -> None:
    facts = gate_facts({**ALLOWED, "plan": {"lossy_settings": ["fsync=off"]}})
    refusal = judge(facts).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.detail) == (
        RefusalReason.NOT_DURABLE,
        "a crash of the database may lose what was written: fsync=off",
    )
    checks = replace(facts.policy.checks, needs_durable_commits=False)
    judgement = judge(replace(facts, policy=replace(facts.policy, checks=checks)))
    assert verdict_of(judgement, "durable") == "not_applicable"


@pytest.mark.parametrize(("venues", "trading"), [("sandbox", "live"), ("demo", "live"), ("live", "paper")])
def test_only_live_orders_on_live_venues_need_commits_that_last(venues: str, trading: str) -> None:
    settings = load_settings(venues=venues, trading=trading, i_understand=True)
    assert not check_policy(settings).needs_durable_commits
    live = load_settings(venues="live", trading="live", i_understand=True)
    assert check_policy(live).needs_durable_commits


def test_the_page_of_the_gate_names_every_check_in_its_order() -> None:
    rows = [f"| `{check.name}` | {check.reads} | {named(check.limit)} | {check.unit} |" for check in CHECKS]
    shown = [line for line in _PAGE.read_text().splitlines() if line.startswith("| `")]
    assert shown == rows, "\n".join(rows)


def verdict_of(judgement: Judgement, name: str) -> str:
    return next(finding.verdict for check, finding in judgement.findings if check.name == name)


def named(limit: str) -> str:
    return f"`{limit}`" if limit else ""
