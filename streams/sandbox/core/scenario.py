"""How hard the simulated participants make it for us: three named scenarios, apart from the profile.

A profile says how late and how reliably an exchange acts; its figures are seen or published. How often makers step back
and rivals come first decides what a hedge earns here, and no source backs any figure for it: these are assumptions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from streams.market.errors import ConfigurationError
from streams.sandbox.core.profile import Profile


@dataclass(frozen=True, slots=True)
class Scenario:
    """What makers and rival takers do about us.

    Attributes:
        fade_probability: Chance that makers on the other venue step back when someone from outside has hit a maker.
        move_fade_probability: Chance that they do when the other venue's makers have moved.
        fade_e4: How far they step back, lowest and highest, in 1/10,000 dollar.
        rival_share: Share of dislocations that rival takers take.
    """

    name: str
    fade_probability: Decimal = Decimal(0)
    move_fade_probability: Decimal = Decimal(0)
    fade_e4: tuple[int, int] = (100, 100)
    rival_share: Decimal = Decimal(0)

    def applied(self, profile: Profile) -> Profile:
        """Return the profile with what its participants do in this scenario."""
        return replace(
            profile,
            fades=self.fade_probability > 0 or self.move_fade_probability > 0,
            rival_share=self.rival_share,
        )


CALM = Scenario("calm")
MILD = Scenario("mild", Decimal("0.25"), Decimal("0.25"), (100, 100), Decimal("0.25"))
HARSH = Scenario("harsh", Decimal("0.55"), Decimal("0.5"), (100, 300), Decimal("0.5"))
SCENARIOS = (CALM, MILD, HARSH)


def named_scenario(name: str) -> Scenario:
    """Return a scenario.

    Raises:
        ConfigurationError: If there is no scenario of that name.
    """
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    known = ", ".join(scenario.name for scenario in SCENARIOS)
    raise ConfigurationError(f"There is no sandbox scenario {name!r}; known are {known}.")


def scenario_state(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON values."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(scenario).items()}
