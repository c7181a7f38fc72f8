"""Bring a database to the current schema: its stamp, the partitions of the next days, and who may do what."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config

from streams.market.errors import ConfigurationError, TransientError
from streams.market.identity import Environment
from streams.storage.access.reader_limits import ReaderLimits
from streams.storage.access.rights import give_rights
from streams.storage.access.sessions import WarehouseConnection
from streams.storage.database import Connection, connect
from streams.storage.ddl import LOCK_TIMEOUT_MS, until_locked
from streams.storage.partitions import create_partitions, empty_default_partitions
from streams.storage.reader.apply import apply_reader_limits
from streams.storage.reader.watchdog import watching
from streams.storage.store.guards.locks import hold, make_guards, take_former_lock
from streams.storage.store.warehouse import stamp_environment

_FORMER_LOCK = 7_263_541
"""Advisory lock that versions before the locks as rows take while they migrate."""
_FORMER_WAIT_S = 60.0
_MIGRATION_WAIT_S = 120.0


def migrate(dsn: str, environment: Environment, limits: ReaderLimits | None = None) -> list[str]:
    """Run all migrations, stamp the database and hold its readers to their limits.

    Safe to call from several processes and many times. Readers who keep it waiting are ended.

    Args:
        dsn: Address of the owner.
        environment: The exchanges this database is for.
        limits: Of readers; default those of the settings' defaults.

    Returns:
        The statements that hold readers to their limits and for which the owner has no right; an administrator may run
        them.

    Raises:
        ConfigurationError: If the server is older than 15, or the database belongs to another environment.
        TransientError: If another process migrates all the time, or somebody holds a table that is to be changed.
    """
    kept = limits or ReaderLimits()
    with connect(dsn, application="crossbook-schema") as connection:
        if connection.info.server_version < 150_000:
            raise ConfigurationError("DATABASE_URL points at a PostgreSQL older than 15, the oldest supported.")
        make_guards(connection)
        with watching(dsn, kept), _only_one(dsn):
            _migrate(connection, dsn, environment)
            return apply_reader_limits(connection, kept)


@contextmanager
def _only_one(dsn: str) -> Iterator[None]:
    """Keep other processes from migrating, also those of a former version where no reader is in the way."""
    with connect(dsn, application="crossbook-schema-lock") as connection:
        deadline = time.monotonic() + _FORMER_WAIT_S
        while not take_former_lock(connection, _FORMER_LOCK) and time.monotonic() < deadline:
            time.sleep(0.1)
        with connection.transaction():
            connection.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
            try:
                hold(connection, "migration", _MIGRATION_WAIT_S)
            except psycopg.errors.LockNotAvailable:
                raise TransientError("Another process is changing the schema of the database; try again.") from None
            yield


def _migrate(connection: Connection, dsn: str, environment: Environment) -> None:
    until_locked(lambda: _upgrade(dsn))
    owner = stamp_environment(connection, environment)
    if owner != environment:
        raise ConfigurationError(
            f"CROSSBOOK_VENUES is {environment}, but this database belongs to {owner}; use another database."
        )
    empty_default_partitions(connection)
    # Yesterday's too, for rows that come late.
    create_partitions(connection, datetime.now(UTC).date() - timedelta(days=1), days_ahead=3)
    give_rights(connection)
    make_guards(connection)  # the first migration has given readers every table there was


def _upgrade(dsn: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    limits = {"lock_timeout": f"{LOCK_TIMEOUT_MS}ms"}
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: WarehouseConnection.connect(dsn, session_settings=limits)
    )
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS trading")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
