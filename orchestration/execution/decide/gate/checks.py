"""The checks before anything opens: what people decided, what happened before, and when markets close. PURE."""

from __future__ import annotations

from decimal import Decimal

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import NOT_APPLICABLE, Check, Finding, at_most, state, usd
from orchestration.execution.decide.risk_checks import switch_reason
from streams.market.trading import RefusalReason
from streams.market.venue_traits import TRAITS


def _switch(facts: GateFacts) -> Finding:
    if facts.switch is None:
        return state(None, is_good=None, reason=RefusalReason.ERROR, detail="the switch could not be read")
    if facts.switch == "run":
        return Finding("pass", "run", "run")
    return Finding("refuse", facts.switch, "run", switch_reason(facts.switch))


def _mode(facts: GateFacts) -> Finding:
    is_on = facts.policy.is_trading_on
    return state("on" if is_on else "off", is_good=is_on, reason=RefusalReason.TRADING_OFF)


def _tradable(facts: GateFacts) -> Finding:
    detail = "the group has ended, may not be traded, or a market of it is not open"
    found = None if facts.is_tradable is None else "yes" if facts.is_tradable else "no"
    return state(found, is_good=facts.is_tradable, reason=RefusalReason.NOT_TRADABLE, detail=detail)


def _approval(facts: GateFacts) -> Finding:
    if not facts.needs_approval and facts.decision_state == "proposed":
        return NOT_APPLICABLE
    if facts.decision_state == "lapsed":
        detail = "a text, a date, a market or the environment has changed since the approval"
        return Finding("refuse", "lapsed", "approved", RefusalReason.LAPSED, detail)
    if facts.decision_state != "approved":
        found = facts.decision_state or "no decision"
        return Finding("refuse", found, "approved", RefusalReason.PAIR_NOT_APPROVED, found)
    return Finding("pass", "approved", "approved")


def _texts(facts: GateFacts) -> Finding:
    if not facts.is_pair:
        return NOT_APPLICABLE
    found = None if facts.has_text_changed is None else "changed" if facts.has_text_changed else "as decided on"
    is_good = None if facts.has_text_changed is None else not facts.has_text_changed
    detail = "the text of a market has changed since the approval"
    return state(found, is_good=is_good, reason=RefusalReason.LAPSED, detail=detail)


def _signal(facts: GateFacts) -> Finding:
    detail = "the episode has ended, or nobody watches it any more"
    found = "open" if facts.is_signal_open else "closed"
    return state(found, is_good=bool(facts.is_signal_open), reason=RefusalReason.SIGNAL_CLOSED, detail=detail)


def _leases(facts: GateFacts) -> Finding:
    detail = "another run holds one of the markets"
    found = "held" if facts.has_leases else "not held"
    return state(found, is_good=facts.has_leases, reason=RefusalReason.NO_LEASE, detail=detail)


def _life(facts: GateFacts) -> Finding:
    detail = "the decision outlived its books"
    found = "young" if facts.is_within_life else "over"
    return state(found, is_good=facts.is_within_life, reason=RefusalReason.STALE_BOOK, detail=detail)


def _unknown_here(facts: GateFacts) -> Finding:
    known = "they could not be counted" if facts.unknown_orders is None else f"{facts.unknown_orders} unresolved"
    return at_most(facts.unknown_orders, 0, RefusalReason.UNKNOWN_ORDER_ON_MARKET, known)


def _unknown_in_total(facts: GateFacts) -> Finding:
    limit = None if facts.limits is None else facts.limits.unknown_orders
    return at_most(facts.all_unknown_orders, limit, RefusalReason.UNKNOWN_ORDERS)


def _order_rate(facts: GateFacts) -> Finding:
    """Count the orders of the last minute, with those of this hedge's legs and of one unwind."""
    limit = None if facts.limits is None else facts.limits.orders_per_minute
    added = 1 if facts.hedge is None else len(facts.hedge.legs) + 1
    sent = None if facts.orders_last_minute is None else facts.orders_last_minute + added
    return at_most(sent, limit, RefusalReason.ORDER_RATE)


def _hedge_rate(facts: GateFacts) -> Finding:
    limit = None if facts.limits is None else facts.limits.hedges_per_minute
    begun = None if facts.hedges_last_minute is None else facts.hedges_last_minute + 1
    return at_most(begun, limit, RefusalReason.ORDER_RATE)


