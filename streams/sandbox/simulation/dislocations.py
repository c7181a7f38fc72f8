"""How large a gap between the venues must be to leave a given edge after both venues' fees."""

from __future__ import annotations

import math
from random import Random

from streams.market.identity import Venue
from streams.sandbox.core.model import CatalogueMarket
from streams.sandbox.simulation.parameters import FlowParameters
from streams.sandbox.simulation.quoting import Quotes

_KALSHI_TAKER = 0.07
"""Kalshi's taker coefficient, times the series' multiplier; source: fee schedule of 2026-07-07."""


def fee_share(market: CatalogueMarket, price: float) -> float:
    """Taker fee per contract in dollars at a price: only an estimate for the makers, never a booking."""
    schedule = market.fee_schedule
    if market.venue is Venue.KALSHI:
        rate = _KALSHI_TAKER * float(schedule.get("fee_multiplier", "1"))
    else:
        rate = float(schedule.get("rate", "0"))
    return rate * price * (1.0 - price)


def gap_for_edge(
    edge: float, near: tuple[Quotes, CatalogueMarket], far: tuple[Quotes, CatalogueMarket], rng: Random
) -> float | None:
    """The displacement of `near`'s quotes that leaves `edge` dollars per contract between it and `far`, or None.

    Its sign is drawn; None when neither sign keeps the quotes between 2 and 98 cents.
    """
    quotes, market = near
    middle = quotes.believed
    spreads = (quotes.half_spread_e4 + far[0].half_spread_e4) / 10_000
    direction = 1.0 if rng.random() < 0.5 else -1.0
    for sign in (direction, -direction):
        gap = edge + spreads + fee_share(far[1], middle)
        gap += fee_share(market, min(max(middle + sign * gap, 0.01), 0.99))
        if 0.02 <= middle + sign * gap <= 0.98:
            return sign * gap
    return None


def catalogue_gap(parameters: FlowParameters, rng: Random) -> tuple[float, float]:
    """(edge in dollars, length in seconds) of a gap of the catalogue's pairs."""
    edge = parameters.gap_edge_e4 / 10_000 * math.exp(parameters.gap_edge_spread * rng.gauss(0.0, 1.0))
    minutes = parameters.gap_minutes * math.exp(parameters.gap_minutes_spread * rng.gauss(0.0, 1.0))
    return min(edge, 0.08), min(minutes, 30.0) * 60.0


def mean_gap_s(parameters: FlowParameters) -> float:
    """Mean length of such a gap in seconds."""
    return parameters.gap_minutes * 60.0 * math.exp(parameters.gap_minutes_spread**2 / 2.0)


def short_gap(parameters: FlowParameters, rng: Random) -> tuple[float, float]:
    """(edge in dollars, length in seconds) of a gap of the short series."""
    return rng.uniform(*parameters.short_gap_edge_e4) / 10_000, rng.uniform(*parameters.short_gap_s)
