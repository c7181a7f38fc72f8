"""How well trading is executed: the statistics of a period, from what was missed to what lies idle.

A figure over too few observations is None: under `LEAST["p50"]` for a median, a mean or a ratio, more for others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args

from app.queries.rows import fetch
from streams.storage.database import Connection

Period = Literal["hour", "day", "week"]
PERIODS: tuple[Period, ...] = get_args(Period)
"""The last 60 minutes, 24 hours or 7 days."""
LEAST = {"p50": 10, "p95": 20, "p99": 100}
"""Observations from which on the warehouse states a figure (its variables `min_observations`)."""


@dataclass(frozen=True, slots=True)
class FunnelReason:
    """Signals of the period that came to one stage and were ended there by one reason; dollars count once each."""

    environment: str
    stage: str
    reason: str
    signals: int
    profit_usd: Decimal
    missed_usd: Decimal


@dataclass(frozen=True, slots=True)
class ExecutionStatistics:
    """One row per (mode, environment): the executions that began in the period.

    `compared`: those that have ended and whose plan is kept, which the dollars from `planned_profit_usd` on are of. The
    parts from `opening_slippage_usd` on add up to `shortfall_usd`; above 0 is lost.
    """

    mode: str
    environment: str
    executions: int
    bought: int
    hedged: int
    escalated: int
    unwound: int
    leg_gaps: int
    leg_gap_p50_s: Decimal | None
    leg_gap_p95_s: Decimal | None
    leg_gap_p99_s: Decimal | None
    exposures: int
    exposure_usd_s: Decimal | None
    exposure_p50_usd_s: Decimal | None
    exposure_p95_usd_s: Decimal | None
    exposure_max_usd_s: Decimal | None
    peak_exposure_usd: Decimal | None
    unwinds: int
    unwound_contracts: Decimal
    unwind_cost_usd: Decimal
    compared: int
    planned_profit_usd: Decimal | None
    locked_pnl_usd: Decimal | None
    shortfall_usd: Decimal | None
    opening_slippage_usd: Decimal | None
    completing_slippage_usd: Decimal | None
    fee_slippage_usd: Decimal | None
    unwinding_usd: Decimal | None
    unfilled_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class OrderStatistics:
    """One row per (mode, environment, venue, purpose). Slippage is against the plan; None for sales."""

    mode: str
    environment: str
    venue: str
    purpose: str
    orders: int
    sent: int
    filled: int
    ordered_contracts: Decimal
    filled_contracts: Decimal
    fill_ratio: Decimal | None
    slippage_usd: Decimal | None
    answers: int
    answer_p50_s: Decimal | None
    answer_p95_s: Decimal | None
    unknowns: int
    unproven: int
    proofs: int
    proof_p50_s: Decimal | None
    proof_p95_s: Decimal | None
    proof_max_s: Decimal | None


@dataclass(frozen=True, slots=True)
class FillStatistics:
    """One row per (mode, environment, venue): fills, their confirmation by the venue's times, and their fees."""

    mode: str
    environment: str
    venue: str
    fills: int
    provisional: int
    failed: int
    oldest_provisional_at: datetime | None
    confirmations: int
    confirmed_after_p50_s: Decimal | None
    confirmed_after_p95_s: Decimal | None
    confirmed_after_max_s: Decimal | None
    fees_compared: int
    predicted_fee_usd: Decimal
    charged_fee_usd: Decimal
    fee_difference_usd: Decimal


@dataclass(frozen=True, slots=True)
class MarkoutStatistics:
    """One row per (mode, environment, venue, purpose, horizon): dollars per contract, above 0: our way."""

    mode: str
    environment: str
    venue: str
    purpose: str
    horizon_s: Decimal
    fills: int
    observations: int
    markout: Decimal | None
    share_against: Decimal | None


