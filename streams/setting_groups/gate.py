"""What the checks of the gate compare with, besides the operator's limits. Part of `streams.settings`."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field
from pydantic_settings import BaseSettings

from streams.setting_types import Amount


class GateChecks(BaseSettings):
    """The checks of the gate."""

    # -- checks of the gate -----------------------------------------------------------------------------------------
    collar_usd: Amount = Field(
        Decimal("0.10"), ge=0, le=1, description="Most a limit price may be above the best offer of its leg's book."
    )
    partial_fill_usd: Amount = Field(
        Decimal("2"),
        ge=0,
        le=100_000,
        description="Most that may be stuck after a partial fill which minimum sizes let nobody complete or sell.",
    )
    exit_depth_share: Amount = Field(
        Decimal("0.25"),
        ge=0,
        le=1,
        description="Part of a hedge that each leg's bids must take, down to CROSSBOOK_FLATTEN_SLIPPAGE_USD below the"
        " best.",
    )
    book_skew_max_ms: int = Field(
        1000, ge=1, le=60_000, description="Longest time within which the books of all legs were read (ms)."
    )
    settlement_gap_days: Amount = Field(
        Decimal("30"), ge=0, le=3_650, description="Most days between the settlements of a hedge's markets."
    )
    reconciled_max_age_s: float = Field(
        300.0, gt=0, le=86_400, description="Each account must have agreed with our books within this time (seconds)."
    )
    venue_state_max_age_s: float = Field(
        60.0, gt=0, le=3_600, description="Oldest reading of what a venue says of itself and of our account (seconds)."
    )
    fee_schedule_max_age_s: float = Field(
        60.0, gt=0, le=3_600, description="Oldest reading of a market, its status and its fee schedule (seconds)."
    )
    game_start_margin_s: int = Field(
        60, ge=0, le=86_400, description="Nothing opens this near the start of the game a market is about (seconds)."
    )
    taker_delay_max_ms: int = Field(
        5000, ge=0, le=60_000, description="Longest that a market may hold back orders that take (ms)."
    )
    clock_skew_max_ms: int = Field(
        2000, ge=0, le=60_000, description="Furthest that our clock may be from a venue's (ms)."
    )
    key_margin_s: int = Field(
        3600, ge=0, le=31_536_000, description="Nothing opens when a venue lets our key end this soon (seconds)."
    )
    stress_loss_usd: Amount = Field(
        Decimal("1500"),
        gt=0,
        le=100_000_000,
        description="Most that all open hedges of one source of resolution may lose together if it settles apart.",
    )
