"""What the venues said last: written outside the gate, read inside it with its age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.storage.database import Connection, fetch_all

OUT_OF_ORDER = timedelta(minutes=1)
_STEP = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class VenueReading:
    """A row of `trading.venue_readings`; `read_at` is when the venue was asked."""

    venue: str
    kind: str
    subject: str
    amount_e6: int | None
    detail: JsonDocument
    read_at: datetime

    @property
    def shard(self) -> int | None:
        """The exchange shard a reading of cash is about; None: the venue has one pot."""
        return int(self.subject) if self.subject else None


def write_cash(
    connection: Connection, mode: str, venue: str, pots: Mapping[int | None, int], read_at: datetime
) -> None:
    """Put a reading of an account's cash, by exchange shard, in the place of the one before, unless that is newer.

    As for `write_reading` one that is newer by far gives way.
    """
    with connection.transaction():
        connection.execute(
            """DELETE FROM trading.venue_readings WHERE mode = %s AND venue = %s AND kind = 'cash'
               AND NOT read_at BETWEEN %s AND %s AND NOT subject = ANY(%s)""",
            (mode, venue, read_at + _STEP, read_at + OUT_OF_ORDER, [_subject(shard) for shard in pots]),
        )
        for shard, amount in pots.items():
            write_reading(connection, mode, VenueReading(venue, "cash", _subject(shard), amount, {}, read_at))


def write_reading(connection: Connection, mode: str, reading: VenueReading) -> None:
    """Put a reading in the place of the one before, unless that is newer.

    Answers come out of order by seconds. One that is newer by more than `OUT_OF_ORDER` was written before the clock was
    set back: it gives way, or nothing new would be believed until the clock has caught up with it.
    """
    connection.execute(
        """INSERT INTO trading.venue_readings AS r (mode, venue, kind, subject, amount_e6, detail, read_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (mode, venue, kind, subject) DO UPDATE
           SET amount_e6 = excluded.amount_e6, detail = excluded.detail, read_at = excluded.read_at
           WHERE NOT r.read_at BETWEEN %s AND %s""",
        (
            mode,
            reading.venue,
            reading.kind,
            reading.subject,
            reading.amount_e6,
            Jsonb(dict(reading.detail)),
            reading.read_at,
            reading.read_at + _STEP,
            reading.read_at + OUT_OF_ORDER,
        ),
    )


def load_readings(connection: Connection, mode: str) -> list[VenueReading]:
    """Return what the venues said last in a mode."""
    return fetch_all(
        connection,
        VenueReading,
        """SELECT venue, kind, subject, amount_e6, detail, read_at FROM trading.venue_readings WHERE mode = %s
           ORDER BY venue, kind, subject""",
        (mode,),
    )


def forget_readings(connection: Connection, mode: str, kind: str, before: datetime) -> None:
    """Delete the readings of a kind that are older; markets end, and nobody asks for them again."""
    connection.execute(
        "DELETE FROM trading.venue_readings WHERE mode = %s AND kind = %s AND read_at < %s", (mode, kind, before)
    )


def _subject(shard: int | None) -> str:
    return "" if shard is None else str(shard)
