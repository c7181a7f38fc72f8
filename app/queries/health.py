"""Health: coverage, dead letters, connections, discovery, ages, and the marts with the data tests that fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psycopg import sql

from app.queries.rows import fetch
from streams.storage.database import Connection
from streams.storage.store.alerts import FailedTest, list_failed_tests
from streams.storage.store.leases import recorder_age_s
from streams.storage.store.signals import last_update_age_s

EXACT_COUNT_BELOW = 50_000


@dataclass(frozen=True, slots=True)
class GapRow:
    """One row per interval of one market that was not received."""

    venue: str
    market_id: str
    cause: str
    started_at: datetime
    ended_at: datetime | None
    duration_s: Decimal


@dataclass(frozen=True, slots=True)
class CauseCount:
    """One row per cause of gaps: open ones, all of them, and seconds together."""

    cause: str
    open: int
    total: int
    seconds: Decimal


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """One row per (venue, source, reason) of input that could not be used."""

    venue: str
    source: str
    reason: str
    letters: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class MartRow:
    """One row per mart that is a table.

    Attributes:
        rows: An estimate above 50,000.
        age_s: Of its newest row; null where it has no minute.
        failed_tests: Its data tests that do not pass: the mart is shown, and marked.
    """

    name: str
    rows: int
    age_s: float | None
    failed_tests: tuple[FailedTest, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One row per mart that is a view: always up to date, so `age_s` is that of the newest fact in it."""

    name: str
    age_s: float | None
    failed_tests: tuple[FailedTest, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepRow:
    """The last discovery of each kind and venue."""

    venue: str
    kind: str
    started_at: datetime
    ended_at: datetime | None
    pages: int
    markets_seen: int
    markets_new: int
    markets_changed: int
    error: str | None


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One row per venue and shard: the recorder's newest connection; `is_polled`: books are asked for over REST."""

    venue: str
    shard: int
    started_at: datetime
    connected_at: datetime | None
    ended_at: datetime | None
    frames: int
    end_reason: str
    is_polled: bool


@dataclass(frozen=True, slots=True)
class DataAges:
    """Seconds since the last thing of each kind was received or written; null where there is none."""

    quote_age_s: Decimal | None
    discovery_age_s: Decimal | None
    recorder_age_s: Decimal | None
    signal_age_s: Decimal | None


def load_gaps(connection: Connection, limit: int = 100) -> list[GapRow]:
    """Return gaps in the recording: open ones first, then the newest; waits for a first book come last."""
    query = """
        SELECT venue, market_id, cause, started_at, ended_at,
            round(extract(epoch FROM coalesce(ended_at, clock_timestamp()) - started_at), 1) AS duration_s
        FROM raw.coverage WHERE state = 'gap'
        ORDER BY ended_at IS NOT NULL, cause = 'starting', started_at DESC LIMIT %(rows)s
    """
    return fetch(connection, GapRow, query, {"rows": limit})


def load_gap_causes(connection: Connection) -> list[CauseCount]:
    """Return gaps by cause, the most frequent first."""
    query = """
        SELECT cause, (count(*) FILTER (WHERE ended_at IS NULL))::int AS open, count(*)::int AS total,
            round(sum(extract(epoch FROM coalesce(ended_at, clock_timestamp()) - started_at)), 1) AS seconds
        FROM raw.coverage WHERE state = 'gap' GROUP BY cause ORDER BY total DESC, cause
    """
    return fetch(connection, CauseCount, query)


def load_dead_letters(connection: Connection) -> list[DeadLetterCount]:
    """Return dead letters by venue, source and reason, the most frequent first."""
    query = """
        SELECT venue, source, reason, count(*)::int AS letters, max(received_at) AS last_at FROM raw.dead_letters
        GROUP BY venue, source, reason ORDER BY letters DESC, venue, source, reason LIMIT 100
    """
    return fetch(connection, DeadLetterCount, query)


def load_sweeps(connection: Connection) -> list[SweepRow]:
    """Return the last discovery of each venue and kind."""
    query = """
        SELECT DISTINCT ON (venue, kind) venue, kind, started_at, ended_at, pages, markets_seen, markets_new,
            markets_changed, error
        FROM raw.discovery_sweeps ORDER BY venue, kind, sweep_id DESC
    """
    return fetch(connection, SweepRow, query)


def load_connections(connection: Connection) -> list[ConnectionRow]:
    """Return the newest connection of each venue and shard."""
    query = """
        SELECT DISTINCT ON (venue, shard) venue, shard, started_at, connected_at, ended_at, frames, end_reason,
            is_polled
        FROM raw.connections ORDER BY venue, shard, started_at DESC
    """
    return fetch(connection, ConnectionRow, query)


def load_ages(connection: Connection) -> DataAges:
    """Return how old the newest data of each kind is."""
    query = """
        SELECT
            (SELECT round(extract(epoch FROM clock_timestamp() - max(received_at)), 1) FROM raw.quotes
                WHERE received_at > now() - interval '1 day') AS quote_age_s,
            (SELECT round(extract(epoch FROM clock_timestamp() - max(ended_at)), 1) FROM raw.discovery_sweeps
                WHERE error IS NULL) AS discovery_age_s
    """
    received = connection.execute(query).fetchone() or {}
    return DataAges(**received, recorder_age_s=recorder_age_s(connection), signal_age_s=last_update_age_s(connection))


@dataclass(frozen=True, slots=True)
class _Mart:
    name: str
    schema: str
    estimate: int
    has_minute: bool


def load_marts(connection: Connection) -> list[MartRow]:
    """Return the tables of schema `analytics` with the data tests that fail on each; empty before the first build."""
    query = """
        SELECT c.relname AS name, n.nspname AS schema, c.reltuples::bigint AS estimate,
            bool_or(a.attname = 'minute') AS has_minute
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = 'analytics' AND c.relkind IN ('r', 'p') AND c.relname NOT LIKE '%%\\_\\_dbt\\_%%'
        GROUP BY c.oid, n.nspname ORDER BY c.relname
    """
    failed = list_failed_tests(connection)
    return [_read_mart(connection, mart, failed) for mart in fetch(connection, _Mart, query)]


def load_views(connection: Connection) -> list[ViewRow]:
    """Return the marts that are views, with the age of the newest fact and the data tests that fail on each."""
    query = (
        "SELECT mart, extract(epoch FROM clock_timestamp() - newest_at) AS age_s FROM analytics.freshness ORDER BY 1"
    )
    failed = list_failed_tests(connection)
    return [
        ViewRow(
            name=row["mart"],
            age_s=None if row["age_s"] is None else round(max(0.0, float(row["age_s"])), 1),
            failed_tests=tuple(test for test in failed if row["mart"] in test.marts),
        )
        for row in connection.execute(query)
    ]


def _read_mart(connection: Connection, mart: _Mart, failed: list[FailedTest]) -> MartRow:
    newest = sql.SQL("max(minute)") if mart.has_minute else sql.SQL("NULL::timestamptz")
    count = sql.SQL("NULL::bigint") if mart.estimate > EXACT_COUNT_BELOW else sql.SQL("count(*)")
    query = sql.SQL("SELECT {} AS rows, extract(epoch FROM clock_timestamp() - {}) AS age_s FROM {}")
    row = connection.execute(query.format(count, newest, sql.Identifier(mart.schema, mart.name))).fetchone() or {}
    rows, age_s = row.get("rows"), row.get("age_s")
    return MartRow(
        name=mart.name,
        rows=int(mart.estimate if rows is None else rows),
        age_s=None if age_s is None else round(float(age_s), 1),
        failed_tests=tuple(test for test in failed if mart.name in test.marts),
    )
