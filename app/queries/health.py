"""Health: leases, coverage, dead letters, connections, discovery, mart freshness, alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import sql

from app.queries.rows import fetch
from streams.storage.database import Connection

EXACT_COUNT_BELOW = 50_000
_TIME_COLUMNS = ("minute", "loaded_at", "updated_at", "last_seen_at", "opened_at", "started_at")


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """One row per lease, the recorder's shards first. `age_s`: seconds since the last heartbeat."""

    name: str
    holder: str
    run_id: str
    epoch: int
    age_s: Decimal
    is_alive: bool
    is_released: bool
    acquired_at: datetime


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
    """One row per mart. `rows` is an estimate above 50,000; `age_s` of its newest row, null where it has no time."""

    name: str
    rows: int
    age_s: float | None


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One row per alert, open ones first."""

    alert_id: int
    raised_at: datetime
    kind: str
    severity: str
    message: str
    sent_at: datetime | None
    cleared_at: datetime | None


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


def load_leases(connection: Connection) -> list[LeaseRow]:
    """Return leases of the last hour: of markets those that are held or lost, of others those released too."""
    query = """
        SELECT name, holder, run_id, epoch, round(extract(epoch FROM clock_timestamp() - heartbeat_at), 1) AS age_s,
            released_at IS NULL AND expires_at > clock_timestamp() AS is_alive, released_at IS NOT NULL AS is_released,
            acquired_at
        FROM trading.leases WHERE heartbeat_at > now() - interval '1 hour'
            AND (released_at IS NULL OR name NOT LIKE 'market:%%')
        ORDER BY name NOT LIKE 'shard:%%', released_at IS NOT NULL, name LIMIT 200
    """
    return fetch(connection, LeaseRow, query, {})


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


def load_alerts(connection: Connection, *, open_only: bool = False, limit: int = 50) -> list[AlertRow]:
    """Return alerts, open ones first, then the newest."""
    query = """
        SELECT alert_id, raised_at, kind, severity, message, sent_at, cleared_at FROM trading.alerts
        WHERE NOT %(open_only)s OR cleared_at IS NULL
        ORDER BY cleared_at IS NOT NULL, alert_id DESC LIMIT %(rows)s
    """
    return fetch(connection, AlertRow, query, {"open_only": open_only, "rows": limit})


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
            (SELECT round(extract(epoch FROM clock_timestamp() - max(q.received_at)), 1)
                FROM (SELECT DISTINCT venue, market_id FROM raw.coverage
                    WHERE state = 'covered' AND (ended_at IS NULL OR ended_at > now() - interval '1 day')) AS c
                CROSS JOIN LATERAL (
                    SELECT received_at FROM raw.quotes AS x
                    WHERE x.market_id = c.market_id AND x.venue = c.venue AND x.received_at > now() - interval '1 day'
                    ORDER BY x.received_at DESC LIMIT 1
                ) AS q) AS quote_age_s,
            (SELECT round(extract(epoch FROM clock_timestamp() - max(ended_at)), 1) FROM raw.discovery_sweeps
                WHERE error IS NULL) AS discovery_age_s,
            (SELECT round(extract(epoch FROM clock_timestamp() - max(heartbeat_at)), 1) FROM trading.leases
                WHERE name LIKE 'shard:%%') AS recorder_age_s,
            (SELECT round(extract(epoch FROM clock_timestamp() - max(updated_at)), 1) FROM trading.signals)
                AS signal_age_s
    """
    return fetch(connection, DataAges, query, {})[0]


def load_marts(connection: Connection) -> list[MartRow]:
    """Return the tables and views of schema `analytics` with their rows and the age of the newest; empty before dbt."""
    query = """
        SELECT c.relname AS name, c.reltuples::bigint AS estimate,
            array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'timestamptz'::regtype) AS times
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = 'analytics' AND c.relkind IN ('r', 'p', 'v', 'm')
            AND c.relname NOT LIKE '%%\\_\\_dbt\\_%%'
        GROUP BY c.relname, c.reltuples ORDER BY c.relname
    """
    return [_read_mart(connection, row) for row in connection.execute(query, {}).fetchall()]


def _read_mart(connection: Connection, mart: dict[str, Any]) -> MartRow:
    table = sql.Identifier("analytics", mart["name"])
    times = [name for name in _TIME_COLUMNS if name in (mart["times"] or [])]
    newest = sql.Identifier(times[0]) if times else sql.SQL("NULL::timestamptz")
    count = sql.SQL("NULL::bigint") if mart["estimate"] > EXACT_COUNT_BELOW else sql.SQL("count(*)")
    query = sql.SQL("SELECT {} AS rows, extract(epoch FROM clock_timestamp() - max({})) AS age_s FROM {}")
    row = connection.execute(query.format(count, newest, table)).fetchone() or {}
    rows = row.get("rows")
    age = row.get("age_s")
    return MartRow(
        name=str(mart["name"]),
        rows=int(mart["estimate"] if rows is None else rows),
        age_s=None if age is None else round(float(age), 1),
    )
