"""The schema on a real server."""

import psycopg
import pytest

from streams.market.errors import ConfigurationError
from streams.storage.schema import migrate


def test_migrating_twice_changes_nothing(database: str) -> None:
    migrate(database, "sandbox")
    with psycopg.connect(database) as connection:
        versions = connection.execute("SELECT version_num FROM trading.schema_version").fetchall()
    assert len(versions) == 1


def test_a_database_of_another_environment_is_refused(database: str) -> None:
    with pytest.raises(ConfigurationError, match="belongs to sandbox"):
        migrate(database, "live")


def test_a_decision_cannot_be_changed(database: str) -> None:
    with psycopg.connect(database) as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute("UPDATE trading.switches SET state = 'kill'")
