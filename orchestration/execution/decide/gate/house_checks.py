"""The checks of our own house: orders that rest, books that agree, the disk, and what one source could cost. PURE."""

from __future__ import annotations

from decimal import Decimal

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import (
    NOT_APPLICABLE,
    Check,
    Finding,
    age_s,
    at_least,
    at_most,
    state,
    usd,
)
from streams.market.trading import RefusalReason


def _self_cross(facts: GateFacts) -> Finding:
    found = None if facts.house is None else facts.house.opposing_orders
    return at_most(found, 0, RefusalReason.SELF_CROSS, "they could not be counted" if found is None else "")


def _reconciled(facts: GateFacts) -> Finding:
    """Compare how long ago each account agreed with our books; a simulated account is in our books itself."""
    limit = facts.policy.checks.reconciled_age_s
    if facts.house is None:
        return at_most(None, limit, RefusalReason.NOT_RECONCILED, "the last comparisons could not be read")
    if not facts.house.reconciled_at:
        return NOT_APPLICABLE
    ages: list[Decimal] = []
    for venue, at in facts.house.reconciled_at.items():
        if at is None:
            detail = f"the account at {venue} was never found to agree with our books"
            return at_most(None, limit, RefusalReason.NOT_RECONCILED, detail)
        age = age_s(facts.now, at)
        if age is None:
            return at_most(
                None, limit, RefusalReason.NOT_RECONCILED, f"the comparison of {venue} is dated later than now"
            )
        ages.append(age)
    return at_most(round(max(ages), 1), limit, RefusalReason.NOT_RECONCILED)


def _disk(facts: GateFacts) -> Finding:
    found = None if facts.house is None else facts.house.free_disk_mb
    return at_least(found, facts.policy.checks.disk_mb, RefusalReason.DISK, "" if found is not None else "not readable")


def _durable(facts: GateFacts) -> Finding:
    """An order that was confirmed must be there after a crash, before it is at a venue that is not our own."""
    if not facts.policy.checks.needs_durable_commits:
        return NOT_APPLICABLE
    lossy = None if facts.house is None else facts.house.lossy_settings
    found = None if lossy is None else ", ".join(lossy) or "on"
    is_good = None if lossy is None else not lossy
    detail = f"a crash of the database may lose what was written: {found}" if lossy else ""
    return state(found, is_good=is_good, reason=RefusalReason.NOT_DURABLE, detail=detail)


def _stress(facts: GateFacts) -> Finding:
    """Compare what all open hedges of one source have tied up, with this one: so much is lost if it settles apart."""
    limit = usd(facts.policy.checks.stress_loss_e6)
    house, hedge = facts.house, facts.hedge
    if house is None or hedge is None or house.stress_e6 is None or not house.sources:
        return at_most(None, limit, RefusalReason.LIMIT_STRESS, "what hangs on one source could not be read")
    worst = max(house.stress_e6.get(source, 0) for source in house.sources)
    return at_most(usd(worst + hedge.total_e6), limit, RefusalReason.LIMIT_STRESS)


HOUSE_CHECKS = (
    Check("self_cross", "orders of ours that rest on the other side of these markets", "", "orders", _self_cross, True),
    Check(
        "reconciled",
        "how long ago the accounts agreed with our books",
        "CROSSBOOK_RECONCILED_MAX_AGE_S",
        "s",
        _reconciled,
    ),
    Check("disk", "free space on the disk", "CROSSBOOK_DISK_NO_NEW_TRADES_MB", "MB", _disk),
    Check("durable", "whether what our database has confirmed outlasts its crash (in live)", "", "", _durable),
    Check(
        "stress_loss",
        "what all open hedges of one source of resolution lose if it settles apart, with this hedge",
        "CROSSBOOK_STRESS_LOSS_USD",
        "USD",
        _stress,
        True,
    ),
)
