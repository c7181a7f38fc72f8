"""Bodies of the API's answer on how well trading was executed."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.api.schemas import Amount, Answer


class FunnelReason(Answer):
    """Signals of the period that came to one stage and were ended there by one reason; dollars count once each."""

    environment: str
    stage: str = Field(
        description="open, passed, refused, unfilled, unwound, escalated, under_way or hedged: how far they came."
    )
    reason: str
    signals: int
    profit_usd: Amount = Field(description="What they would have locked at their peaks.")
    missed_usd: Amount = Field(description="The part of it of which no hedge came.")


class ExecutionStatistics(Answer):
    """Executions that began in the period. Null: under 10 observations (p95 20, p99 100), or nothing to sum."""

    mode: str
    environment: str
    executions: int
    bought: int
    hedged: int
    escalated: int
    unwound: int
    leg_gaps: int
    leg_gap_p50_s: Amount | None
    leg_gap_p95_s: Amount | None
    leg_gap_p99_s: Amount | None
    exposures: int
    exposure_usd_s: Amount | None
    exposure_p50_usd_s: Amount | None
    exposure_p95_usd_s: Amount | None
    exposure_max_usd_s: Amount | None
    peak_exposure_usd: Amount | None
    unwinds: int
    unwound_contracts: Amount
    unwind_cost_usd: Amount
    compared: int = Field(description="Those that have ended and whose plan is kept: the fields below are of them.")
    planned_profit_usd: Amount | None
    locked_pnl_usd: Amount | None
    shortfall_usd: Amount | None = Field(description="Planned less locked; the fields below add up to it.")
    opening_slippage_usd: Amount | None
    completing_slippage_usd: Amount | None
    fee_slippage_usd: Amount | None
    unwinding_usd: Amount | None
    unfilled_usd: Amount | None


class OrderStatistics(Answer):
    """Orders of one venue and purpose of the period's executions. Null: under 10 observations (p95 20)."""

    mode: str
    environment: str
    venue: str
    purpose: str
    orders: int
    sent: int
    filled: int
    ordered_contracts: Amount
    filled_contracts: Amount
    fill_ratio: Amount | None
    slippage_usd: Amount | None = Field(description="Paid beyond the plan's prices for what filled; null for sales.")
    answers: int
    answer_p50_s: Amount | None
    answer_p95_s: Amount | None
    unknowns: int = Field(description="Orders whose answer was no proof of their end.")
    unproven: int = Field(description="Those without proof now.")
    proofs: int
    proof_p50_s: Amount | None
    proof_p95_s: Amount | None
    proof_max_s: Amount | None


class FillStatistics(Answer):
    """Fills of one venue: how long a match took to be confirmed (null: under 10 observations, p95 20), and fees."""

    mode: str
    environment: str
    venue: str
    fills: int
    provisional: int
    failed: int
    oldest_provisional_at: datetime | None
    confirmations: int
    confirmed_after_p50_s: Amount | None
    confirmed_after_p95_s: Amount | None
    confirmed_after_max_s: Amount | None
    fees_compared: int
    predicted_fee_usd: Amount
    charged_fee_usd: Amount
    fee_difference_usd: Amount


class MarkoutStatistics(Answer):
    """How fair prices moved after fills, dollars per contract, above 0 our way. Null: under 10 observations."""

    mode: str
    environment: str
    venue: str
    purpose: str
    horizon_s: Amount
    fills: int
    observations: int
    markout: Amount | None
    share_against: Amount | None


class VenueCapital(Answer):
    """Capital tied up at one venue in the period, and what lay idle there when its cash was read."""

    mode: str
    environment: str
    venue: str
    capital_usd_days: Amount | None
    tied_up_usd: Amount | None
    cash_usd: Amount | None
    reserved_usd: Amount | None
    idle_usd: Amount | None
    idle_share: Amount | None
    read_at: datetime | None


class ExecutionReport(Answer):
    """How well trading was executed in one period that ends now."""

    period: str
    newest_signal_at: datetime | None
    newest_order_at: datetime | None
    funnel: list[FunnelReason]
    executions: list[ExecutionStatistics]
    orders: list[OrderStatistics]
    fills: list[FillStatistics]
    markouts: list[MarkoutStatistics]
    capital: list[VenueCapital]
