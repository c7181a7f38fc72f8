"""How a recording goes: closed segments, gaps and dead letters, as sensors and checks ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streams.storage.database import Connection, fetch_one


@dataclass(frozen=True, slots=True)
class ClosedSegments:
    """Segments with frames that were closed since a moment: how many, what they hold, from when to when they reach."""

    segments: int
    frames: int
    deltas: int
    bytes_written: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Gaps:
    """Gaps in what is recorded: those that have been open too long, and all that began within the last hour.

    A market that is halted or over is a gap as long as it is followed, and not one that has been open too long.
    """

    open_too_long: int
    last_hour: int


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Input of the last day that could not be used; `latest_reason` is empty when there was none."""

    count: int
    latest_reason: str


def closed_segments(connection: Connection, since: datetime) -> ClosedSegments | None:
    """Return what was closed after `since`, or None when nothing was."""
    return fetch_one(
        connection,
        ClosedSegments,
        """SELECT count(*) AS segments, sum(frames)::bigint AS frames, sum(deltas)::bigint AS deltas,
               sum(bytes_written)::bigint AS bytes_written, min(opened_at) AS since, max(closed_at) AS until
           FROM raw.segments WHERE closed_at > %s AND frames > 0 HAVING count(*) > 0""",
        (since,),
    )


def recording_gaps(connection: Connection, limit_s: float) -> Gaps:
    """Count the gaps; one that is open for more than `limit_s` seconds is open too long."""
    gaps = fetch_one(
        connection,
        Gaps,
        """SELECT count(*) FILTER (WHERE ended_at IS NULL AND started_at < now() - make_interval(secs => %s)
                   AND cause NOT IN ('deactivated', 'determined', 'settled')) AS open_too_long,
               count(*) FILTER (WHERE started_at > now() - interval '1 hour') AS last_hour
           FROM raw.coverage WHERE state = 'gap'""",
        (limit_s,),
    )
    assert gaps is not None
    return gaps


def dead_letters(connection: Connection) -> DeadLetters:
    """Count the dead letters of the last day."""
    letters = fetch_one(
        connection,
        DeadLetters,
        """SELECT count(*) AS count,
               coalesce((array_agg(reason ORDER BY dead_letter_id DESC))[1], '') AS latest_reason
           FROM raw.dead_letters WHERE received_at > now() - interval '1 day'""",
    )
    assert letters is not None
    return letters
