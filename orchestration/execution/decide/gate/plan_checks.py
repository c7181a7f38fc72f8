"""The checks of a plan against the books it was decided on and the terms of its markets as they are now. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import NOT_APPLICABLE, Check, Finding, at_least, at_most
from orchestration.execution.decide.gate.plan_facts import LegQuote
from orchestration.execution.decide.hedge_plan import PlanLeg
from streams.market.trading import MarketInfo, RefusalReason
from streams.market.units import CASH_SCALE, PRICE_ONE_E4, PRICE_SCALE

_MS = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Leg:
    plan: PlanLeg
    quote: LegQuote
    market: MarketInfo


def _collar(facts: GateFacts) -> Finding:
    """Compare how far the worst limit price is above the best offer of its own book."""
    legs = _legs(facts)
    limit = facts.policy.checks.collar_usd
    if legs is None:
        return at_most(None, limit, RefusalReason.PRICE_COLLAR, _UNKNOWN)
    if any(leg.quote.ask_e4 is None for leg in legs):
        return at_most(None, limit, RefusalReason.PRICE_COLLAR, "a leg has no offer")
    worst = max(Decimal(leg.plan.limit_price_e4 - (leg.quote.ask_e4 or 0)) / PRICE_SCALE for leg in legs)
    return at_most(worst, limit, RefusalReason.PRICE_COLLAR)


def _grid(facts: GateFacts) -> Finding:
    """Every limit price is one of its market's as the terms and the book state it now, and the size is whole steps."""
    legs = _legs(facts)
    if legs is None or facts.plan is None:
        return Finding("refuse", "", "", RefusalReason.OFF_GRID, _UNKNOWN)
    for leg in legs:
        if not _is_on_grid(leg, facts.plan.size_e6):
            price = f"{leg.plan.market_key} at {Decimal(leg.plan.limit_price_e4) / PRICE_SCALE:f}"
            return Finding("refuse", "off", "", RefusalReason.OFF_GRID, f"its grid has no {price}, or its size no step")
    return Finding("pass", "on")


def _is_on_grid(leg: _Leg, size_e6: int) -> bool:
    yes_e4 = leg.plan.limit_price_e4 if leg.plan.outcome == "yes" else PRICE_ONE_E4 - leg.plan.limit_price_e4
    terms = leg.market.terms
    is_priced = any(low <= yes_e4 <= high and (yes_e4 - low) % step == 0 for low, high, step in terms.price_ranges)
    is_tick = leg.quote.tick_e4 is None or yes_e4 % leg.quote.tick_e4 == 0
    # an order in dollars has no step of contracts; what it fills is mended to whole steps
    return is_priced and is_tick and size_e6 % terms.size_step_e6 == 0


def _partial_fill(facts: GateFacts) -> Finding:
    """Compare what would be stuck after the worst partial fill: too little to complete, and to sell again."""
    legs = _legs(facts)
    limit = facts.policy.checks.partial_fill_usd
    if legs is None:
        return at_most(None, limit, RefusalReason.PARTIAL_FILL, _UNKNOWN)
    worst = max((_stuck_usd(leg, [other for other in legs if other is not leg]) for leg in legs), default=None)
    return at_most(worst, limit, RefusalReason.PARTIAL_FILL)


def _stuck_usd(leg: _Leg, others: Sequence[_Leg]) -> Decimal:
    """Return what the most contracts of a leg cost that can neither be completed nor sold."""
    complete = max((_least(other, other.plan.limit_price_e4) for other in others), default=0)
    sell = None if not leg.quote.bid_e4 else _least(leg, leg.quote.bid_e4)
    stuck = complete if sell is None else min(complete, sell)
    return Decimal(stuck * leg.plan.limit_price_e4) / (PRICE_SCALE * CASH_SCALE)


