"""What a person says became of an order: it ends the looking, until the venue shows the order after all."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.types.json import Jsonb

from streams.storage.database import Connection, fetch_one
from streams.storage.store.hedges.fences import HELD, Fence


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was said of an order: contracts that have filled in all, by which command."""

    resolved_e6: int
    command_id: int

    @property
    def fill_name(self) -> str:
        """The name of the fill that is booked for what nobody could read."""
        return f"resolved:{self.command_id}"


def find_resolution(connection: Connection, order_id: int) -> Resolution | None:
    """Return what a person said of an order, None where nobody did or the venue has shown it since."""
    return fetch_one(
        connection,
        Resolution,
        """SELECT resolved_e6, resolved_by AS command_id FROM trading.orders
           WHERE order_id = %s AND resolved_by IS NOT NULL""",
        (order_id,),
    )


def note_resolution(connection: Connection, held: Fence, order_id: int, resolution: Resolution | None) -> None:
    """Write what a person said of an order; None: its venue has shown it.

    Raises:
        LeaseLost: If somebody else works on its execution now; nothing is written.
    """
    cursor = connection.execute(
        f"""UPDATE trading.orders SET resolved_e6 = %(size)s, resolved_by = %(command)s FROM {HELD} AS held
           WHERE order_id = %(order)s""",
        {
            "order": order_id,
            "size": None if resolution is None else resolution.resolved_e6,
            "command": None if resolution is None else resolution.command_id,
            **held.values,
        },
    )
    held.check(cursor.rowcount)


def pending_resolution(connection: Connection, order_id: int) -> int | None:
    """Return the id of the command about an order that has no result yet, None where there is none."""
    row = connection.execute(
        """SELECT command_id FROM trading.commands
           WHERE kind = 'resolve' AND done_at IS NULL AND subject @> %s ORDER BY command_id LIMIT 1""",
        (Jsonb({"order_id": order_id}),),
    ).fetchone()
    return None if row is None else int(row["command_id"])