def _cooldown(facts: GateFacts) -> Finding:
    limit = facts.policy.cooldown_s
    if facts.last_execution_at is None:
        return Finding("pass", "", f"{limit:f}")
    since = Decimal(str((facts.now - facts.last_execution_at).total_seconds()))
    if since < limit:
        detail = f"last execution {since:.1f} s ago"
        return Finding("refuse", f"{since:.1f}", f"{limit:f}", RefusalReason.COOLDOWN, detail)
    return Finding("pass", f"{since:.1f}", f"{limit:f}")


def _daily_result(facts: GateFacts) -> Finding:
    """Compare what was lost today, with what this hedge may lose, with the limit; some loss before that is known."""
    limit = None if facts.limits is None else usd(facts.limits.daily_loss_e6)
    bound = 1 if facts.hedge is None else facts.hedge.loss_bound_e6
    lost = None if facts.day_result_e6 is None else usd(bound - facts.day_result_e6)
    detail = f"today {usd(facts.day_result_e6)}, and this hedge may lose {usd(bound)}" if lost is not None else ""
    return at_most(lost, limit, RefusalReason.DAILY_LOSS, detail)


def _provisional(facts: GateFacts) -> Finding:
    """Compare what is unconfirmed, with what this hedge adds, with its cap."""
    cap = usd(facts.policy.provisional_cap_e6)
    if facts.used is None:
        return at_most(None, cap, RefusalReason.PROVISIONAL_CAP, "what is unconfirmed could not be read")
    mine = [leg for leg in facts.hedge.legs if TRAITS[leg.venue].fills_are_provisional] if facts.hedge else []
    if facts.hedge and not mine:
        return NOT_APPLICABLE
    # before sizes are known a cap that is reached leaves no room for any
    added = sum(leg.cash_e6 for leg in mine) if facts.hedge else 1
    unconfirmed = usd(facts.used.provisional_e6 + added)
    return at_most(unconfirmed, cap, RefusalReason.PROVISIONAL_CAP, f"unconfirmed {unconfirmed:f}")


def _closing(facts: GateFacts) -> Finding:
    known = [at for at in facts.closes_at if at is not None]
    limit = str(facts.policy.closing_margin_s)
    if not known:
        return Finding("not_applicable", "", limit)
    left = Decimal(str((min(known) - facts.now).total_seconds()))
    if left < facts.policy.closing_margin_s:
        detail = f"closes at {min(known).isoformat()}"
        return Finding("refuse", f"{left:.0f}", limit, RefusalReason.CLOSING_SOON, detail)
    return Finding("pass", f"{left:.0f}", limit)


STATE_CHECKS = (
    Check("switch", "the trading switch, and kills on disk", "", "", _switch),
    Check("mode", "whether trading is on", "CROSSBOOK_TRADING", "", _mode),
    Check("tradable", "the market group and the status of its markets", "", "", _tradable),
    Check("approval", "the last decision on the group", "", "", _approval),
    Check("texts", "the markets' texts now, beside those of the decision", "", "", _texts),
    Check("signal", "the signal, and that its monitor lives", "CROSSBOOK_LEASE_TTL_S", "", _signal),
    Check("leases", "the leases of all markets, under the epoch of this run", "", "", _leases),
    Check("life", "the age of the books the decision was made on", "CROSSBOOK_DECISION_TTL_MS", "", _life),
    Check("unknown_orders_here", "orders without a last word on these markets", "", "orders", _unknown_here),
    Check("unknown_orders", "orders of unknown outcome in total", "unknown_orders", "orders", _unknown_in_total),
    Check("order_rate", "orders of the last minute, with this hedge's", "orders_per_minute", "orders", _order_rate),
    Check("hedge_rate", "hedges of the last minute, with this one", "hedges_per_minute", "hedges", _hedge_rate),
    Check("cooldown", "the last execution on the group", "CROSSBOOK_EXECUTION_COOLDOWN_S", "s", _cooldown),
    Check("daily_result", "what was lost today, with what this hedge may lose", "daily_loss_usd", "USD", _daily_result),
    Check("provisional", "matches that are not confirmed", "CROSSBOOK_PROVISIONAL_CAP_USD", "USD", _provisional),
    Check("closing", "when the first market closes", "CROSSBOOK_CLOSING_MARGIN_S", "s", _closing),
)
