"""In what the venues differ, as facts that decisions and bookings ask for instead of asking which venue it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from streams.market.identity import Venue


@dataclass(frozen=True, slots=True)
class VenueTraits:
    """What holds at one venue.

    Attributes:
        buys_spend_dollars: A buy that takes what is there is given in dollars, so contracts follow from its fills.
        fills_are_provisional: A match may still fail; it is final once its transaction is confirmed.
        pays_matched_early: YES and NO of one market that an account holds together pay their dollar at once.
        pays_on_redemption: A market's result does not move cash by itself; the payout arrives with a redemption.
        rounds_payouts: What a market pays an account is rounded down to a step that a setting states; elsewhere it is
            exact.
    """

    buys_spend_dollars: bool
    fills_are_provisional: bool
    pays_matched_early: bool
    pays_on_redemption: bool
    rounds_payouts: bool


TRAITS: Mapping[Venue, VenueTraits] = MappingProxyType(
    {
        Venue.KALSHI: VenueTraits(
            buys_spend_dollars=False,
            fills_are_provisional=False,
            pays_matched_early=True,
            pays_on_redemption=False,
            rounds_payouts=True,
        ),
        Venue.POLYMARKET: VenueTraits(
            buys_spend_dollars=True,
            fills_are_provisional=True,
            pays_matched_early=False,
            pays_on_redemption=True,
            rounds_payouts=False,
        ),
    }
)
"""The traits of each venue (sources: the venues' papers as `docs/venues.md` tells them)."""
