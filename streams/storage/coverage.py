"""`raw.coverage`: for each recorded market the intervals in which its book was known and those in which it was not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from streams.market.identity import MarketRef, Venue
from streams.storage.database import Connection

STARTING = "starting"
"""Cause of the gap between subscribing to a market and its first book; opened only where no interval is open yet."""


CoverageState = Literal["covered", "gap", "ended"]


class CoverageChange(NamedTuple):
    """At `at_ns` a market entered a state. `ended`: it is not recorded any more, which opens no interval."""

    venue: Venue
    market_id: str
    state: CoverageState
    cause: str
    at_ns: int


def instant(ns: int) -> datetime:
    """Return nanoseconds since the epoch as an aware time, cut to microseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def apply_changes(connection: Connection, shard: int, run_id: str, changes: Sequence[CoverageChange]) -> None:
    """Close the open interval of each market and open the next, in the order given; in the caller's transaction."""
    for batch in _batches(changes):
        _apply_batch(connection, shard, run_id, batch)


def _batches(changes: Sequence[CoverageChange]) -> list[list[CoverageChange]]:
    """Split into batches in which each market occurs once, so that each can be written in bulk."""
    batches: list[list[CoverageChange]] = []
    seen: dict[tuple[str, str], int] = {}
    for change in changes:
        number = seen.get((change.venue, change.market_id), 0)
        seen[(change.venue, change.market_id)] = number + 1
        if number == len(batches):
            batches.append([])
        batches[number].append(change)
    return batches


def _apply_batch(connection: Connection, shard: int, run_id: str, changes: Sequence[CoverageChange]) -> None:
    ending = [_interval(shard, run_id, c)._asdict() for c in changes if c.cause != STARTING]
    opening = [_interval(shard, run_id, c)._asdict() for c in changes if c.state != "ended"]
    with connection.cursor() as cursor:
        if ending:
            cursor.executemany(
                """UPDATE raw.coverage SET ended_at = greatest(started_at, %(at)s)
                   WHERE venue = %(venue)s AND market_id = %(market)s AND shard = %(shard)s AND ended_at IS NULL""",
                ending,
            )
        if opening:
            cursor.executemany(
                """INSERT INTO raw.coverage (shard, venue, market_id, state, cause, started_at, run_id)
                   SELECT %(shard)s, %(venue)s, %(market)s, %(state)s, %(cause)s, %(at)s, %(run)s
                   WHERE NOT EXISTS (SELECT 1 FROM raw.coverage WHERE venue = %(venue)s AND market_id = %(market)s
                       AND shard = %(shard)s AND ended_at IS NULL)""",
                opening,
            )


class _Interval(NamedTuple):
    """An interval that a change opens; with the market's and the shard's names it also finds the one it closes."""

    shard: int
    run: str
    venue: str
    market: str
    state: CoverageState
    cause: str
    at: datetime


def _interval(shard: int, run_id: str, change: CoverageChange) -> _Interval:
    at = instant(change.at_ns)
    return _Interval(shard, run_id, str(change.venue), change.market_id, change.state, change.cause, at)


def end_unsubscribed(connection: Connection, shard: int, subscribed: Collection[MarketRef], now: datetime) -> int:
    """Close the open intervals of a recorder shard's markets that are not in `subscribed`; returns how many."""
    venues = [str(market.venue) for market in subscribed]
    markets = [market.market_id for market in subscribed]
    cursor = connection.execute(
        """UPDATE raw.coverage SET ended_at = greatest(started_at, %s)
           WHERE shard = %s AND ended_at IS NULL
             AND (venue, market_id) NOT IN (SELECT * FROM unnest(%s::text[], %s::text[]))""",
        (now, shard, venues, markets),
    )
    return cursor.rowcount


def end_foreign_shards(connection: Connection, shards: int, now: datetime) -> int:
    """Close the open intervals of recorder shards that no longer exist because there are fewer of them now."""
    cursor = connection.execute(
        "UPDATE raw.coverage SET ended_at = greatest(started_at, %s) WHERE shard >= %s AND ended_at IS NULL",
        (now, shards),
    )
    return cursor.rowcount
