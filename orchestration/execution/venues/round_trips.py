"""How long a venue takes to answer an order: measured on our own, assumed until there are enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store.orders import round_trips_ms

ASSUMED_ROUND_TRIPS_MS: Mapping[Venue, Sequence[int]] = {
    Venue.KALSHI: (20, 35, 50, 65, 80),
    Venue.POLYMARKET: (60, 107, 155, 202, 250),
}
"""What counts until enough orders of our own were measured: an even spread over what was reported."""
_MEASURED = 200
_FEWEST_MEASURED = 20


def sampled_round_trips_ms(connection: Connection, venue: Venue) -> Sequence[int]:
    """Return times from sending an order to its answer, milliseconds, without what its market held it back."""
    measured = round_trips_ms(connection, venue, _MEASURED)
    return measured if len(measured) >= _FEWEST_MEASURED else ASSUMED_ROUND_TRIPS_MS[venue]
