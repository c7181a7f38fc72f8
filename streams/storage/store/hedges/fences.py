"""Under what rows of an execution are written: an epoch that fences whoever worked on it before.

Whoever takes an execution over writes the epoch of its lease to the execution's row. Every later write of executions,
orders and fills asks for that epoch in its WHERE and locks the row with it: a process that lost its lease writes
nothing, and what it writes before it is overtaken is seen by who overtakes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.storage.database import Connection
from streams.storage.store.leases import LeaseLost

HELD = """(SELECT 1 FROM trading.executions WHERE execution_id = %(held_id)s AND epoch = %(held_epoch)s
    FOR NO KEY UPDATE)"""
"""A row while the execution is held; to be used in FROM, with `Fence.values`."""


@dataclass(frozen=True, slots=True)
class Fence:
    """An execution under the epoch of who writes: of a lease, or what stood there before a look without one."""

    execution_id: int
    epoch: int

    @property
    def values(self) -> dict[str, int]:
        """The values that `HELD` asks for."""
        return {"held_id": self.execution_id, "held_epoch": self.epoch}

    def check(self, written: int) -> None:
        """Raise unless a guarded write has found its row.

        Raises:
            LeaseLost: If it found none: somebody else works on the execution now.
        """
        if not written:
            raise LeaseLost(f"execution {self.execution_id} is worked on by somebody else now")


def take_over(connection: Connection, execution_id: int, epoch: int) -> Fence:
    """Write the epoch of the lease under which an execution is worked on from now on.

    Raises:
        LeaseLost: If a later holder has it already.
    """
    held = Fence(execution_id, epoch)
    cursor = connection.execute(
        "UPDATE trading.executions SET epoch = %(held_epoch)s WHERE execution_id = %(held_id)s"
        " AND epoch <= %(held_epoch)s",
        held.values,
    )
    held.check(cursor.rowcount)
    return held


def as_it_stands(connection: Connection, execution_id: int) -> Fence:
    """Return a fence for who has no lease: it holds as long as nobody takes the execution over.

    Raises:
        LookupError: If there is no such execution.
    """
    row = connection.execute("SELECT epoch FROM trading.executions WHERE execution_id = %s", (execution_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no execution {execution_id}")
    return Fence(execution_id, int(row["epoch"]))


def keep(connection: Connection, held: Fence) -> None:
    """Keep an execution from being taken over until the end of the transaction.

    Raises:
        LeaseLost: If it was taken over.
    """
    held.check(connection.execute(f"SELECT FROM {HELD} AS held", held.values).rowcount)
