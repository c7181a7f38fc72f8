"""The settings' priors of stress outcomes, for whoever plans and for whoever watches."""

from __future__ import annotations

from orchestration.opportunities.worth import StressPriors
from streams.settings import Settings


def stress_priors(settings: Settings) -> StressPriors:
    """Return how likely the stress outcomes are."""
    return StressPriors(
        settings.stress_void_probability,
        settings.stress_differ_probability,
        settings.stress_tie_probability,
        settings.stress_factors,
    )
