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
        states_status: It says whether its exchange takes orders, and announces maintenance.
        needs_allowance: What it may take of our cash is an amount that the wallet has allowed.
        blocks_places: It serves some places and accounts only for closing.
        dates_answers: Its answers carry the time of its clock.
        states_keys: It says what a key may do and when its use ends, and by its cash of which kind the account is.
        refuses_takers: It may take resting orders alone for a while, which it says by refusing one that takes.
        exchange_shards: Whose cash is kept apart, each paying for its own markets; empty: one pot pays for all.
    """

    buys_spend_dollars: bool
    fills_are_provisional: bool
    pays_matched_early: bool
    pays_on_redemption: bool
    rounds_payouts: bool
    states_status: bool
    needs_allowance: bool
    blocks_places: bool
    dates_answers: bool
    states_keys: bool
    refuses_takers: bool
    exchange_shards: tuple[int, ...]


TRAITS: Mapping[Venue, VenueTraits] = MappingProxyType(
    {
        Venue.KALSHI: VenueTraits(
            buys_spend_dollars=False,
            fills_are_provisional=False,
            pays_matched_early=True,
            pays_on_redemption=False,
            rounds_payouts=True,
            states_status=True,
            needs_allowance=False,
            blocks_places=False,
            dates_answers=True,
            states_keys=True,
            refuses_takers=False,
            exchange_shards=(0, 1, 2, 3),
        ),
        Venue.POLYMARKET: VenueTraits(
            buys_spend_dollars=True,
            fills_are_provisional=True,
            pays_matched_early=False,
            pays_on_redemption=True,
            rounds_payouts=False,
            states_status=False,
            needs_allowance=True,
            blocks_places=True,
            dates_answers=False,
            states_keys=False,
            refuses_takers=True,
            exchange_shards=(),
        ),
    }
)
"""The traits of each venue (sources: the venues' papers as `docs/venues.md` tells them)."""
