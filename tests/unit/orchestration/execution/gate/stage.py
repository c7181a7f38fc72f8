"""One situation in which everything is allowed, changed in one thing, and what one check of the gate finds then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.registry import CHECKS
from tests.golden.execution import stage_gate
from tests.golden.execution.gate import ALLOWED

Found = tuple[str, ...]
K_LEG = ["kalshi", 2, "K", 50_000_000, 23_368_250]
P_LEG = ["polymarket", None, "P", 50_000_000, 26_999_000]
TWO_OF_KALSHI = [K_LEG, ["kalshi", 2, "K", 40_000_000, 10_000_000]]


def facts(change: Mapping[str, Any], fields: Mapping[str, Any] | None = None) -> GateFacts:
    """The allowed situation with changes: of the plain one of the golden answers, and of what follows from it."""
    return replace(stage_gate.gate_facts({**ALLOWED, **change}), **(fields or {}))


def found(check: str, change: Mapping[str, Any], fields: Mapping[str, Any] | None = None) -> Found:
    """Verdict, reading and limit; where it refuses also the reason and what is said."""
    (judge,) = [one.judge for one in CHECKS if one.name == check]
    finding = judge(facts(change, fields))
    given = (finding.verdict, finding.reading, finding.limit)
    return given if finding.reason is None and not finding.detail else (*given, str(finding.reason), finding.detail)


def plan(**change: Any) -> dict[str, Any]:
    """A change of the plan, its books, its markets, our own side or the venues."""
    return {"plan": change}


def account(venue: str, **said: Any) -> dict[str, Any]:
    """A change of what one venue said of an account."""
    well = {"kalshi": stage_gate.account(), "polymarket": stage_gate.account()}
    return plan(accounts={**well, venue: stage_gate.account(**said)})


def market(key: str, **said: Any) -> dict[str, Any]:
    """A change of what one venue said of a market."""
    well = {"kalshi:K": stage_gate.market(), "polymarket:P": stage_gate.market()}
    return plan(market_states={**well, key: stage_gate.market(**said)})


def beyond(reading: str, limit: str, reason: str) -> Found:
    """What a check finds where a number is beyond its limit."""
    return ("refuse", reading, limit, reason, f"{reading} of {limit}")
