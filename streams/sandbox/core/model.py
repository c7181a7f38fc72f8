"""What the sandbox's parts say to each other: the catalogue of markets, their truth, and market actions.

The catalogue says what is listed and what is true; the flow decides, from the truth and never from any verdict, what
makers and takers do; the exchange carries it out. All three are plain data here, so that each can be tested alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from streams.market.identity import MarketRef, Outcome, Side, Venue


@dataclass(frozen=True, slots=True)
class CatalogueEvent:
    """One event of one venue. `extra` is merged into the event's JSON on the wire."""

    venue: Venue
    event_id: str
    series_id: str
    title: str
    subtitle: str = ""
    category: str = ""
    is_exclusive: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatalogueMarket:
    """One market of one venue, in the terms both venue emulators need.

    Attributes:
        market_id: Kalshi ticker, or Polymarket condition id (0x + 64 hex).
        gamma_id / slug / yes_token / no_token: Polymarket only; empty on Kalshi.
        rules: Kalshi `rules_primary`; Polymarket `description`.
        strike: `{"type", "floor", "cap"}` with decimal strings, or None.
        price_ranges: [(start_e4, end_e4, step_e4)] as in `streams.market.listing.MarketTerms`.
        fee_schedule: Kalshi `{"fee_type", "fee_multiplier"}`, Polymarket `{"rate", "exponent", "taker_only"}` or {}.
        start_price_e4: Where the flow starts, YES terms.
        derived_fields: What the source lacked and was derived.
        extra: Merged into the market's JSON on the wire.
    """

    venue: Venue
    market_id: str
    event_id: str
    series_id: str
    title: str
    rules: str
    close_time: datetime
    open_time: datetime
    subtitle: str = ""
    rules_secondary: str = ""
    yes_means: str = ""
    no_means: str = ""
    outcomes: tuple[str, str] = ("Yes", "No")
    strike: dict[str, str] | None = None
    category: str = ""
    price_ranges: tuple[tuple[int, int, int], ...] = ((0, 10_000, 100),)
    min_size_e6: int = 10_000
    size_step_e6: int = 10_000
    fee_schedule: dict[str, Any] = field(default_factory=dict)
    settle_lag_s: int = 0
    start_price_e4: int = 5_000
    volume_contracts: int = 0
    gamma_id: str = ""
    slug: str = ""
    yes_token: str = ""
    no_token: str = ""
    is_neg_risk: bool = False
    derived_fields: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> MarketRef:
        """The market as (venue, market_id)."""
        return MarketRef(self.venue, self.market_id)


# -- market actions: what the exchange is told to do, in the order given -----------------------------------------------


@dataclass(frozen=True, slots=True)
class ListMarket:
    """A market (and its event, if new) is listed and opens."""

    event: CatalogueEvent
    market: CatalogueMarket


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A simulated participant places an order. `order_key` is the flow's own name for it, for a later `CancelOrder`."""

    market: MarketRef
    account: str
    order_key: str
    side: Side
    price_e4: int
    size_e6: int
    is_immediate: bool = False
    """Take what is there and cancel the rest (a taker), instead of resting (a maker)."""


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """A simulated participant cancels what is left of an order."""

    market: MarketRef
    account: str
    order_key: str


@dataclass(frozen=True, slots=True)
class CloseMarket:
    """Trading ends; resting orders are cancelled."""

    market: MarketRef


@dataclass(frozen=True, slots=True)
class DetermineMarket:
    """The result is known. `settlement_e4` is what one YES pays: 10,000, 0, or between for void and scalar."""

    market: MarketRef
    settlement_e4: int
    result: Literal["yes", "no", "scalar"]


@dataclass(frozen=True, slots=True)
class SettleMarket:
    """Positions are paid (on Polymarket: become redeemable and are redeemed by the auto-redeemer)."""

    market: MarketRef


@dataclass(frozen=True, slots=True)
class ChangeTick:
    """The price grid changes (Polymarket: 0.01 to 0.001 beyond 0.96 or 0.04)."""

    market: MarketRef
    tick_e4: int


MarketAction = ListMarket | PlaceOrder | CancelOrder | CloseMarket | DetermineMarket | SettleMarket | ChangeTick


@dataclass(frozen=True, slots=True)
class ParticipantFill:
    """What the flow is told back: an order of a simulated participant traded (so that makers fade and refill)."""

    market: MarketRef
    account: str
    order_key: str
    side: Side
    price_e4: int
    size_e6: int
    remaining_e6: int
    counterparty_is_house: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account holds of one market."""

    market: MarketRef
    outcome: Outcome
    contracts_e6: int
