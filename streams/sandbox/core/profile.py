"""How fast, how late and how reliably a sandbox exchange acts: every figure that makes it more than an instant book.

`ZERO` adds nothing to the work itself. `REALISTIC` has the figures the venues were seen with; each is a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_type_hints

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue

Span = tuple[int, int]
"""Lowest and highest of an even distribution, milliseconds."""
Lag = tuple[int, int]
"""Median and 99th percentile of a log-normal distribution, milliseconds; (0, 0) is no lag."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Times and chances of both sandbox exchanges.

    Attributes:
        kalshi_ack_ms: Time until an order is acknowledged; half passes before it is matched.
        polymarket_ack_ms: The same, without the market's own taker delay.
        taker_delay_ms: Polymarket's delay of marketable orders where a market has it (`itode`); 50, 150 and 250 are
            all reported, none confirmed.
        feed_lag_ms: Time between a change and its frame; frames of a socket never overtake each other.
        feed_lag_holds_ms: How long a socket's lag stays the same, on average.
        read_lag_ms: How far portfolio and order reads lie behind writes.
        list_cache_ms: Age up to which Kalshi's `/markets` and `/series` are served from a cache.
        gamma_cache_ms: Age up to which Gamma is served from a cache; that it is cached is known, for how long is not.
        balance_cache_ms: Age up to which Polymarket's order entry believes a wallet's balance it read before.
        settlement_ms: Match to confirmation on Polymarket; it is mined after a third of it.
        failed_share: Share of Polymarket's matches that fail to settle.
        failed_after_move: Factor on that share for each cent the price has moved in the taker's favour meanwhile.
        sellable: From when on bought tokens can be sold.
        fades: Whether makers step back on the other venue's move and after a first fill of ours; set by the scenario.
        rival_share: Share of dislocations that rival takers take; set by the scenario.
        rival_reaction_ms: How fast they are.
        clock_window_ms: How far a Kalshi signature's time may be off; known to lie between 5 and 30 s.
        kalshi_tier: Rate-limit tier of every Kalshi key, None for no limits.
        polymarket_tier: Rate-limit tier of every Polymarket signer, None for no limits.
    """

    name: str = "zero"
    kalshi_ack_ms: Span = (0, 0)
    polymarket_ack_ms: Span = (0, 0)
    taker_delay_ms: int = 0
    feed_lag_ms: Lag = (0, 0)
    feed_lag_holds_ms: int = 1_000
    read_lag_ms: int = 0
    list_cache_ms: int = 0
    gamma_cache_ms: int = 0
    balance_cache_ms: int = 0
    settlement_ms: Lag = (0, 0)
    failed_share: Decimal = Decimal(0)
    failed_after_move: Decimal = Decimal(0)
    sellable: Literal["matched", "mined"] = "matched"
    fades: bool = False
    rival_share: Decimal = Decimal(0)
    rival_reaction_ms: int = 150
    clock_window_ms: int = 10_000
    kalshi_tier: str | None = None
    polymarket_tier: str | None = None

    def ack_ms(self, venue: Venue) -> Span:
        """Time until a venue acknowledges an order."""
        return self.kalshi_ack_ms if venue is Venue.KALSHI else self.polymarket_ack_ms


ZERO = Profile()
REALISTIC = replace(
    ZERO,
    name="realistic",
    kalshi_ack_ms=(20, 80),
    polymarket_ack_ms=(60, 250),
    taker_delay_ms=150,
    feed_lag_ms=(100, 600),
    read_lag_ms=400,
    list_cache_ms=15_000,
    gamma_cache_ms=5_000,
    balance_cache_ms=2_000,
    settlement_ms=(4_000, 50_000),
    failed_share=Decimal("0.005"),
    failed_after_move=Decimal(2),
    sellable="mined",
    kalshi_tier="advanced",
    polymarket_tier="standard",
)


def named_profile(name: str) -> Profile:
    """Return a profile.

    Raises:
        ConfigurationError: If there is no profile of that name.
    """
    profiles = {profile.name: profile for profile in (ZERO, REALISTIC)}
    if name not in profiles:
        raise ConfigurationError(f"There is no sandbox profile {name!r}; known are {', '.join(profiles)}.")
    return profiles[name]


def adjusted(profile: Profile, changes: Mapping[str, Any]) -> Profile:
    """Return the profile with some fields changed. Values are JSON: integers, [low, high] pairs, decimal strings.

    Raises:
        ValueError: If there is no such field or it cannot have that value; the message names the field.
    """
    kinds = get_type_hints(Profile)
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in kinds or name == "name":
            raise ValueError(f"there is no behaviour {name!r}")
        try:
            values[name] = _read(kinds[name], value)
        except (ValueError, TypeError, InvalidOperation):
            raise ValueError(f"{name} cannot be {value!r}") from None
    return replace(profile, **values)


def profile_state(profile: Profile) -> dict[str, Any]:
    """The profile as JSON values."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(profile).items()}


def _read(kind: Any, value: Any) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError
        return value
    if kind is int:
        return _count(value)
    if kind is Decimal:
        return _share(value)
    if kind == Span:
        low, high = (_count(item) for item in value)
        if low > high:
            raise ValueError
        return low, high
    if kind == Literal["matched", "mined"]:
        if value not in ("matched", "mined"):
            raise ValueError
        return value
    if value is not None and not isinstance(value, str):
        raise ValueError
    return value


def _share(value: Any) -> Decimal:
    share = Decimal(str(value))
    if not share.is_finite() or share < 0:
        raise ValueError
    return share


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return int(value)
