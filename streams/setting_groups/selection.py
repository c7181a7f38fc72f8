"""Settings of which trades are taken: what opens a signal, and what a hedge must bring for its capital's days."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from streams.documents import plain_decimal
from streams.setting_types import Amount

_MOST_FACTOR = 1_000


def read_factors(text: str) -> dict[str, Decimal]:
    """Read "category=factor" entries with commas between; categories in lower case.

    Raises:
        ValueError: If one of them is none, or its factor is no number from 0 to 1000.
    """
    factors: dict[str, Decimal] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        category, sign, number = entry.partition("=")
        factor = plain_decimal(number.strip()) if sign and category.strip() else None
        if factor is None or not 0 <= factor <= _MOST_FACTOR:
            raise ValueError(f"it needs category=factor with a factor from 0 to {_MOST_FACTOR}, not {entry[:40]!r}")
        factors[category.strip().lower()] = factor
    return factors


def _factors(text: str) -> str:
    read_factors(text)
    return text


class Selection(BaseSettings):
    """What opens a signal, and what a hedge must be worth."""

    # -- signals ----------------------------------------------------------------------------------------------------
    signal_entry_edge_usd: Amount = Field(Decimal("0.005"), ge=0, le=1, description="Net edge per contract that opens.")
    signal_exit_edge_usd: Amount = Field(
        Decimal("0.001"), ge=-1, le=1, description="Net edge per contract below which it closes."
    )
    signal_min_profit_usd: Amount = Field(
        Decimal("0.05"), ge=0, le=1_000_000, description="Least locked profit of a signal."
    )
    signal_min_duration_ms: int = Field(
        300, ge=0, le=3_600_000, description="The edge must hold this long before a signal opens."
    )
    feed_lag_max_ms: int = Field(1_000, ge=0, le=3_600_000, description="By then a book shows a fill of ours.")
    signal_disarm_ms: int = Field(2_000, ge=0, le=3_600_000, description="The edge must be gone this long to close.")

    # -- selection --------------------------------------------------------------------------------------------------
    min_annualised_return: Amount = Field(
        Decimal("0.10"), ge=0, le=100, description="Least a hedge must be expected to bring a year (0.1: ten percent)."
    )
    capital_days_max: Amount = Field(
        Decimal("180"), gt=0, le=36_500, description="Longest that the capital of a hedge may be tied up (days)."
    )
    long_capital_days: Amount | None = Field(
        None,
        ge=0,
        le=36_500,
        description="Capital that is back later counts as tied up for long (days). Default: 2; in the sandbox, whose "
        "short series pay within minutes, 0.02.",
    )
    long_capital_usd: Amount = Field(
        Decimal("1000"), gt=0, le=100_000_000, description="Most money in hedges whose capital is tied up for long."
    )
    max_legs: int | None = Field(None, ge=2, le=6, description="Most legs of a hedge. Default: 2; in the sandbox 3.")
    last_contract_edge_usd: Amount = Field(
        Decimal("0.01"),
        ge=0,
        le=1,
        description="Net edge that the last contracts of an order must have: what one fade costs.",
    )
    legs_at_once: bool = Field(
        True, description="Whether the legs of a hedge may be sent at once, where that is expected to cost less."
    )
    leg_fill_share: Amount = Field(
        Decimal("0.9"),
        gt=0,
        le=1,
        description="Share of a leg that fills as planned, before orders on its market have shown it (prior).",
    )
    leg_fade_share: Amount = Field(
        Decimal("0.2"),
        ge=0,
        le=1,
        description="Share of that which is gone once another leg was bought first (prior).",
    )
    leg_fade_usd: Amount = Field(
        Decimal("0.01"),
        ge=0,
        le=1,
        description="What a contract that did not fill as planned costs more afterwards (dollars, prior).",
    )
    leg_prior_contracts: int = Field(
        500, ge=1, le=1_000_000, description="Contracts of our own on a market that weigh as much as these priors."
    )
    stress_void_probability: Amount = Field(
        Decimal("0.002"), ge=0, le=1, description="How likely one venue voids a market and pays a half (prior)."
    )
    stress_differ_probability: Amount = Field(
        Decimal("0.001"), ge=0, le=1, description="How likely the venues settle one question apart (prior)."
    )
    stress_tie_probability: Amount = Field(
        Decimal("0.001"), ge=0, le=1, description="How likely all markets of a hedge pay a half (prior)."
    )
    stress_by_category: Annotated[str, AfterValidator(_factors)] = Field(
        "sports=3",
        max_length=1_000,
        description="Factors on these probabilities by category of market, with commas between (sports=3, crypto=0.5).",
    )

    @property
    def stress_factors(self) -> dict[str, Decimal]:
        """What the probabilities of stress outcomes are multiplied by, by category in lower case."""
        return read_factors(self.stress_by_category)
