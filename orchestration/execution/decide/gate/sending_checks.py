"""The checks of what must hold for orders to be taken from us: key, kind of account, mode and request budget. PURE."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import NOT_APPLICABLE, Check, Finding, at_least, at_most, state
from orchestration.execution.decide.gate.venue_checks import account_of, real_venues
from streams.market.fees import KalshiFeeSchedule
from streams.market.trading import RefusalReason

_MS = timedelta(milliseconds=1)


def _key(facts: GateFacts) -> Finding:
    """Compare the seconds until the first key ends, where its venue states it; one that may not trade refuses."""
    limit = facts.policy.checks.key_margin_s
    venues = real_venues(facts, lambda traits: traits.states_keys)
    if not venues:
        return NOT_APPLICABLE
    ends = []
    for venue in venues:
        found = account_of(facts, venue)
        if found is None or found.key is None:
            return at_least(None, limit, RefusalReason.KEY, f"what the key at {venue} may do was not read")
        if not found.key.may_trade:
            return Finding(
                "refuse", "may not trade", f"{limit}", RefusalReason.KEY, f"the key at {venue} may not trade"
            )
        if found.key.ends_at is not None:
            ends.append(found.key.ends_at)
    if not ends:
        return Finding("pass", "", f"{limit}")
    return at_least(Decimal((min(ends) - facts.now) // _MS) / 1000, limit, RefusalReason.KEY)


def _account_kind(facts: GateFacts) -> Finding:
    """The account is of the kind by which the plan reckons its fees, as far as its venue shows it."""
    venues = real_venues(facts, lambda traits: traits.states_keys)
    if not venues:
        return NOT_APPLICABLE
    words: list[str] = []
    for venue in venues:
        found = account_of(facts, venue)
        kind = None if found is None else found.kind
        reckoned = {info.target.schedule for info in facts.markets.values() if info.venue is venue}
        kinds = {schedule.account for schedule in reckoned if isinstance(schedule, KalshiFeeSchedule)}
        if kind is None or not kinds:
            return state(None, is_good=None, reason=RefusalReason.FEES)
        if kind != "not_stated" and kinds != {kind}:
            detail = f"the account at {venue} is {kind}, and fees are reckoned for {', '.join(sorted(kinds))}"
            return state(kind, is_good=False, reason=RefusalReason.FEES, detail=detail)
        words.append(kind)
    return state(", ".join(words), is_good=True, reason=RefusalReason.FEES)


def _order_mode(facts: GateFacts) -> Finding:
    """No venue of the hedge has answered lately that it takes resting orders alone."""
    venues = real_venues(facts, lambda traits: traits.refuses_takers)
    if not venues:
        return NOT_APPLICABLE
    for venue in venues:
        found = None if facts.venues is None else facts.venues.sending.get(venue)
        if found is None:
            return state(None, is_good=None, reason=RefusalReason.VENUE_UNAVAILABLE)
        if found.closed_until is not None and found.closed_until > facts.now:
            until = f"{venue} takes no order that takes until {found.closed_until.isoformat(timespec='seconds')}"
            return state("resting only", is_good=False, reason=RefusalReason.VENUE_UNAVAILABLE, detail=until)
    return state("open", is_good=True, reason=RefusalReason.VENUE_UNAVAILABLE)


def _order_budget(facts: GateFacts) -> Finding:
    """Compare the orders of this hedge and one unwind, with those that open hedges hold back, with what the request
    budget of their venue lets leave at once; the tightest venue counts.
    """
    if facts.hedge is None or facts.venues is None:
        return at_most(None, None, RefusalReason.ORDER_RATE)
    tightest: tuple[int, int, int] | None = None
    for venue in real_venues(facts, lambda _: True):
        sending, held = facts.venues.sending.get(venue), facts.venues.orders_held
        if sending is None or sending.orders_left is None or held is None:
            return at_most(None, None, RefusalReason.ORDER_RATE, f"the request budget of {venue} could not be read")
        wanted = sum(leg.venue is venue for leg in facts.hedge.legs) + 1 + held.get(venue, 0)
        left = (sending.orders_left - wanted, wanted, sending.orders_left)
        tightest = left if tightest is None else min(tightest, left)
    if tightest is None:
        return NOT_APPLICABLE
    return at_most(tightest[1], tightest[2], RefusalReason.ORDER_RATE)


SENDING_CHECKS = (
    Check(
        "key", "until when a venue serves our key, and whether it may trade", "CROSSBOOK_KEY_MARGIN_S", "s", _key, True
    ),
    Check(
        "account_kind", "the kind of an account, beside the one that fees are reckoned for", "", "", _account_kind, True
    ),
    Check("order_mode", "whether a venue has answered that it takes resting orders alone", "", "", _order_mode, True),
    Check(
        "order_budget",
        "orders of this hedge, one unwind and open hedges, beside what the request budget lets leave at once",
        "",
        "orders",
        _order_budget,
        True,
    ),
)
