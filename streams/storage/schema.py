"""Bring a database to the current schema, stamp it with its environment, and make the partitions of the next days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from psycopg import sql

from streams.market.errors import ConfigurationError
from streams.market.identity import Environment
from streams.storage.store.warehouse import stamp_environment

PARTITIONED_TABLES = ("book_deltas", "book_snapshots", "quotes", "trades", "lifecycle_events")
_MIGRATION_LOCK = 7_263_541


def migrate(dsn: str, environment: Environment) -> None:
    """Run all migrations and stamp the database; safe to call from several processes and many times.

    Raises:
        ConfigurationError: If the server is older than 15, or the database belongs to another environment.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.info.server_version < 150_000:
            raise ConfigurationError("DATABASE_URL points at a PostgreSQL older than 15, the oldest supported.")
        connection.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        _upgrade(dsn)
        owner = stamp_environment(connection, environment)
        if owner != environment:
            raise ConfigurationError(
                f"CROSSBOOK_VENUES is {environment}, but this database belongs to {owner}; use another database."
            )
        create_partitions(connection, datetime.now(UTC).date(), days_ahead=2)


def create_partitions(connection: psycopg.Connection[Any], first: date, days_ahead: int) -> None:
    """Make the daily partitions from `first` on, and the default one that catches everything else."""
    for table in PARTITIONED_TABLES:
        connection.execute(
            sql.SQL("CREATE TABLE IF NOT EXISTS raw.{} PARTITION OF raw.{} DEFAULT").format(
                sql.Identifier(f"{table}_default"), sql.Identifier(table)
            )
        )
        for offset in range(days_ahead + 1):
            day = first + timedelta(days=offset)
            connection.execute(
                sql.SQL("CREATE TABLE IF NOT EXISTS raw.{} PARTITION OF raw.{} FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(f"{table}_{day:%Y%m%d}"),
                    sql.Identifier(table),
                    sql.Literal(f"{day} 00:00:00+00"),
                    sql.Literal(f"{day + timedelta(days=1)} 00:00:00+00"),
                )
            )


def _upgrade(dsn: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS trading")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
