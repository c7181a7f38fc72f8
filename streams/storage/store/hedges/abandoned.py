"""Hedges that nobody works on any more, though they have not ended: whoever did has died, hangs, or has given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from streams.market.trading import OPEN_STATES
from streams.storage.database import Connection, fetch_all, read_clock
from streams.storage.store.leases import LeaseRow

_FRESH = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Worked:
    """An open execution with the lease of one of its markets, if anybody has ever had it."""

    execution_id: int
    updated_at: datetime
    name: str | None
    holder: str | None
    released_at: datetime | None
    heartbeat_at: datetime | None
    expires_at: datetime | None

    @property
    def seen_at(self) -> datetime:
        """When somebody worked on it last."""
        return max(self.updated_at, self.heartbeat_at or self.updated_at)


def load_abandoned(connection: Connection, mode: str) -> list[int]:
    """Return the open executions of a mode that were worked on within half a minute and are no longer.

    What is abandoned for longer could not be taken over, and is left to the settlement cycle's own rhythm.
    """
    now = read_clock(connection)
    found = fetch_all(
        connection,
        _Worked,
        """SELECT e.execution_id, e.updated_at, l.name, l.holder, l.released_at, l.heartbeat_at, l.expires_at
           FROM trading.executions AS e CROSS JOIN LATERAL jsonb_array_elements(e.detail -> 'plan' -> 'legs') AS leg
           LEFT JOIN trading.leases AS l
               ON l.name = 'market:' || (leg ->> 'venue') || ':' || (leg ->> 'market_id')
           WHERE e.mode = %s AND e.state = ANY(%s) ORDER BY e.execution_id""",
        (mode, list(OPEN_STATES)),
    )
    held = {row.execution_id for row in found if _is_held(row, now)}
    return sorted({row.execution_id for row in found if row.seen_at > now - _FRESH} - held)


def _is_held(row: _Worked, now: datetime) -> bool:
    if row.name is None or row.holder is None or row.expires_at is None or row.heartbeat_at is None:
        return False
    is_alive = row.released_at is None and row.expires_at >= now
    age_s, late_s = (now - row.heartbeat_at).total_seconds(), (now - row.expires_at).total_seconds()
    return LeaseRow(row.name, row.holder, "", 0, row.released_at, is_alive, age_s, late_s).is_held
