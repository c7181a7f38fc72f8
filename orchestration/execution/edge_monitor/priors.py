"""The settings' priors of stress outcomes and of legs, for whoever plans and for whoever watches."""

from __future__ import annotations

from orchestration.opportunities.leg_risk import LegPriors
from orchestration.opportunities.worth import StressPriors
from streams.market.units import SIZE_SCALE
from streams.settings import Settings


def stress_priors(settings: Settings) -> StressPriors:
    """Return how likely the stress outcomes are."""
    return StressPriors(
        settings.stress_void_probability,
        settings.stress_differ_probability,
        settings.stress_tie_probability,
        settings.stress_factors,
    )


def leg_priors(settings: Settings) -> LegPriors:
    """Return what is assumed of a leg until orders of our own on its market have shown it."""
    return LegPriors(
        settings.leg_fill_share,
        settings.leg_fade_share,
        settings.leg_fade_usd,
        settings.leg_prior_contracts * SIZE_SCALE,
    )