@dataclass(frozen=True, slots=True)
class VenueCapital:
    """One row per (mode, environment, venue): capital tied up in the period, and what lay idle there at `read_at`."""

    mode: str
    environment: str
    venue: str
    capital_usd_days: Decimal | None
    tied_up_usd: Decimal | None
    cash_usd: Decimal | None
    reserved_usd: Decimal | None
    idle_usd: Decimal | None
    idle_share: Decimal | None
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """The statistics of one period. `newest_signal_at`, `newest_order_at`: of what there is, whenever it was."""

    period: Period
    newest_signal_at: datetime | None
    newest_order_at: datetime | None
    funnel: tuple[FunnelReason, ...]
    executions: tuple[ExecutionStatistics, ...]
    orders: tuple[OrderStatistics, ...]
    fills: tuple[FillStatistics, ...]
    markouts: tuple[MarkoutStatistics, ...]
    capital: tuple[VenueCapital, ...]


_AGES = "SELECT mart, newest_at FROM analytics.freshness WHERE mart IN ('signal_funnel', 'order_quality')"

_FUNNEL = """
SELECT environment, stage, reason, signals, profit_usd, missed_usd FROM analytics.funnel_by_reason
WHERE period = %(period)s ORDER BY missed_usd DESC, signals DESC, stage, reason
"""

_EXECUTIONS = """
SELECT mode, environment, executions, bought, hedged, escalated, unwound, leg_gaps, leg_gap_p50_s, leg_gap_p95_s,
    leg_gap_p99_s, exposures, exposure_usd_s, exposure_p50_usd_s, exposure_p95_usd_s, exposure_max_usd_s,
    peak_exposure_usd, unwinds, unwound_contracts, unwind_cost_usd, compared, planned_profit_usd, locked_pnl_usd,
    shortfall_usd, opening_slippage_usd, completing_slippage_usd, fee_slippage_usd, unwinding_usd, unfilled_usd
FROM analytics.executions_by_period WHERE period = %(period)s ORDER BY mode, environment
"""

_ORDERS = """
SELECT mode, environment, venue, purpose, orders, sent, filled, ordered_contracts, filled_contracts, fill_ratio,
    slippage_usd, answers, answer_p50_s, answer_p95_s, unknowns, unproven, proofs, proof_p50_s, proof_p95_s,
    proof_max_s
FROM analytics.orders_by_purpose WHERE period = %(period)s
ORDER BY mode, environment, venue, array_position(ARRAY['open', 'complete', 'unwind', 'flatten'], purpose)
"""

_FILLS = """
SELECT mode, environment, venue, fills, provisional, failed, oldest_provisional_at, confirmations,
    confirmed_after_p50_s, confirmed_after_p95_s, confirmed_after_max_s, fees_compared, predicted_fee_usd,
    charged_fee_usd, fee_difference_usd
FROM analytics.fills_by_venue WHERE period = %(period)s ORDER BY mode, environment, venue
"""

_MARKOUTS = """
SELECT mode, environment, venue, purpose, horizon_s, fills, observations, markout, share_against
FROM analytics.markouts WHERE period = %(period)s
ORDER BY mode, environment, venue, array_position(ARRAY['open', 'complete', 'unwind', 'flatten'], purpose), horizon_s
"""

_CAPITAL = """
SELECT mode, environment, venue, capital_usd_days, tied_up_usd, cash_usd, reserved_usd, idle_usd, idle_share, read_at
FROM analytics.capital_by_venue WHERE period = %(period)s ORDER BY mode, environment, venue
"""


def load_execution_report(connection: Connection, period: Period = "day") -> ExecutionReport:
    """Return the statistics of a period that ends now."""
    params = {"period": period}
    newest = {row["mart"]: row["newest_at"] for row in connection.execute(_AGES)}
    return ExecutionReport(
        period=period,
        newest_signal_at=newest.get("signal_funnel"),
        newest_order_at=newest.get("order_quality"),
        funnel=tuple(fetch(connection, FunnelReason, _FUNNEL, params)),
        executions=tuple(fetch(connection, ExecutionStatistics, _EXECUTIONS, params)),
        orders=tuple(fetch(connection, OrderStatistics, _ORDERS, params)),
        fills=tuple(fetch(connection, FillStatistics, _FILLS, params)),
        markouts=tuple(fetch(connection, MarkoutStatistics, _MARKOUTS, params)),
        capital=tuple(fetch(connection, VenueCapital, _CAPITAL, params)),
    )
