"""What one venue's exchange does and the other's does not, by trait: whoever acts by a rule asks for the trait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.market.identity import Venue


@dataclass(frozen=True, slots=True)
class VenueRules:
    """The rules in which the two exchanges differ.

    Attributes:
        has_shards: Whether an account's cash is spread over several exchange shards.
        pairs_become_cash: Whether a YES and a NO of one account turn into a dollar by themselves.
        returns_collateral: Whether accounts can have collateral returned across the markets of an event.
        settles_on_chain: Whether a trade is settled after the match, by a transaction that can fail.
        takes_any_size: Whether a book takes any size: dollars spent buy millionths of a contract, and the least size
            binds only orders that may rest, which the order form checks.
        refines_grid: Whether the price grid becomes finer by itself near an end.
    """

    has_shards: bool = False
    pairs_become_cash: bool = False
    returns_collateral: bool = False
    settles_on_chain: bool = False
    takes_any_size: bool = False
    refines_grid: bool = False


RULES: Mapping[Venue, VenueRules] = {
    Venue.KALSHI: VenueRules(has_shards=True, pairs_become_cash=True, returns_collateral=True),
    Venue.POLYMARKET: VenueRules(settles_on_chain=True, takes_any_size=True, refines_grid=True),
}