def _least(leg: _Leg, price_e4: int) -> int:
    """Return the fewest contracts (1e-6) that an order of this leg may have at a price."""
    for_value = -(-leg.plan.min_notional_e6 * PRICE_SCALE // max(price_e4, 1))
    return max(leg.plan.min_size_e6, for_value)


def _exit_depth(facts: GateFacts) -> Finding:
    """Compare the thinnest way out of a leg with the size of the hedge."""
    legs = _legs(facts)
    limit = facts.policy.checks.exit_depth_share
    if legs is None or facts.plan is None or not facts.plan.size_e6:
        return at_least(None, limit, RefusalReason.EXIT_DEPTH, _UNKNOWN)
    thinnest = min(Decimal(leg.quote.exit_e6) / facts.plan.size_e6 for leg in legs)
    return at_least(round(thinnest, 4), limit, RefusalReason.EXIT_DEPTH)


def _book_age(facts: GateFacts) -> Finding:
    limit = facts.policy.checks.book_age_ms
    if facts.quotes is None:
        return at_most(None, limit, RefusalReason.STALE_BOOK, _UNKNOWN)
    return at_most((facts.now - facts.quotes.asked_at) // _MS, limit, RefusalReason.STALE_BOOK)


def _book_skew(facts: GateFacts) -> Finding:
    """Compare how long the reading of all books took: no two of them are further apart."""
    limit = facts.policy.checks.book_skew_ms
    if facts.quotes is None:
        return at_most(None, limit, RefusalReason.STALE_BOOK, _UNKNOWN)
    return at_most((facts.quotes.read_at - facts.quotes.asked_at) // _MS, limit, RefusalReason.STALE_BOOK)


def _settlement_dates(facts: GateFacts) -> Finding:
    """Compare the days between the first and the last settlement of the hedge's markets."""
    limit = facts.policy.checks.settlement_gap_days
    markets = _markets(facts)
    if markets is None:
        return at_most(None, limit, RefusalReason.SETTLEMENT_DATES, _UNKNOWN)
    if len({market.key for market in markets}) < 2:
        return NOT_APPLICABLE
    ends = [market.expected_settle_time or market.close_time for market in markets]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return at_most(None, limit, RefusalReason.SETTLEMENT_DATES, "when a market settles is not known")
    days = Decimal((max(known) - min(known)) // timedelta(seconds=1)) / (_DAY // timedelta(seconds=1))
    return at_most(round(days, 4), limit, RefusalReason.SETTLEMENT_DATES)


_UNKNOWN = "the plan's books or a market of it could not be read"


def _markets(facts: GateFacts) -> list[MarketInfo] | None:
    if facts.plan is None or any(leg.market_key not in facts.markets for leg in facts.plan.legs):
        return None
    return [facts.markets[leg.market_key] for leg in facts.plan.legs]


def _legs(facts: GateFacts) -> list[_Leg] | None:
    """Return the legs with their books and markets; None where something of it is not known."""
    markets = _markets(facts)
    if markets is None or facts.plan is None or facts.quotes is None:
        return None
    if not markets or len(facts.quotes.legs) != len(markets):
        return None
    return [_Leg(*leg) for leg in zip(facts.plan.legs, facts.quotes.legs, markets, strict=True)]


PLAN_CHECKS = (
    Check("book_age", "the age of the oldest book of the plan", "CROSSBOOK_DECISION_TTL_MS", "ms", _book_age, True),
    Check(
        "book_skew",
        "how long the reading of all books of the plan took",
        "CROSSBOOK_BOOK_SKEW_MAX_MS",
        "ms",
        _book_skew,
        True,
    ),
    Check("grid", "limit prices and size on the grids of markets and books now", "", "", _grid, True),
    Check(
        "price_collar",
        "how far the worst limit price is above the best offer of its book",
        "CROSSBOOK_COLLAR_USD",
        "USD",
        _collar,
        True,
    ),
    Check(
        "partial_fill",
        "what a partial fill may leave that minimum sizes let nobody complete or sell",
        "CROSSBOOK_PARTIAL_FILL_USD",
        "USD",
        _partial_fill,
        True,
    ),
    Check(
        "exit_depth",
        "the thinnest way out of a leg, as a share of the hedge's size",
        "CROSSBOOK_EXIT_DEPTH_SHARE",
        "",
        _exit_depth,
        True,
    ),
    Check(
        "settlement_dates",
        "days between the settlements of the hedge's markets",
        "CROSSBOOK_SETTLEMENT_GAP_DAYS",
        "days",
        _settlement_dates,
        True,
    ),
)
