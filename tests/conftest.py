"""Fixtures every kind of test shares: a PostgreSQL server for the session and an empty, migrated database per test."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from streams.storage.embedded import EmbeddedServer
from streams.storage.schema import migrate

SHARED = Path(__file__).resolve().parents[2] / "shared"


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server to make databases on: `DATABASE_URL`, else an embedded one for this session."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    server = EmbeddedServer(home=tmp_path_factory.mktemp("postgres"), port=free_port())
    server.start()
    try:
        yield server.dsn("postgres")
    finally:
        server.destroy()


@pytest.fixture
def empty_database(postgres_dsn: str) -> Iterator[str]:
    """The address of a database of its own, without any schema; dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield psycopg.conninfo.make_conninfo(postgres_dsn, dbname=name)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(empty_database: str) -> str:
    """The address of a database of its own, migrated for the sandbox."""
    migrate(empty_database, "sandbox")
    return empty_database


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real recordings; tests that need it are skipped where it is not."""
    if not SHARED.exists():
        pytest.skip("the folder of real recordings is not beside this checkout")
    return SHARED
