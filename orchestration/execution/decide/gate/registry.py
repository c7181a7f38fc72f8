"""All checks of the gate in their order, and the judgement of one hedge by them. PURE, and it fails closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.execution.decide.gate.checks import STATE_CHECKS
from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import Check, Finding
from orchestration.execution.decide.gate.house_checks import HOUSE_CHECKS
from orchestration.execution.decide.gate.limit_checks import LIMIT_CHECKS
from orchestration.execution.decide.gate.plan_checks import PLAN_CHECKS
from orchestration.execution.decide.gate.sending_checks import SENDING_CHECKS
from orchestration.execution.decide.gate.venue_checks import VENUE_CHECKS
from orchestration.execution.decide.risk_checks import Refusal
from streams.market.documents import JsonDocument
from streams.market.trading import RefusalReason

CHECKS: tuple[Check, ...] = (
    *STATE_CHECKS,
    *HOUSE_CHECKS,
    *VENUE_CHECKS,
    *SENDING_CHECKS,
    *PLAN_CHECKS,
    *LIMIT_CHECKS,
)
"""The first one that refuses names the reason; all others are made and stored too."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate found: every check made, and why the hedge may not open, None if it may."""

    findings: tuple[tuple[Check, Finding], ...]
    refusal: Refusal | None

    def to_json(self) -> list[JsonDocument]:
        """Return the checks as they are stored."""
        return [
            {
                "check": check.name,
                "verdict": finding.verdict,
                "reading": finding.reading,
                "limit": finding.limit,
                "unit": check.unit,
            }
            for check, finding in self.findings
        ]


def judge(facts: GateFacts, checks: Sequence[Check] = CHECKS) -> Judgement:
    """Make the checks; without a hedge those that need none.

    Args:
        facts: What was read.
        checks: In their order.
    """
    made = [(check, _found(check, facts)) for check in checks if facts.hedge is not None or not check.needs_hedge]
    for _, finding in made:
        if finding.verdict == "refuse":
            return Judgement(tuple(made), Refusal(finding.reason or RefusalReason.ERROR, finding.detail))
    return Judgement(tuple(made), None)


def _found(check: Check, facts: GateFacts) -> Finding:
    try:
        return check.judge(facts)
    except Exception as error:  # a check that fails refuses
        return Finding("refuse", "", "", RefusalReason.ERROR, f"{type(error).__name__}: {error}")
