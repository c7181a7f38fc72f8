"""A seeded warehouse for the tests of the faces: made once, copied for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from streams.storage.database import Connection, connect
from streams.storage.schema import migrate
from tests.fixtures.seed_warehouse import seed


@pytest.fixture(scope="session")
def seeded_template(postgres_dsn: str) -> Iterator[str]:
    """The name of a database with a small consistent warehouse in it, to copy from."""
    name = f"template_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    dsn = psycopg.conninfo.make_conninfo(postgres_dsn, dbname=name)
    migrate(dsn, "sandbox")
    seed(dsn)
    yield name
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def seeded(postgres_dsn: str, seeded_template: str) -> Iterator[str]:
    """The address of a database of its own with the seeded warehouse; dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {seeded_template}")
    yield psycopg.conninfo.make_conninfo(postgres_dsn, dbname=name)
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connection(seeded: str) -> Iterator[Connection]:
    """A connection to the seeded warehouse."""
    with connect(seeded) as opened:
        yield opened
