"""Looks at the database: whether it answers, what its server still takes, and what its tables say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.brief_warehouse import brief_connection
from app.diagnosis.facts import DagsterFacts, DatabaseFacts, WarehouseFacts
from app.queries.health import load_ages, load_marts, load_sweeps, load_views
from app.queries.rows import scalar
from app.supervisor.checks.database_check import SESSIONS
from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, database_dsn
from streams.storage.recording_status import dead_letters, recording_gaps
from streams.storage.store.alerts import list_failed_tests
from streams.storage.store.settlement import balance_differences_e6
from streams.storage.store.warehouse import TradingPulse, has_schema, trading_pulse

T = TypeVar("T")

_APPLICATION = "crossbook doctor"
OPEN_GAP_LIMIT_S = 120.0
_STUCK_TIMES = 4


def look_at_database(settings: Settings) -> DatabaseFacts:
    """Return whether the database answers, and what its server says."""
    given = settings.database_url
    if given is not None:
        try:
            conninfo_to_dict(given.get_secret_value())
        except psycopg.Error:
            return DatabaseFacts("DATABASE_URL is not an address of a PostgreSQL database", is_malformed=True)
    try:
        with brief_connection(settings, _APPLICATION) as connection:
            return _server(connection)
    except ConfigurationError as error:
        return DatabaseFacts(str(error))
    except psycopg.Error as error:
        return DatabaseFacts(_why(settings, error))


def look_with(settings: Settings, look: Callable[[Connection], T]) -> Callable[[], T]:
    """Return a look that has a connection of its own; one that met a table being replaced looks a second time."""

    def run() -> T:
        try:
            return once()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return once()

    def once() -> T:
        with brief_connection(settings, _APPLICATION) as connection:
            return look(connection)

    return run


def look_at_trading(settings: Settings) -> Callable[[Connection], TradingPulse]:
    """Return the look at the tables of trading."""
    return lambda connection: trading_pulse(connection, _STUCK_TIMES * settings.execution_max_s)


def look_at_warehouse(connection: Connection) -> WarehouseFacts:
    """Return what the recording and the marts say."""
    ages = load_ages(connection)
    stale = """
        SELECT count(*) FROM (
            SELECT DISTINCT ON (q.venue, q.market_id) q.state FROM raw.quotes AS q
            JOIN raw.coverage AS c ON c.venue = q.venue AND c.market_id = q.market_id AND c.ended_at IS NULL
            WHERE q.received_at > now() - interval '1 hour'
            ORDER BY q.venue, q.market_id, q.received_at DESC, q.segment_id DESC NULLS LAST
        ) AS last WHERE state <> 'live'
    """
    return WarehouseFacts(
        marts=tuple(load_marts(connection)),
        views=tuple(load_views(connection)) if _has_views(connection) else (),
        failed_tests=tuple(list_failed_tests(connection)),
        gaps=recording_gaps(connection, OPEN_GAP_LIMIT_S),
        dead_letters=dead_letters(connection),
        stale_books=int(scalar(connection, stale)),
        quote_age_s=None if ages.quote_age_s is None else float(ages.quote_age_s),
        sweep_age_s=None if ages.discovery_age_s is None else float(ages.discovery_age_s),
        failed_sweeps=tuple(f"{row.venue}: {row.error[:200]}" for row in load_sweeps(connection) if row.error),
        ledger_differences_e6=balance_differences_e6(connection),
    )


def _has_views(connection: Connection) -> bool:
    """Whether the views of the warehouse were made: a recorder alone makes none."""
    return bool(scalar(connection, "SELECT to_regclass('analytics.freshness') IS NOT NULL"))


def look_at_dagster(connection: Connection) -> DagsterFacts:
    """Return what Dagster's tables say; nothing where they are not there yet."""
    if scalar(connection, "SELECT to_regclass('dagster.daemon_heartbeats') IS NULL"):
        return DagsterFacts(None, (), 0)
    age = scalar(
        connection,
        "SELECT extract(epoch FROM now() AT TIME ZONE 'UTC' - max(timestamp))::float8 FROM dagster.daemon_heartbeats",
    )
    size = scalar(connection, "SELECT pg_total_relation_size('dagster.event_logs') / 1000000")
    rows = connection.execute("SELECT instigator_body FROM dagster.instigators WHERE status = 'STOPPED'").fetchall()
    names = sorted({_instigator(row["instigator_body"]) for row in rows} - {""})
    return DagsterFacts(None if age is None else float(age), tuple(names), int(size or 0))


def _instigator(body: str) -> str:
    """Return the name in a stored sensor or schedule."""
    try:
        document = json.loads(body)
        return str(document["origin"]["instigator_name"])
    except (ValueError, KeyError, TypeError):
        return ""


def _server(connection: Connection) -> DatabaseFacts:
    query = f"""
        SELECT clock_timestamp() AS clock, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                - (SELECT count(*) FROM pg_stat_activity AS a
                    WHERE {SESSIONS} AND a.datname IS DISTINCT FROM current_database())::int AS free
    """
    before = datetime.now(UTC)
    row = connection.execute(query).fetchone() or {}
    ours = before + (datetime.now(UTC) - before) / 2
    return DatabaseFacts(
        problem="",
        skew_s=(row["clock"] - ours).total_seconds(),
        free_connections=int(row["free"]),
        is_superuser=bool(row["is_superuser"]),
        grown_mb_per_day=_grown_mb(connection),
        has_schema=has_schema(connection),
    )


def _grown_mb(connection: Connection) -> int:
    """Return the size of the partitions of the newest whole day, in MB: what a day adds."""
    query = """
        SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) / 1000000 AS mb
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'raw' AND c.relkind = 'r'
            AND c.relname LIKE '%%\\_' || to_char(now() AT TIME ZONE 'UTC' - interval '1 day', 'YYYYMMDD')
    """
    return int(scalar(connection, query) or 0)


def _why(settings: Settings, error: psycopg.Error) -> str:
    """Return the last line of an error, without the password."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1] if lines else type(error).__name__
    try:
        password = str(conninfo_to_dict(database_dsn(settings, Login.INTERFACE)).get("password") or "")
    except (psycopg.Error, ConfigurationError):
        password = ""
    return said.replace(password, "***") if password else said
