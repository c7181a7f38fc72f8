"""Edges that were too good to be taken unasked and that a person lets be taken."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from streams.storage.database import Connection


def release_edge(
    connection: Connection, signal_id: int, most_usd: Decimal, released_by: str, reason: str, at: datetime
) -> int:
    """Let the edge of a signal be taken up to `most_usd` per contract while it lasts; return the id of the release."""
    row = connection.execute(
        """INSERT INTO trading.edge_releases (signal_id, most_usd, released_by, reason, released_at)
           VALUES (%s, %s, %s, %s, %s) RETURNING release_id""",
        (signal_id, most_usd, released_by, reason, at),
    ).fetchone()
    assert row is not None
    return int(row["release_id"])


def released_edge(connection: Connection, signal_id: int) -> Decimal | None:
    """Return up to which edge per contract a person lets a signal be taken; None if nobody has looked at it."""
    row = connection.execute(
        "SELECT most_usd FROM trading.edge_releases WHERE signal_id = %s ORDER BY release_id DESC LIMIT 1", (signal_id,)
    ).fetchone()
    return None if row is None else row["most_usd"]
