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
        Decimal("7"), ge=0, le=3_650, description="Most days between the settlements of a hedge's markets."
    )
    reconciled_max_age_s: float = Field(
        300.0, gt=0, le=86_400, description="Each account must have agreed with our books within this time (seconds)."
    )
    stress_loss_usd: Amount = Field(
        Decimal("1500"),
        gt=0,
        le=100_000_000,
        description="Most that all open hedges of one source of resolution may lose together if it settles apart.",
    )
