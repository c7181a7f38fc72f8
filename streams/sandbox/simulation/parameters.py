"""Every figure of the seeded flow, with unit and reason. `docs/sandbox.md` shows what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

from streams.market.identity import Venue
from streams.sandbox.core.profile import Profile
from streams.sandbox.core.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Coin:
    """One asset of the short series.

    Attributes:
        price: Dollars at the start.
        sd_per_sqrt_s: Dollars the price moves in a second (one standard deviation).
        strike_step: Dollars between two strikes.
        strikes: Markets per event.
        life_min: Minutes from listing to close.
        kalshi_fee: The series' fee multiplier on Kalshi (several of its real crypto series are free of fees).
    """

    code: str
    name: str
    price: float
    sd_per_sqrt_s: float
    strike_step: int
    strikes: int
    life_min: int
    kalshi_fee: str


COINS = (
    Coin("BTC", "Bitcoin", 92_400.0, 5.2, 50, 3, 3, "0"),
    Coin("ETH", "Ethereum", 3_060.0, 0.24, 2, 2, 2, "0"),
    Coin("SOL", "Solana", 142.0, 0.014, 1, 1, 1, "1"),
)


@dataclass(frozen=True, slots=True)
class FlowParameters:
    """Units are in the names: `_e4` is 1/10,000 dollar, `_s` seconds, `_ms` milliseconds, probabilities are 0 to 1."""

    # -- latent probabilities
    belief_sd_per_sqrt_min: float = 0.02
    """Random walk of a fact, in logits per square root of a minute (scalars: 0.6 of it in standard deviations)."""
    belief_reversion_h: float = 6.0
    """Hours in which a fact's displacement from its start decays by e, so that a catalogue stays alive for days."""
    jumps_per_h: float = 0.35
    """News per fact and hour."""
    jump_sd: float = 0.3
    """Size of a piece of news in logits."""
    # -- how each venue follows
    kalshi_lag_ms: float = 500.0
    polymarket_lag_ms: float = 1_100.0
    """Time in which a venue's makers take in 63 percent of a change."""
    noise_e4: float = 19.0
    """Median over markets of the standard deviation of a venue's own error."""
    noise_spread: float = 0.8
    """Standard deviation of the logarithm of that figure over markets: some pairs are always looser than others."""
    noise_memory_s: float = 150.0
    """Time in which such an error is forgotten."""
    # -- makers
    deltas_per_s: float = 1_600.0
    """Level changes per second on all books together, which all rates below are scaled to."""
    acts_per_refresh: float = 4.4
    """What one refresh of a book costs on average (measured), for that scaling."""
    levels: int = 6
    """Price levels a maker keeps on each side."""
    weight_pair: float = 1.0
    weight_short: float = 4.0
    weight_event: float = 0.15
    weight_other: float = 0.05
    """Relative speed of markets that trade on both venues, of the short series, of their events, and of all others."""
    gap_speed: float = 2.0
    """How much faster a book is refreshed while its venue lags behind the other."""
    size_contracts: float = 160.0
    """Median size of the best level."""
    size_spread: float = 0.8
    """Standard deviation of the logarithm of a size."""
    thin_probability: float = 0.12
    """Chance that a refreshed best level shows only a few contracts."""
    takers_per_s: float = 10.0
    """Small marketable orders on all books together."""
    # -- dislocations between the venues
    gap_share: float = 0.108
    """Share of time a true pair spends in a dislocation that can be traded after fees."""
    gap_minutes: float = 5.6
    """Median length as drawn; noise and takers cut some short, so that what is seen has the recorded median of 2.4
    minutes (2,430 paper episodes, 2026-06-09..12)."""
    gap_minutes_spread: float = 0.75
    """Standard deviation of the logarithm of that length."""
    gap_edge_e4: float = 115.0
    """Median net edge as drawn; its peak, noise added, has the recorded median of 1.5 cents (same source)."""
    gap_edge_spread: float = 0.6
    """Standard deviation of the logarithm of that edge."""
    rival_probability: float = 0.6
    """Chance that a rival takes the stale quotes at the end of a dislocation; else the makers move by themselves."""
    fade_probability: float = 0.25
    """Chance that makers on the other venue react when someone from outside has hit a maker; set by the scenario."""
    fade_delay_ms: tuple[int, int] = (5, 350)
    """Time until they do: sometimes before the second leg arrives, mostly after it."""
    fade_e4: tuple[int, int] = (100, 100)
    """How far they step back; set by the scenario."""
    fade_s: tuple[float, float] = (4.0, 20.0)
    """How long they stay away."""
    fade_residue: float = 0.5
    """Chance that a few contracts are left standing at the old price: enough for a partial fill only."""
    flicker_probability: float = 0.06
    """Chance at each refresh of a displaced book that its makers pull the quotes others want for a moment."""
    flicker_s: tuple[float, float] = (0.4, 2.5)
    """How long that moment is."""
    # -- rival takers, brief dislocations and watchful makers
    rival_share: float = 0.0
    """Share of dislocations that a rival taker takes soon after they open; set by the scenario."""
    rival_reaction_ms: float = 150.0
    """How soon (median); set by the profile."""
    rival_reaction_spread: float = 0.25
    """Standard deviation of the logarithm of that time."""
    brief_gaps_per_h: float = 0.0
    """Gaps of the brief kind per true pair and hour: one order left behind by the makers who moved."""
    brief_gap_s: tuple[float, float] = (2.0, 9.0)
    """Their length, unless somebody takes them."""
    brief_gap_contracts: float = 15.0
    """Their size (median)."""
    brief_gap_edge_e4: tuple[float, float] = (80.0, 320.0)
    """Their net edge."""
    move_fade_e4: float = 100.0
    """A venue's makers moving by so much is news to those of the same contract on the other venue."""
    move_fade_probability: float = 0.25
    """Chance that these step back then, in the time and way of other fades; set by the scenario."""
    ladder_violations_per_min: float = 1.0
    """How often a Kalshi ladder offers a higher strike dearer than a lower one."""
    ladder_violation_s: tuple[float, float] = (20.0, 75.0)
    """How long it does so."""
    # -- short series
    short_caution: float = 4.0
    """How much wilder than it is makers take a coin to be: keeps prices away from 0 and 1 and from jumping with it."""
    short_lag_share: float = 0.4
    """The venues' lags in the short series, as a share of those above: its makers are machines."""
    short_gaps_per_life: float = 1.6
    """Mean number of tradable dislocations in the life of a pair of the short series."""
    short_gap_s: tuple[float, float] = (20.0, 60.0)
    """Their length."""
    short_gap_edge_e4: tuple[float, float] = (120.0, 380.0)
    """Net edge after both venues' fees."""
    short_void_probability: float = 0.04
    """Chance that an index minute has no value: Kalshi settles at the last fair price, Polymarket at one half."""
    kalshi_short_lag_s: tuple[float, float] = (2.0, 6.0)
    polymarket_short_lag_s: tuple[float, float] = (12.0, 30.0)
    """Close to determination in the short series."""
    kalshi_lag_s: tuple[float, float] = (20.0, 90.0)
    polymarket_lag_s: tuple[float, float] = (60.0, 180.0)
    """Close to determination elsewhere."""
    kalshi_pay_s: tuple[float, float] = (1.0, 3.0)
    polymarket_pay_s: tuple[float, float] = (3.0, 9.0)
    """Determination to payment (Polymarket: the automatic redemption)."""
    opening_s: float = 3.0
    """Time over which the first quotes appear (longer in proportion above 1,000 markets)."""
    fades: bool = False
    """Whether makers step back on the other venue's move; set by the scenario."""
    coins: tuple[Coin, ...] = COINS
    """Assets of the short series; none: no short series."""

    def as_rows(self) -> list[tuple[str, str]]:
        """(name, value) of every figure, for the documentation."""
        return [
            (item.name, _shown(getattr(self, item.name)))
            for item in fields(self)
            if item.name not in ("coins", "fades")
        ]

    def determination_s(self, venue: Venue, *, is_short: bool) -> tuple[float, float]:
        """Close to determination of a market: shortest and longest, seconds."""
        if venue is Venue.KALSHI:
            return self.kalshi_short_lag_s if is_short else self.kalshi_lag_s
        return self.polymarket_short_lag_s if is_short else self.polymarket_lag_s

    def payment_s(self, venue: Venue) -> tuple[float, float]:
        """Determination of a market to its payment: shortest and longest, seconds."""
        return self.kalshi_pay_s if venue is Venue.KALSHI else self.polymarket_pay_s

    def in_scenario(self, scenario: Scenario) -> FlowParameters:
        """Return these parameters with how often and how far makers step back in a scenario.

        That they do at all, and the share of rival takers, are fields of the profile: `under`.
        """
        return replace(
            self,
            fade_probability=float(scenario.fade_probability),
            move_fade_probability=float(scenario.move_fade_probability),
            fade_e4=scenario.fade_e4,
        )

    def under(self, profile: Profile) -> FlowParameters:
        """Return these parameters with what a profile says about makers and rival takers."""
        return replace(
            self,
            fades=profile.fades,
            rival_share=float(profile.rival_share),
            rival_reaction_ms=float(profile.rival_reaction_ms),
        )


REALISTIC_FLOW: dict[str, Any] = {"brief_gaps_per_h": 4.0, "gap_edge_e4": 200.0, "gap_edge_spread": 0.42}
"""What the profile `realistic` changes: brief dislocations too, and long ones of 1 to 4 cents (5 to 95 percent)."""
_NOT_HERE = frozenset({"coins", "fades", "rival_share", "rival_reaction_ms"})


def adjusted_parameters(parameters: FlowParameters, changes: Mapping[str, Any]) -> FlowParameters:
    """Return the parameters with some figures changed; a span is a [low, high] pair.

    Raises:
        ValueError: If there is no such figure or it cannot have that value; the message names it.
    """
    kinds = get_type_hints(FlowParameters)
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in kinds or name in _NOT_HERE:
            raise ValueError(f"there is no flow parameter {name!r}")
        given = value if isinstance(value, list) else [value]
        is_span = kinds[name] not in (int, float)
        if len(given) != 1 + is_span or not all(_is_figure(item) for item in given):
            raise ValueError(f"{name} cannot be {value!r}")
        values[name] = tuple(given) if is_span else kinds[name](value)
    return replace(parameters, **values)


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " to ".join(f"{item:g}" for item in value)
    return f"{value:g}"
