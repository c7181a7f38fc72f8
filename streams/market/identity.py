"""Who is meant: venues, environments, sides and market references."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple


class Venue(StrEnum):
    """An exchange."""

    KALSHI = "kalshi"
    POLYMARKET = "polymarket"


Environment = Literal["sandbox", "demo", "live"]
"""Which exchanges a database, decision, order or ledger row belongs to (`CROSSBOOK_VENUES`)."""

Outcome = Literal["yes", "no"]
"""A side of a market that can pay one dollar."""

Side = Literal["bid", "ask"]
"""A side of a book, always in YES terms."""


def other_outcome(outcome: Outcome) -> Outcome:
    """Return the outcome that pays when `outcome` does not."""
    return "no" if outcome == "yes" else "yes"


def market_key(venue: str, market_id: str) -> str:
    """Return a market's name over all venues, "venue:market_id", as groups, legs, leases and locks write it."""
    return f"{venue}:{market_id}"


class MarketRef(NamedTuple):
    """A market by its canonical id: the Kalshi ticker or the Polymarket condition id."""

    venue: Venue
    market_id: str

    def __str__(self) -> str:
        return self.key

    @classmethod
    def from_key(cls, key: str) -> MarketRef:
        """Return the market that "venue:market_id" names.

        Raises:
            ValueError: If the part before the first colon is no venue.
        """
        venue, _, market_id = key.partition(":")
        return cls(Venue(venue), market_id)

    @property
    def key(self) -> str:
        """The name "venue:market_id"."""
        return market_key(self.venue, self.market_id)
