"""The order groups of an account at its venue, one in force per exchange shard, and which of them have tripped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streams.market.identity import Venue
from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class OrderGroupRow:
    """A row of `trading.order_groups` that is in force.

    Attributes:
        shard: The exchange shard it belongs to.
        group_id: The venue's id.
        limit_e6: Contracts that may fill within 15 s.
        tripped_at: When it was seen to have tripped, None while it takes orders.
    """

    shard: int
    group_id: str
    limit_e6: int
    tripped_at: datetime | None
    why: str


def load_order_groups(connection: Connection, mode: str, venue: Venue) -> list[OrderGroupRow]:
    """Return the order groups in force, by exchange shard."""
    return fetch_all(
        connection,
        OrderGroupRow,
        """SELECT shard, group_id, limit_e6, tripped_at, why FROM trading.order_groups
           WHERE mode = %s AND venue = %s AND ended_at IS NULL ORDER BY shard""",
        (mode, venue.value),
    )


def add_order_group(  # noqa: PLR0913 - a row has as many columns
    connection: Connection, mode: str, venue: Venue, shard: int, group_id: str, limit_e6: int, environment: str,
    at: datetime,
) -> bool:  # fmt: skip
    """Write a new order group; False where the shard has one by now."""
    cursor = connection.execute(
        """INSERT INTO trading.order_groups (mode, venue, shard, group_id, limit_e6, environment, made_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (mode, venue, shard) WHERE ended_at IS NULL DO NOTHING""",
        (mode, venue.value, shard, group_id, limit_e6, environment, at),
    )
    return cursor.rowcount == 1


def note_limit(connection: Connection, group_id: str, limit_e6: int) -> None:
    """Write the limit that an order group has now."""
    connection.execute(
        "UPDATE trading.order_groups SET limit_e6 = %s WHERE group_id = %s AND ended_at IS NULL", (limit_e6, group_id)
    )


def note_tripped(connection: Connection, group_id: str, why: str, at: datetime) -> OrderGroupRow | None:
    """Write that an order group has tripped; None where that is known, or the group is not one of ours."""
    found = fetch_all(
        connection,
        OrderGroupRow,
        """UPDATE trading.order_groups SET tripped_at = %s, why = %s
           WHERE group_id = %s AND ended_at IS NULL AND tripped_at IS NULL
           RETURNING shard, group_id, limit_e6, tripped_at, why""",
        (at, why[:500], group_id),
    )
    return found[0] if found else None


def note_reset(connection: Connection, group_id: str) -> None:
    """Write that an order group takes orders again."""
    connection.execute("UPDATE trading.order_groups SET tripped_at = NULL, why = '' WHERE group_id = %s", (group_id,))


def end_order_group(connection: Connection, group_id: str, at: datetime) -> None:
    """Write that the venue does not know an order group any more."""
    connection.execute(
        "UPDATE trading.order_groups SET ended_at = %s WHERE group_id = %s AND ended_at IS NULL", (at, group_id)
    )
